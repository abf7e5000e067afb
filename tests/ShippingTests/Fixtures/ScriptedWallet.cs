using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace CancelService.ShippingTests.Fixtures;

/// <summary>
/// A wallet that answers each payment by its script, rightly or wrongly, down to a cut connection. It verifies requests
/// as the real wallet does.
/// </summary>
internal sealed class ScriptedWallet : IDisposable
{
    public const string ClientId = "SHOP_1";
    public const string Path = "/v2/payments/cancel";

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly RSA _wallet = RSA.Create(2048);
    private readonly RSA _merchant = RSA.Create(2048);
    private readonly IReadOnlyDictionary<string, string[]> _scripts;
    private readonly ConcurrentDictionary<string, int> _asked = new(StringComparer.Ordinal);

    /// <param name="scripts">Answers of each payment in order; the last one repeats.</param>
    public ScriptedWallet(IReadOnlyDictionary<string, string[]> scripts)
    {
        _scripts = scripts;
        _listener.Start();
        _ = Serve();
    }

    /// <summary>Heads of requests that are not signed or written as documented.</summary>
    public ConcurrentQueue<string> Complaints { get; } = new();

    public string Url => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}{Path}";

    public string WalletKey => _wallet.ExportSubjectPublicKeyInfoPem();

    public string MerchantKey => _merchant.ExportPkcs8PrivateKeyPem();

    /// <summary>Number of cancels sent for a payment.</summary>
    public int Asked(string payment) => _asked.GetValueOrDefault(payment);

    public void Dispose()
    {
        _listener.Dispose();
        _wallet.Dispose();
        _merchant.Dispose();
    }

    private async Task Serve()
    {
        while (true)
        {
            TcpClient connection;
            try
            {
                connection = await _listener.AcceptTcpClientAsync();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
            _ = Answer(connection);
        }
    }

    private async Task Answer(TcpClient connection)
    {
        using (connection)
        {
            try
            {
                var stream = connection.GetStream();
                var (head, body) = await Read(stream);
                var payment = JsonDocument.Parse(body).RootElement.GetProperty("paymentId").GetString()!;
                Check(head, body);
                var script = _scripts[payment];
                var move = script[Math.Min(_asked.AddOrUpdate(payment, 1, (_, n) => n + 1), script.Length) - 1];
                if (move == "nothing")
                    await Task.Delay(TimeSpan.FromSeconds(30));
                else if (move != "reset")
                    await stream.WriteAsync(Bytes(move, payment));
            }
            catch (IOException)
            {
                // The client gave up and closed the connection.
            }
        }
    }

    private static async Task<(string Head, byte[] Body)> Read(NetworkStream stream)
    {
        var read = new List<byte>();
        var buffer = new byte[4096];
        while (true)
        {
            var text = Encoding.Latin1.GetString([.. read]);
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end >= 0)
            {
                var length = int.Parse(Header(text[..end], "Content-Length"), CultureInfo.InvariantCulture);
                if (read.Count >= end + 4 + length)
                    return (text[..end], [.. read.Skip(end + 4).Take(length)]);
            }
            var count = await stream.ReadAsync(buffer);
            if (count == 0)
                throw new IOException("The client closed the connection.");
            read.AddRange(buffer[..count]);
        }
    }

    private void Check(string head, byte[] body)
    {
        var signature = Header(head, "Signature").Split("signature=");
        var signed = StringToSign.Of("POST", Path, ClientId, Header(head, "Request-Time"), body);
        var isRight =
            head.StartsWith($"POST {Path} HTTP/1.1", StringComparison.Ordinal)
            && Header(head, "Client-Id") == ClientId
            && Header(head, "Content-Type").StartsWith("application/json", StringComparison.Ordinal)
            && signature is ["algorithm=RSA256, keyVersion=7, ", var value]
            && _merchant.VerifyData(
                signed,
                Convert.FromBase64String(value),
                HashAlgorithmName.SHA256,
                RSASignaturePadding.Pkcs1
            )
            && DateTimeOffset.Parse(Header(head, "Request-Time"), CultureInfo.InvariantCulture)
                > TimeProvider.System.GetUtcNow().AddMinutes(-5);
        if (!isRight)
            Complaints.Enqueue(head);
    }

    private static string Header(string head, string name) =>
        head.Split("\r\n")
            .Where(line => line.StartsWith($"{name}:", StringComparison.OrdinalIgnoreCase))
            .Select(line => line[(name.Length + 1)..].Trim())
            .FirstOrDefault("");

    // "S", "F ORDER_NOT_EXIST" and "U" are valid answers; all other moves have a flaw.
    private byte[] Bytes(string move, string payment)
    {
        var words = move.Split(' ', 2);
        var more = words is [_, var rest] ? rest : "";
        var success = Success(payment);
        return words[0] switch
        {
            "S" => Signed(success),
            "F" => Signed(Result(more, "F")),
            "U" => Signed(Result("UNKNOWN_EXCEPTION", "U")),
            "status" => Signed(success, status: more),
            "plain" => Plain(more, "text/plain", ""),
            "html" => Plain(more, "text/html", "<html><body>\"resultStatus\":\"S\" Bad Gateway</body></html>"),
            "redirect" => Utf8.GetBytes(
                $"HTTP/1.1 {more}\r\nLocation: {Url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ),
            "body" => Signed(success, sent: more),
            "signed-body" => Signed(more),
            "time" => Signed(success, sentTime: "2026-01-01T00:00:00Z"),
            "path" => Signed(success, path: "/v1/payments/cancel"),
            "client" => Signed(success, client: more),
            "unsigned" => Signed(success, signature: _ => ""),
            "header" => Signed(success, signature: _ => more),
            "algorithm" => Signed(success, signature: value => $"algorithm=NONE,keyVersion=1,signature={value}"),
            "key" => Signed(success, key: _merchant),
            "SHA-1" => Signed(success, hash: HashAlgorithmName.SHA1),
            "other" => Signed(Success("another-payment")),
            "nobody" => Signed("{\"result\":{\"resultCode\":\"SUCCESS\",\"resultStatus\":\"S\"}}"),
            "cut" => Signed(success)[..^(more == "body" ? 20 : 300)],
            "chunked" => Utf8.GetBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"result\""),
            "garbage" => [0x16, 0x03, 0x01, 0x00, 0xFF, .. Utf8.GetBytes("\r\n\r\n")],
            _ => throw new InvalidOperationException($"The move '{move}' is unknown."),
        };
    }

    private static string Success(string payment) =>
        $$"""{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"}"""
        + $$""","paymentId":"{{payment}}","paymentRequestId":"r-é","cancelTime":"2026-03-01T18:15:30+08:00"}""";

    private static string Result(string code, string status) =>
        $$"""{"result":{"resultCode":"{{code}}","resultStatus":"{{status}}","resultMessage":"A message."} }""";

    private static byte[] Plain(string status, string type, string text) =>
        Utf8.GetBytes(
            $"HTTP/1.1 {status}\r\nContent-Type: {type}\r\nContent-Length: {Utf8.GetByteCount(text)}\r\n"
                + $"Connection: close\r\n\r\n{text}"
        );

    private byte[] Signed(
        string body,
        string? sent = null,
        string status = "200 OK",
        string client = ClientId,
        string path = Path,
        string? sentTime = null,
        RSA? key = null,
        HashAlgorithmName? hash = null,
        Func<string, string>? signature = null
    )
    {
        const string time = "2026-03-01T18:15:30+08:00";
        var value = Uri.EscapeDataString(
            Convert.ToBase64String(
                (key ?? _wallet).SignData(
                    StringToSign.Of("POST", path, client, time, body),
                    hash ?? HashAlgorithmName.SHA256,
                    RSASignaturePadding.Pkcs1
                )
            )
        );
        var line = signature is null ? $"algorithm=RSA256,keyVersion=1,signature={value}" : signature(value);
        var bytes = Utf8.GetBytes(sent ?? body);
        return
        [
            .. Utf8.GetBytes(
                $"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: "
                    + $"{bytes.Length}\r\n"
                    + $"client-id: {client}\r\nresponse-time: {sentTime ?? time}\r\n"
                    + (line.Length > 0 ? $"signature: {line}\r\n" : "")
                    + "Connection: close\r\n\r\n"
            ),
            .. bytes,
        ];
    }
}
