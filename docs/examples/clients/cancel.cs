// Cancels payments: signs, sends, verifies, and repeats until the answer is final. Needs .NET 10 only.
//
//   MERCHANT_KEY=merchant-private.pem WALLET_KEY=wallet-public.pem dotnet run cancel.cs PAYMENT_ID...
//
// Prints each payment's id and result code; exits with 0 if all are cancelled. URL, CLIENT_ID, KEY_VERSION, BACKOFF_MS
// and TIMEOUT_MS override the defaults of the demo wallet.
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

var url = new Uri(Env("URL", "http://localhost:8080/v2/payments/cancel"));
var clientId = Env("CLIENT_ID", "DEMO_CLIENT");
using var merchant = Key("MERCHANT_KEY", "data/demo/merchant-private.pem");
using var wallet = Key("WALLET_KEY", "data/demo/wallet-public.pem");
using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
{
    Timeout = TimeSpan.FromMilliseconds(int.Parse(Env("TIMEOUT_MS", "10000"))),
};
var all = true;
foreach (var paymentId in args)
{
    var result = await Cancel(paymentId);
    Console.WriteLine($"{paymentId} {result["resultCode"]}");
    all &= $"{result["resultStatus"]}" == "S";
}
return all ? 0 : 1;

async Task<JsonNode> Cancel(string paymentId)
{
    for (var wait = int.Parse(Env("BACKOFF_MS", "1000")); ; wait = Math.Min(wait * 2, 60_000))
    {
        try
        {
            if (await Ask(paymentId) is { } result)
                return result;
        }
        catch (Exception)
        {
            // A failed connection, a bad answer or a timeout leaves the outcome unknown.
        }
        await Task.Delay((int)(wait * (0.5 + (Random.Shared.NextDouble() / 2))));
    }
}

// Returns a final result, or null while the outcome is unknown.
async Task<JsonNode?> Ask(string paymentId)
{
    var body = Encoding.UTF8.GetBytes(new JsonObject { ["paymentId"] = paymentId }.ToJsonString());
    var time = DateTimeOffset.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'");
    var signed = merchant.SignData(StringToSign(time, body), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
    request.Content.Headers.Add("Content-Type", "application/json; charset=UTF-8");
    request.Headers.Add("Client-Id", clientId);
    request.Headers.Add("Request-Time", time);
    var signature =
        $"algorithm=RSA256, keyVersion={Env("KEY_VERSION", "1")}, signature={Convert.ToBase64String(signed)}";
    request.Headers.Add("Signature", signature);
    using var response = await http.SendAsync(request);
    var answer = await response.Content.ReadAsByteArrayAsync();
    if (response.StatusCode != HttpStatusCode.OK || !IsTheWallets(response, answer))
        return null;
    var read = JsonNode.Parse(answer)!;
    var status = $"{read["result"]!["resultStatus"]}";
    return status == "F" || (status == "S" && $"{read["paymentId"]}" == paymentId) ? read["result"] : null;
}

bool IsTheWallets(HttpResponseMessage response, byte[] body)
{
    string Header(string name) => response.Headers.TryGetValues(name, out var values) ? string.Join(",", values) : "";
    var found = Regex.Match(Header("signature"), @"^\s*algorithm=RSA256\s*,.*\bsignature=([^,\s]+)\s*$");
    return found.Success
        && Header("client-id") == clientId
        && wallet.VerifyData(
            StringToSign(Header("response-time"), body),
            Convert.FromBase64String(Uri.UnescapeDataString(found.Groups[1].Value)),
            HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1
        );
}

// Requests and answers sign the bytes of the body as sent.
byte[] StringToSign(string time, byte[] body) =>
    [.. Encoding.UTF8.GetBytes($"POST {url.AbsolutePath}\n{clientId}.{time}."), .. body];

static RSA Key(string name, string file)
{
    var rsa = RSA.Create();
    rsa.ImportFromPem(File.ReadAllText(Env(name, file)));
    return rsa;
}

static string Env(string name, string otherwise) => Environment.GetEnvironmentVariable(name) ?? otherwise;
