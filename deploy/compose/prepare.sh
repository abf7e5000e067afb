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
[ -e wallet-private.pem ] ||
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out wallet-private.pem
openssl pkey -in wallet-private.pem -pubout -out wallet-public.pem
chmod 644 ./*
echo "Secrets are in $directory. Keep them out of version control."
