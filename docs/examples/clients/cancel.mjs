// Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs Node 18 only.
//
//   MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem node cancel.mjs PAYMENT_ID...
//
// Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
// and TIMEOUT_MS override the defaults of the demo wallet.
import { createSign, createVerify } from "node:crypto";
import { readFileSync } from "node:fs";

const env = process.env;
const url = new URL(env.URL ?? "http://localhost:8080/v2/payments/cancel");
const clientId = env.CLIENT_ID ?? "DEMO_CLIENT";
const keyVersion = env.KEY_VERSION ?? "1";
const merchantKey = readFileSync(env.MERCHANT_KEY ?? "data/demo/merchant-private.pem");
const walletKey = readFileSync(env.WALLET_KEY ?? "data/demo/wallet-public.pem");
const backOff = Number(env.BACKOFF_MS ?? 1000);
const timeout = Number(env.TIMEOUT_MS ?? 10_000);

// Requests and answers sign the bytes of the body as sent.
const stringToSign = (time, body) => Buffer.concat([Buffer.from(`POST ${url.pathname}\n${clientId}.${time}.`), body]);

function isTheWallets(headers, body) {
  const signature = /^\s*algorithm=RSA256\s*,.*\bsignature=([^,\s]+)\s*$/.exec(headers.get("signature") ?? "")?.[1];
  if (!signature || headers.get("client-id") !== clientId) return false;
  return createVerify("RSA-SHA256")
    .update(stringToSign(headers.get("response-time") ?? "", body))
    .verify(walletKey, decodeURIComponent(signature), "base64");
}

// Returns a final result, or undefined while the outcome is unknown.
async function ask(paymentId) {
  const body = Buffer.from(JSON.stringify({ paymentId }));
  const time = new Date().toISOString();
  const signature = createSign("RSA-SHA256").update(stringToSign(time, body)).sign(merchantKey, "base64");
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: {
      "Content-Type": "application/json; charset=UTF-8",
      "Client-Id": clientId,
      "Request-Time": time,
      Signature: `algorithm=RSA256, keyVersion=${keyVersion}, signature=${signature}`,
    },
    redirect: "manual",
    signal: AbortSignal.timeout(timeout),
  });
  const answer = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200 || !isTheWallets(response.headers, answer)) return;
  const { result, paymentId: answered } = JSON.parse(answer.toString());
  const isFinal = result.resultStatus === "F" || (result.resultStatus === "S" && answered === paymentId);
  return isFinal ? result : undefined;
}

async function cancel(paymentId) {
  for (let wait = backOff; ; wait = Math.min(wait * 2, 60_000)) {
    // A failed connection, a bad answer or a timeout leaves the outcome unknown.
    const result = await ask(paymentId).catch(() => undefined);
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
  }
}

for (const paymentId of process.argv.slice(2)) {
  const result = await cancel(paymentId);
  console.log(`${paymentId} ${result.resultCode}`);
  if (result.resultStatus !== "S") process.exitCode = 1;
}
