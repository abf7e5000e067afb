# Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs Python 3.9, and openssl for RSA,
# which Python's standard library lacks.
#
#   MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem python3 cancel.py PAYMENT_ID...
#
# Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
# and TIMEOUT_MS override the defaults of the demo wallet.
import base64, datetime, http.client, json, os, random, re, subprocess, sys, tempfile, time, urllib.parse

env = os.environ.get
url = urllib.parse.urlsplit(env("URL", "http://localhost:8080/v2/payments/cancel"))
client_id = env("CLIENT_ID", "DEMO_CLIENT")
merchant_key = env("MERCHANT_KEY", "data/demo/merchant-private.pem")
wallet_key = env("WALLET_KEY", "data/demo/wallet-public.pem")
timeout = int(env("TIMEOUT_MS", "10000")) / 1000


def string_to_sign(time, body):  # Requests and answers sign the bytes of the body as sent.
    return f"POST {url.path}\n{client_id}.{time}.".encode() + body


def is_the_wallets(headers, body):
    found = re.fullmatch(r"\s*algorithm=RSA256\s*,.*\bsignature=([^,\s]+)\s*", headers.get("signature") or "")
    if not found or headers.get("client-id") != client_id:
        return False
    with tempfile.NamedTemporaryFile() as signature:
        signature.write(base64.b64decode(urllib.parse.unquote(found[1])))
        signature.flush()
        signed = string_to_sign(headers.get("response-time") or "", body)
        openssl = ["openssl", "dgst", "-sha256", "-verify", wallet_key, "-signature", signature.name]
        return subprocess.run(openssl, input=signed, capture_output=True).returncode == 0


def ask(payment_id):  # Returns a final result, or None while the outcome is unknown.
    body = json.dumps({"paymentId": payment_id}).encode()
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    openssl = ["openssl", "dgst", "-sha256", "-sign", merchant_key]
    signed = subprocess.run(openssl, input=string_to_sign(now, body), capture_output=True, check=True).stdout
    signature = f"algorithm=RSA256, keyVersion={env('KEY_VERSION', '1')}, signature={base64.b64encode(signed).decode()}"
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json; charset=UTF-8", "Client-Id": client_id, "Request-Time": now}
        connection.request("POST", url.path, body, {**headers, "Signature": signature})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or not is_the_wallets(answer.headers, text):
            return None
        read = json.loads(text)
        status = read["result"]["resultStatus"]
        is_final = status == "F" or (status == "S" and read.get("paymentId") == payment_id)
        return read["result"] if is_final else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None  # A failed connection, a bad answer or a timeout leaves the outcome unknown.
    finally:
        connection.close()


def cancel(payment_id):
    wait = int(env("BACKOFF_MS", "1000")) / 1000
    while not (result := ask(payment_id)):
        time.sleep(wait * random.uniform(0.5, 1))
        wait = min(wait * 2, 60)
    return result


results = []
for payment_id in sys.argv[1:]:
    results.append(cancel(payment_id))
    print(payment_id, results[-1]["resultCode"], flush=True)
sys.exit(0 if all(result["resultStatus"] == "S" for result in results) else 1)
