<?php
// Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs PHP 8 with openssl only.
//
//   MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem php cancel.php PAYMENT_ID...
//
// Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
// and TIMEOUT_MS override the defaults of the demo wallet.
$url = getenv('URL') ?: 'http://localhost:8080/v2/payments/cancel';
$clientId = getenv('CLIENT_ID') ?: 'DEMO_CLIENT';
$merchantKey = file_get_contents(getenv('MERCHANT_KEY') ?: 'data/demo/merchant-private.pem');
$walletKey = file_get_contents(getenv('WALLET_KEY') ?: 'data/demo/wallet-public.pem');

// Requests and answers sign the bytes of the body as sent.
function stringToSign(string $time, string $body): string
{
    global $url, $clientId;
    return 'POST ' . parse_url($url, PHP_URL_PATH) . "\n$clientId.$time.$body";
}

function isTheWallets(array $headers, string $body): bool
{
    global $clientId, $walletKey;
    $pattern = '/^\s*algorithm=RSA256\s*,.*\bsignature=([^,\s]+)\s*$/';
    if (!preg_match($pattern, $headers['signature'] ?? '', $found) || ($headers['client-id'] ?? '') !== $clientId) {
        return false;
    }
    $signature = base64_decode(rawurldecode($found[1]), true);
    $signed = stringToSign($headers['response-time'] ?? '', $body);
    return $signature !== false && openssl_verify($signed, $signature, $walletKey, OPENSSL_ALGO_SHA256) === 1;
}

// Returns a final result, or null while the outcome is unknown.
function ask(string $paymentId): ?array
{
    global $url, $clientId, $merchantKey;
    $body = json_encode(['paymentId' => $paymentId]);
    $time = (new DateTime('now', new DateTimeZone('UTC')))->format('Y-m-d\TH:i:s.v\Z');
    openssl_sign(stringToSign($time, $body), $signature, $merchantKey, OPENSSL_ALGO_SHA256);
    $version = getenv('KEY_VERSION') ?: '1';
    $answer = @file_get_contents($url, false, stream_context_create(['http' => [
        'method' => 'POST',
        'content' => $body,
        'header' => ['Content-Type: application/json; charset=UTF-8', "Client-Id: $clientId", "Request-Time: $time",
            "Signature: algorithm=RSA256, keyVersion=$version, signature=" . base64_encode($signature), 'Connection: close'],
        'follow_location' => 0,
        'ignore_errors' => true,
        'timeout' => (getenv('TIMEOUT_MS') ?: 10000) / 1000,
    ]]));
    if ($answer === false || !preg_match('/^HTTP\/1\.[01] 200\b/', $http_response_header[0] ?? '')) {
        return null; // A failed connection, a timeout or an intermediary's answer.
    }
    $headers = [];
    foreach (array_slice($http_response_header, 1) as $line) {
        [$name, $value] = explode(':', $line, 2) + [1 => ''];
        $headers[strtolower($name)] = trim($value);
    }
    if (!isTheWallets($headers, $answer)) {
        return null; // Truncated answers too: the signature covers the whole body.
    }
    $read = json_decode($answer, true);
    $status = $read['result']['resultStatus'] ?? '';
    return $status === 'F' || ($status === 'S' && ($read['paymentId'] ?? '') === $paymentId) ? $read['result'] : null;
}

$all = true;
foreach (array_slice($argv, 1) as $paymentId) {
    for ($wait = (int) (getenv('BACKOFF_MS') ?: 1000); ($result = ask($paymentId)) === null; $wait = min($wait * 2, 60000)) {
        usleep((int) ($wait * 1000 * (0.5 + mt_rand() / mt_getrandmax() / 2)));
    }
    echo "$paymentId {$result['resultCode']}\n";
    $all = $all && $result['resultStatus'] === 'S';
}
exit($all ? 0 : 1);
