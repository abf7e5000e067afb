#!/usr/bin/env bash
# Makes the secrets that compose.yaml mounts, where they are missing. Needs openssl.
#
# Containers read them as another user, so the files are readable to all; the directory keeps this machine's users out.
set -euo pipefail
directory=$(dirname "${BASH_SOURCE[0]}")/secrets
mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"

if [ ! -e postgres-password ]; then
    openssl rand -hex 24 >postgres-password
    printf '*:*:*:*:%s\n' "$(cat postgres-password)" >pgpass
fi
for owner in wallet merchant; do # The merchant is the demo's.
    [ -e "$owner-private.pem" ] ||
        openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$owner-private.pem"
    openssl pkey -in "$owner-private.pem" -pubout -out "$owner-public.pem"
done
# What the demo signs its events with.
[ -e webhook-secret.txt ] || printf 'whsec_%s\n' "$(openssl rand -base64 32)" >webhook-secret.txt
chmod 644 ./*
echo "Secrets are in $directory. Keep them out of version control."
