#!/usr/bin/env bash
# Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs bash, curl and openssl.
#
#   MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem ./cancel.sh PAYMENT_ID...
#
# Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
# and TIMEOUT_MS override the defaults of the demo wallet.
set -uo pipefail

url=${URL:-http://localhost:8080/v2/payments/cancel}
client=${CLIENT_ID:-DEMO_CLIENT}
merchant_key=${MERCHANT_KEY:-data/demo/merchant-private.pem}
wallet_key=${WALLET_KEY:-data/demo/wallet-public.pem}
path=/${url#*://*/}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Maps lower-case header names of the answer to values.
declare -A header

read_headers() {
    local name value
    header=()
    while IFS=: read -r name value; do
        value=${value%$'\r'}
        [ -z "$name" ] || header[${name,,}]=${value#"${value%%[! ]*}"}
    done <"$work/headers"
}

# Prints a member's text. bash has no JSON parser; callers check the wallet's signature, and the wallet writes each member once.
member() { [[ $(<"$work/body") =~ \"$1\":\"([^\"\\]*)\" ]] && echo "${BASH_REMATCH[1]}"; }

is_the_wallets() {
    read_headers
    [[ ${header[signature]:-} =~ ^\ *algorithm=RSA256\ *,.*[,\ ]signature=([^,\ ]+)\ *$ && ${header[client-id]:-} == "$client" ]] || return 1
    printf '%b' "${BASH_REMATCH[1]//%/\\x}" | openssl base64 -d -A >"$work/signature" 2>/dev/null
    # The signature covers the bytes of the body as sent.
    { printf 'POST %s\n%s.%s.' "$path" "$client" "${header[response-time]:-}"; cat "$work/body"; } |
        openssl dgst -sha256 -verify "$wallet_key" -signature "$work/signature" >/dev/null 2>&1
}

# Succeeds with a final answer, and fails while the outcome is unknown.
ask() {
    local body="{\"paymentId\":\"$1\"}" time signature status
    time=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    signature=$(printf 'POST %s\n%s.%s.%s' "$path" "$client" "$time" "$body" |
        openssl dgst -sha256 -sign "$merchant_key" | openssl base64 -A)
    curl -sS --fail --max-time "$((${TIMEOUT_MS:-10000} / 1000)).$(printf %03d $((${TIMEOUT_MS:-10000} % 1000)))" \
        -D "$work/headers" -o "$work/body" "$url" \
        -H "Client-Id: $client" -H "Request-Time: $time" -H 'Content-Type: application/json; charset=UTF-8' \
        -H "Signature: algorithm=RSA256, keyVersion=${KEY_VERSION:-1}, signature=$signature" --data-raw "$body" 2>/dev/null &&
        read -r _ status _ <"$work/headers" && [ "$status" = 200 ] && is_the_wallets || return 1
    [ "$(member resultStatus)" = F ] || { [ "$(member resultStatus)" = S ] && [ "$(member paymentId)" = "$1" ]; }
}

all=0
for payment in "$@"; do
    wait=${BACKOFF_MS:-1000}
    until : >"$work/headers"; : >"$work/body"; ask "$payment"; do
        sleep "$(printf '%d.%03d' $((wait / 1000)) $((wait % 1000)))"
        wait=$((wait * 2 < 60000 ? wait * 2 : 60000))
    done
    echo "$payment $(member resultCode)"
    [ "$(member resultStatus)" = S ] || all=1
done
exit "$all"
