#!/usr/bin/env bash
# Creates the missing secrets of compose.yaml. Needs openssl.
#
# Containers read them as another user, so the files are world-readable and the directory is closed.
set -euo pipefail
directory=$(dirname "${BASH_SOURCE[0]}")/secrets
mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"

if [ ! -e postgres-password ]; then
    openssl rand -hex 24 >postgres-password
    printf '*:*:*:*:%s\n' "$(cat postgres-password)" >pgpass
fi
for owner in wallet merchant; do # The demo's merchant.
    [ -e "$owner-private.pem" ] ||
        openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$owner-private.pem"
    openssl pkey -in "$owner-private.pem" -pubout -out "$owner-public.pem"
done
# The demo's secret of events.
[ -e webhook-secret.txt ] || printf 'whsec_%s\n' "$(openssl rand -base64 32)" >webhook-secret.txt
chmod 644 ./*
echo "Secrets are in $directory. Keep them out of version control."
