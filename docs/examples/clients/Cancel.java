// Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs Java 17 only.
//
//   MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem java Cancel.java PAYMENT_ID...
//
// Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
// and TIMEOUT_MS override the defaults of the demo wallet.
import static java.nio.charset.StandardCharsets.*;
import java.net.*;
import java.net.http.*;
import java.nio.file.*;
import java.security.*;
import java.security.spec.*;
import java.time.*;
import java.time.temporal.ChronoUnit;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.regex.*;

class Cancel {
    static final URI URL = URI.create(env("URL", "http://localhost:8080/v2/payments/cancel"));
    static final String CLIENT = env("CLIENT_ID", "DEMO_CLIENT");
    static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    static final Pattern SIGNATURE = Pattern.compile("\\s*algorithm=RSA256\\s*,.*\\bsignature=([^,\\s]+)\\s*");

    public static void main(String[] payments) throws Exception {
        var all = true;
        for (var payment : payments) {
            var answer = cancel(payment);
            System.out.println(payment + " " + member(answer, "resultCode"));
            all &= member(answer, "resultStatus").equals("S");
        }
        System.exit(all ? 0 : 1);
    }

    static String cancel(String payment) throws Exception {
        for (var wait = Long.parseLong(env("BACKOFF_MS", "1000"));; wait = Math.min(wait * 2, 60_000)) {
            try {
                var answer = ask(payment);
                if (answer.isPresent()) return answer.get();
            } catch (Exception e) { // A failed connection, a bad answer or a timeout leaves the outcome unknown.
            }
            Thread.sleep((long) (wait * (0.5 + Math.random() / 2)));
        }
    }

    // Returns a final answer, or nothing while the outcome is unknown.
    static Optional<String> ask(String payment) throws Exception {
        var body = "{\"paymentId\":\"" + payment + "\"}";
        var time = Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
        var signer = Signature.getInstance("SHA256withRSA");
        signer.initSign(KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(pem("MERCHANT_KEY", "merchant-private"))));
        signer.update(stringToSign(time, body));
        var signature = Base64.getEncoder().encodeToString(signer.sign());
        var request = HttpRequest.newBuilder(URL).POST(HttpRequest.BodyPublishers.ofString(body))
            .header("Content-Type", "application/json; charset=UTF-8").header("Client-Id", CLIENT).header("Request-Time", time)
            .header("Signature", "algorithm=RSA256, keyVersion=" + env("KEY_VERSION", "1") + ", signature=" + signature).build();
        var answer = HTTP.sendAsync(request, HttpResponse.BodyHandlers.ofString(UTF_8)).get(Long.parseLong(env("TIMEOUT_MS", "10000")), TimeUnit.MILLISECONDS);
        var status = member(answer.body(), "resultStatus");
        var isFinal = status.equals("F") || status.equals("S") && member(answer.body(), "paymentId").equals(payment);
        return answer.statusCode() == 200 && isTheWallets(answer.headers(), answer.body()) && isFinal ? Optional.of(answer.body()) : Optional.empty();
    }

    static boolean isTheWallets(HttpHeaders headers, String body) throws Exception {
        var found = SIGNATURE.matcher(headers.firstValue("signature").orElse(""));
        if (!found.matches() || !headers.firstValue("client-id").orElse("").equals(CLIENT)) return false;
        var verifier = Signature.getInstance("SHA256withRSA");
        verifier.initVerify(KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(pem("WALLET_KEY", "wallet-public"))));
        verifier.update(stringToSign(headers.firstValue("response-time").orElse(""), body));
        return verifier.verify(Base64.getDecoder().decode(URLDecoder.decode(found.group(1).replace("+", "%2B"), UTF_8)));
    }

    // Requests and answers sign the body as sent. Decoding an invalid UTF-8 body changes its bytes, so it does not verify.
    static byte[] stringToSign(String time, String body) {
        return ("POST " + URL.getPath() + "\n" + CLIENT + "." + time + "." + body).getBytes(UTF_8);
    }

    // Java has no JSON parser. Callers check the wallet's signature, and the wallet writes each member once.
    static String member(String json, String name) {
        var found = Pattern.compile("\"" + name + "\":\"((?:[^\"\\\\]|\\\\.)*)\"").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    static byte[] pem(String name, String file) throws Exception {
        return Base64.getMimeDecoder().decode(Files.readString(Path.of(env(name, "data/demo/" + file + ".pem"))).replaceAll("-----[A-Z ]+-----", ""));
    }

    static String env(String name, String otherwise) { return System.getenv().getOrDefault(name, otherwise); }
}
