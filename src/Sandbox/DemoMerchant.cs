using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using CancelService.Api.Operations.Cancel;
using CancelService.Domain.Clients;
using CancelService.Protocol;
using CancelService.Sandbox.Demo;

namespace CancelService.Sandbox;

/// <summary>A mistake that the demo's merchant makes on purpose.</summary>
/// <param name="Name">The value in the form.</param>
/// <param name="Text">The text in the form.</param>
internal sealed record DemoMistake(string Name, string Text);

/// <summary>
/// The demo's merchant: signs a cancel, rightly or with a mistake, and sends it over the public port. It holds the
/// merchant's private key and never the wallet's.
/// </summary>
internal sealed class DemoMerchant(DemoKeys keys, RecentRequests recent, TimeProvider time)
{
    /// <summary>The demo's client.</summary>
    public const string ClientId = DemoWallet.Client;

    private const int MaxAnswer = 64 * 1024;
    private const string UnknownVersion = "999999"; // Browsers register others.

    // For the mistake of a wrong key. Nobody has registered this one.
    private static readonly Lazy<RSAParameters> Stranger = new(() =>
    {
        using var rsa = RSA.Create(2048);
        return rsa.ExportParameters(includePrivateParameters: true);
    });

    private readonly PublicKey _wallet = PublicKey.Parse(keys.WalletPublicKeyPem);

    /// <summary>The choices of the form; the first one is no mistake.</summary>
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
        new("key", "sign with a private key that is not registered"),
        new("hex", "send the signature in hexadecimal"),
        new("version", "send a keyVersion that is not registered"),
        new("zone", "send a local time with the offset of another zone"),
        new("no-time", "leave Request-Time out"),
        new("client", "send a Client-Id that is not registered"),
        new("path", "send it to a path that the API does not have"),
        new("method", "send it with PUT"),
        new("media", "call the body XML"),
        new("no-id", "send a body without an identifier"),
    ];

    /// <summary>Builds the bytes of a request, with a mistake in it or without.</summary>
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

    /// <summary>Builds the bytes of a request that has its signature already.</summary>
    public static byte[] Request(string json, string host, string requestTime, string keyVersion, string signature) =>
        Encoding.UTF8.GetBytes(
            $"POST {CancelOperation.Route} HTTP/1.1\r\nHost: {host}\r\n"
                + $"Client-Id: {ClientId}\r\nRequest-Time: {requestTime}\r\n"
                + $"Signature: algorithm=RSA256, keyVersion={keyVersion}, signature={signature}\r\n"
                + "Content-Type: application/json; charset=UTF-8\r\n"
                + $"Content-Length: {Encoding.UTF8.GetByteCount(json)}\r\nConnection: close\r\n\r\n{json}"
        );

    /// <summary>Sends a request unchanged, kept for one visitor alone, and reads the whole answer.</summary>
    public async Task<string> Send(byte[] request, Uri address, string visitor, CancellationToken cancellationToken)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync("localhost", address.Port, cancellationToken);
        using var expected = recent.Expect((IPEndPoint)connection.Client.LocalEndPoint!, visitor);
        var stream = connection.GetStream();
        await stream.WriteAsync(request, cancellationToken);
        var answer = new byte[MaxAnswer];
        var length = await stream.ReadAtLeastAsync(answer, answer.Length, throwOnEndOfStream: false, cancellationToken);
        return Encoding.UTF8.GetString(answer.AsSpan(0, length));
    }

    /// <summary>Verifies the answer to a request as a merchant does; says the result in a sentence.</summary>
    public string Verify(string answer, byte[] request)
    {
        var sent = Encoding.UTF8.GetString(request).Split(' ', 3);
        var end = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            return "The answer breaks off before the end of its headers.";
        var headers = answer[..end]
            .Split("\r\n")
            .Skip(1)
            .Select(line => line.Split(": ", 2))
            .ToDictionary(pair => pair[0], pair => pair[^1], StringComparer.OrdinalIgnoreCase);
        if (!headers.TryGetValue("signature", out var header))
            return "The answer is not signed, so it does not come from the API.";
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
        return _wallet.Verifies(hash, Convert.FromBase64String(decoded))
            ? "The wallet's signature over path, client-id, response-time and body verifies."
            : "The signature does not verify: don't believe this answer.";
    }

    private byte[] Sign(byte[] text, string mistake)
    {
        using var rsa = RSA.Create();
        if (mistake == "key")
            rsa.ImportParameters(Stranger.Value);
        else
            rsa.ImportFromPem(File.ReadAllText(keys.MerchantPrivateKeyPath));
        if (mistake == "twice")
            text = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(text)));
        return rsa.SignData(
            text,
            mistake == "sha1" ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1
        );
    }
}
