#!/usr/bin/env bash
# Walks through both APIs: the core registers and authorises a payment, the merchant cancels it, a late capture is
# refused, and the core receives the event. Starts its own sandbox and receiver with a temporary database. Needs the
# .NET SDK, bash, curl and openssl.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

work=$(mktemp -d)
pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap stop EXIT

public=${PUBLIC_PORT:-18080} internal=${INTERNAL_PORT:-18081} receiver=${RECEIVER_PORT:-18082}
api=http://127.0.0.1:$internal/internal/v1

# A token of the service's static signing key; deployments name an authority instead.
secret=$(openssl rand -hex 32)
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
claims='{"iss":"walk","aud":"cancelservice","sub":"walk","exp":'$(($(date +%s) + 600))',"scope":"payments:write payments:read"}'
unsigned=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url).$(printf '%s' "$claims" | base64url)
token=$unsigned.$(printf '%s' "$unsigned" | openssl dgst -sha256 -mac HMAC -macopt "key:$secret" -binary | base64url)

# The sandbox keeps the secret that it finds beside its keys.
export WEBHOOK_SECRET="whsec_$(openssl rand -base64 32)"
mkdir -p "$work/data/demo"
(umask 077 && printf '%s\n' "$WEBHOOK_SECRET" >"$work/data/demo/webhook-secret.txt")
echo "# Starting a receiver on port $receiver and the sandbox on ports $public and $internal"
dotnet run docs/examples/receiver.cs "$receiver" >"$work/receiver.log" 2>&1 &
pids+=($!)
dotnet build src/Sandbox --verbosity quiet --nologo >"$work/build.log" || { cat "$work/build.log" >&2; exit 1; }
(
    cd "$work"
    exec env \
        Kestrel__Endpoints__Public__Url="http://127.0.0.1:$public" \
        Kestrel__Endpoints__Internal__Url="http://127.0.0.1:$internal" \
        Authentication__Schemes__Bearer__ValidIssuer=walk \
        Authentication__Schemes__Bearer__ValidAudience=cancelservice \
        Authentication__Schemes__Bearer__SigningKeys__0__Issuer=walk \
        Authentication__Schemes__Bearer__SigningKeys__0__Value="$(printf %s "$secret" | openssl base64 -A)" \
        Notifications__Url="http://127.0.0.1:$receiver/events" \
        dotnet "$root/src/Sandbox/bin/Debug/net10.0/CancelService.Sandbox.dll" --environment=Development
) >"$work/service.log" 2>&1 &
pids+=($!)

ready=
for _ in $(seq 300); do
    for pid in "${pids[@]}"; do kill -0 "$pid" || { cat "$work"/*.log >&2; exit 1; }; done
    if curl -fs -m 2 "http://127.0.0.1:$internal/healthz/ready" && curl -fs -m 2 "http://127.0.0.1:$receiver/"; then
        ready=yes
        break
    fi >/dev/null 2>&1
    sleep 0.2
done
[ -n "$ready" ] || { cat "$work"/*.log >&2; exit 1; }

core() { # METHOD PATH [BODY]
    echo
    echo "> $1 $2${3:+ $3}"
    curl -sS -m 10 -w '\n< HTTP %{http_code}\n' -X "$1" "$api$2" -H "Authorization: Bearer $token" \
        -H 'Content-Type: application/json' ${3:+--data-raw "$3"}
}

payment=walk-$(openssl rand -hex 4)
path=/clients/DEMO_CLIENT/payments/$payment

echo "# 1. The core makes an authorisation known"
core PUT "$path" '{"paymentRequestId":"req-'"$payment"'","kind":"AUTHORIZATION","amount":{"minorUnits":1500,"currency":"USD"},"initiatedAt":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'","payer":"payer-7"}'
echo
echo "# 2. The payer's money is on hold"
core POST "$path/authorize" '{"eventId":"evt-1"}'
echo
echo "# 3. The merchant cancels"
URL=http://127.0.0.1:$public/v2/payments/cancel MERCHANT_KEY=$work/data/demo/merchant-private.pem \
    WALLET_KEY=$work/data/demo/wallet-public.pem docs/examples/cancel.sh "$payment"
echo
echo "# 4. A capture comes too late: it is refused, and the answer says what to do with the money"
core POST "$path/capture" '{"eventId":"evt-2","amount":{"minorUnits":1500,"currency":"USD"}}'
echo
echo "# 5. The payment with its whole history"
core GET "$path"
echo
echo "# 6. The core has been told"
for _ in $(seq 100); do
    event=$(curl -fs -m 2 "http://127.0.0.1:$receiver/events/$payment") && break
    sleep 0.1
done
echo "${event:?no event was received}"
