using System.Buffers.Text;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using CancelService.Api.Operations.Cancel;
using CancelService.Infrastructure.Signing;
using CancelService.Protocol;
using CancelService.Sandbox.Demo;

namespace CancelService.Sandbox;

/// <summary>A mistake that the demo's merchant can make on purpose.</summary>
/// <param name="Name">Its name in the form.</param>
/// <param name="Text">What it is, for a reader.</param>
internal sealed record DemoMistake(string Name, string Text);

/// <summary>The demo's merchant: signs a cancel, rightly or with a mistake, and sends it over the public port.</summary>
internal sealed class DemoMerchant(DemoKeys keys, WalletKey wallet, TimeProvider time)
{
    /// <summary>The demo's client.</summary>
    public const string ClientId = DemoWallet.Client;

    private const int MaxAnswer = 64 * 1024;
    private const string UnknownVersion = "999999"; // Browsers register others.

    /// <summary>The mistakes; the first is none.</summary>
    public static IReadOnlyList<DemoMistake> Mistakes { get; } =
    [
        new("", "nothing: sign it rightly"),
        new("crlf", "CR LF in place of the line feed"),
        new("pretty", "sign the body pretty-printed, send it minified"),
        new("line-feed", "sign a line feed at the end of the body"),
        new("host", "sign the URL with its host"),
        new("time", "sign another moment than is sent"),
        new("sha1", "hash with SHA-1"),
        new("twice", "sign the hexadecimal text of the hash"),
        new("key", "sign with the wallet's private key"),
        new("hex", "send the signature in hexadecimal"),
        new("version", "send a keyVersion that is not registered"),
        new("zone", "send a local time with the offset of another zone"),
        new("no-time", "leave Request-Time out"),
        new("client", "send a Client-Id that nobody has"),
        new("path", "send it to a path that is none of the API"),
        new("method", "send it with PUT"),
        new("media", "call the body XML"),
        new("no-id", "send a body without an identifier"),
    ];

    /// <summary>The request as it goes over the wire.</summary>
    public byte[] Request(string json, string host, string mistake)
    {
        var now = time.GetUtcNow();
        var at = mistake == "zone" ? now.AddHours(8) : now;
        var requestTime = at.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        var signedTime =
            mistake == "time"
                ? now.AddMilliseconds(7).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)
                : requestTime;
        var path = mistake == "host" ? $"http://{host}{CancelOperation.Route}" : CancelOperation.Route;
        var body = mistake switch
        {
            "pretty" => json.Replace("{", "{\n  ", StringComparison.Ordinal)
                .Replace("\":\"", "\": \"", StringComparison.Ordinal)
                .Replace("\",\"", "\",\n  \"", StringComparison.Ordinal)
                .Replace("\"}", "\"\n}", StringComparison.Ordinal),
            "line-feed" => json + "\n",
            _ => json,
        };
        if (mistake == "no-id")
            body = json = "{}";
        var text = $"POST {path}{(mistake == "crlf" ? "\r\n" : "\n")}{ClientId}.{signedTime}.{body}";
        var signature = Sign(Encoding.UTF8.GetBytes(text), mistake);
        var encoded =
            mistake == "hex"
                ? Convert.ToHexStringLower(signature)
                : Uri.EscapeDataString(Convert.ToBase64String(signature));
        var request = Request(json, host, requestTime, mistake == "version" ? UnknownVersion : "1", encoded);
        return mistake switch
        {
            "no-time" => Changed($"Request-Time: {requestTime}\r\n", ""),
            "client" => Changed($"Client-Id: {ClientId}", "Client-Id: NOBODY"),
            "path" => Changed(CancelOperation.Route, "/v2/payments/cancelPayment"),
            "method" => Changed("POST ", "PUT "),
            "media" => Changed("application/json", "application/xml"),
            _ => request,
        };

        byte[] Changed(string right, string wrong) =>
            Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(request).Replace(right, wrong, StringComparison.Ordinal));
    }

    /// <summary>A request that is signed already, as it goes over the wire.</summary>
    public static byte[] Request(string json, string host, string requestTime, string keyVersion, string signature) =>
        Encoding.UTF8.GetBytes(
            $"POST {CancelOperation.Route} HTTP/1.1\r\nHost: {host}\r\nClient-Id: {ClientId}\r\nRequest-Time: {requestTime}\r\n"
                + $"Signature: algorithm=RSA256, keyVersion={keyVersion}, signature={signature}\r\n"
                + $"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\nConnection: close\r\n\r\n{json}"
        );

    /// <summary>Sends a request as it is, and reads the answer to its end.</summary>
    public static async Task<string> Send(byte[] request, Uri address, CancellationToken cancellationToken)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync("localhost", address.Port, cancellationToken);
        var stream = connection.GetStream();
        await stream.WriteAsync(request, cancellationToken);
        var answer = new byte[MaxAnswer];
        var length = await stream.ReadAtLeastAsync(answer, answer.Length, throwOnEndOfStream: false, cancellationToken);
        return Encoding.UTF8.GetString(answer.AsSpan(0, length));
    }

    /// <summary>Verifies the answer to a request as a merchant does, in a sentence.</summary>
    public string Verify(string answer, byte[] request)
    {
        var sent = Encoding.UTF8.GetString(request).Split(' ', 3);
        var end = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            return "The answer has no end of its headers.";
        var headers = answer[..end]
            .Split("\r\n")
            .Skip(1)
            .Select(line => line.Split(": ", 2))
            .ToDictionary(pair => pair[0], pair => pair[^1], StringComparer.OrdinalIgnoreCase);
        if (!headers.TryGetValue("signature", out var header))
            return "The answer is not signed: it is not of the API.";
        var signature = header[(header.IndexOf("signature=", StringComparison.Ordinal) + 10)..];
        var decoded = Uri.UnescapeDataString(signature);
        if (!Base64.IsValid(decoded))
            return "The signature is not base64.";
        var body = Encoding.UTF8.GetBytes(answer[(end + 4)..]);
        var hash = SignatureScheme.Hash(
            sent[0],
            sent[1],
            headers.GetValueOrDefault("client-id", ""),
            headers.GetValueOrDefault("response-time", ""),
            body
        );
        return wallet.PublicKey.Verifies(hash, Convert.FromBase64String(decoded))
            ? "The wallet's signature over path, client-id, response-time and body verifies."
            : "The signature does not verify: don't believe this answer.";
    }

    private byte[] Sign(byte[] text, string mistake)
    {
        if (mistake == "key")
            return wallet.SignHash(SHA256.HashData(text));
        using var rsa = RSA.Create();
        rsa.ImportFromPem(File.ReadAllText(Path.Combine(keys.Directory, "merchant-private.pem")));
        if (mistake == "twice")
            text = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(text)));
        return rsa.SignData(
            text,
            mistake == "sha1" ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1
        );
    }
}
