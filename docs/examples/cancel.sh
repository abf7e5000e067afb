#!/usr/bin/env bash
# Signs and sends a cancel, and verifies the answer. Needs bash, curl and openssl.
#
#   docs/examples/cancel.sh [PAYMENT_ID | req-PAYMENT_ID]
#
# An argument with the prefix req- is a paymentRequestId, any other a paymentId. These variables override the demo
# wallet's defaults: URL, CLIENT_ID, KEY_VERSION, MERCHANT_KEY (private), WALLET_KEY (public), EXTEND_INFO.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
url=${URL:-http://localhost:8080/v2/payments/cancel}
client=${CLIENT_ID:-DEMO_CLIENT}
version=${KEY_VERSION:-1}
merchant_key=${MERCHANT_KEY:-$root/data/demo/merchant-private.pem}
wallet_key=${WALLET_KEY:-$root/data/demo/wallet-public.pem}
id=${1:-demo-success}

for file in "$merchant_key" "$wallet_key"; do
    [ -r "$file" ] || { echo "$file is missing. Start the sandbox first: dotnet run --project src/Sandbox" >&2; exit 1; }
done

case $id in
req-*) field=paymentRequestId ;;
*) field=paymentId ;;
esac
body="{\"$field\":\"$id\"${EXTEND_INFO:+,\"extendInfo\":\"$EXTEND_INFO\"}}"
time=$(date -u +%Y-%m-%dT%H:%M:%SZ)
path=/${url#*://*/}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The string to sign: method and path, a line feed, then client, time and body with dots between.
signature=$(printf 'POST %s\n%s.%s.%s' "$path" "$client" "$time" "$body" |
    openssl dgst -sha256 -sign "$merchant_key" | openssl base64 -A)

echo "> POST $url"
echo "> $body"
curl -sS --max-time 10 -D "$work/headers" -o "$work/body" "$url" \
    -H "Client-Id: $client" -H "Request-Time: $time" -H 'Content-Type: application/json; charset=UTF-8' \
    -H "Signature: algorithm=RSA256, keyVersion=$version, signature=$signature" --data-raw "$body"

header() { sed -n "s/^$1: *\(.*\)\r\$/\1/p" "$work/headers"; }
decode() { printf '%b' "${1//%/\\x}"; }

# Answers are signed in the same way, over the bytes of the body.
header signature | sed 's/.*signature=//' >"$work/encoded"
decode "$(cat "$work/encoded")" | openssl base64 -d -A >"$work/signature"
{
    printf 'POST %s\n%s.%s.' "$path" "$(header client-id)" "$(header response-time)"
    cat "$work/body"
} >"$work/signed"

cat "$work/body"
echo
if openssl dgst -sha256 -verify "$wallet_key" -signature "$work/signature" "$work/signed" >/dev/null 2>&1; then
    echo "The answer's signature is valid."
else
    echo "THE ANSWER'S SIGNATURE IS NOT VALID." >&2
    exit 1
fi
