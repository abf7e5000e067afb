using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>Request as it goes over the wire, byte for byte: nothing is added, corrected or normalised.</summary>
public sealed record CancelCall
{
    /// <summary>Path of the cancel operation, without prefix.</summary>
    public const string Path = "/v2/payments/cancel";

    public required TestClient Client { get; init; }

    public required DateTimeOffset At { get; init; }

    public string Method { get; init; } = "POST";

    public string Target { get; init; } = Path;

    /// <summary>Path in the string to sign, where it differs from the target.</summary>
    public string? SignedPath { get; init; }

    public string Json { get; init; } = """{"paymentId":"p1"}""";

    /// <summary>Body bytes, where they differ from the text of <see cref="Json"/>.</summary>
    public byte[]? Body { get; init; }

    /// <summary>Body bytes to sign, where they differ from the sent ones.</summary>
    public byte[]? SignedBody { get; init; }

    /// <summary>Text of Request-Time, where it differs from <see cref="At"/> in the default format.</summary>
    public string? Time { get; init; }

    public KeyPair? Key { get; init; }

    /// <summary>Format of the Signature header; {0} is the signature.</summary>
    public string Form { get; init; } = "algorithm=RSA256, keyVersion=1, signature={0}";

    public Func<byte[], string> Encode { get; init; } = bytes => Uri.EscapeDataString(Convert.ToBase64String(bytes));

    /// <summary>Names of default headers to leave out.</summary>
    public IReadOnlyList<string> Without { get; init; } = [];

    /// <summary>Additional header lines.</summary>
    public IReadOnlyList<string> Lines { get; init; } = [];

    /// <summary>Chunk size of the body; null sends Content-Length instead.</summary>
    public int? Chunks { get; init; }

    public string RequestTime => Time ?? At.ToString("yyyy-MM-dd'T'HH:mm:ss.fffzzz", CultureInfo.InvariantCulture);

    public byte[] ToBytes()
    {
        var body = Body ?? Encoding.UTF8.GetBytes(Json);
        var signed = StringToSign.Of(Method, SignedPath ?? Target, Client.Id.Value, RequestTime, SignedBody ?? body);
        var signature = Encode((Key ?? Client.Key).Sign(signed));
        var lines = new List<string>
        {
            "Host: localhost",
            $"Client-Id: {Client.Id.Value}",
            $"Request-Time: {RequestTime}",
            $"Signature: {string.Format(CultureInfo.InvariantCulture, Form, signature)}",
            "Content-Type: application/json; charset=UTF-8",
            Chunks is null ? $"Content-Length: {body.Length}" : "Transfer-Encoding: chunked",
        };
        lines.RemoveAll(line => Without.Contains(line.Split(':')[0], StringComparer.Ordinal));
        lines.AddRange(Lines);
        var head = Encoding.UTF8.GetBytes($"{Method} {Target} HTTP/1.1\r\n{string.Join("\r\n", lines)}\r\n\r\n");
        return [.. head, .. Chunks is { } size ? Chunked(body, size) : body];
    }

    private static byte[] Chunked(byte[] body, int size) =>
        [
            .. body.Chunk(size)
                .SelectMany(c =>
                    (byte[])[.. Encoding.ASCII.GetBytes($"{c.Length:x}\r\n"), .. c, .. Encoding.ASCII.GetBytes("\r\n")]
                ),
            .. Encoding.ASCII.GetBytes("0\r\n\r\n"),
        ];
}

/// <summary>Response as it came over the wire.</summary>
public sealed record Answer(int Status, IReadOnlyList<(string Name, string Value)> Headers, byte[] Body)
{
    /// <summary>Body as text.</summary>
    public string Text => Encoding.UTF8.GetString(Body);

    public string Code => Result("resultCode");

    public string ResultStatus => Result("resultStatus");

    public string Message => Result("resultMessage");

    /// <summary>Value of a header that occurs once, by its case-sensitive name.</summary>
    public string Header(string name) => Headers.Single(header => header.Name == name).Value;

    /// <summary>Member of the JSON body; null when it is missing.</summary>
    public string? Member(string name)
    {
        using var document = JsonDocument.Parse(Body);
        return document.RootElement.TryGetProperty(name, out var member) ? member.GetString() : null;
    }

    private string Result(string name)
    {
        using var document = JsonDocument.Parse(Body);
        return document.RootElement.GetProperty("result").GetProperty(name).GetString()!;
    }
}

/// <summary>Raw HTTP client: sends and reads bytes unchanged.</summary>
public static partial class Wire
{
    /// <summary>Sends a call to the public port and asserts the invariants of every API answer.</summary>
    public static async Task<Answer> Send(this TestHost host, CancelCall call)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(call);
        var answer = await Exchange(host.PublicPort, call.ToBytes(), call.Method);
        var clientId = call.Without.Contains("Client-Id", StringComparer.Ordinal) ? "" : call.Client.Id.Value;
        answer.ShouldBeSigned(call.Method, call.SignedPath ?? call.Target, clientId, host.Wallet);
        return answer;
    }

    /// <summary>Cancels payment p1, or the payment named by the given body.</summary>
    public static Task<Answer> Cancel(this TestHost host, TestClient client, string? json = null)
    {
        ArgumentNullException.ThrowIfNull(host);
        var call = new CancelCall { Client = client, At = host.Now };
        return host.Send(json is null ? call : call with { Json = json });
    }

    /// <summary>
    /// Fails unless the answer is HTTP 200 and JSON, spells its header names literally, and has a valid signature over
    /// its bytes.
    /// </summary>
    public static void ShouldBeSigned(
        this Answer answer,
        string method,
        string path,
        string clientId,
        KeyPair? wallet = null
    )
    {
        ArgumentNullException.ThrowIfNull(answer);
        answer.Status.ShouldBe(200, answer.Text);
        // A proxy may lower-case the header name.
        answer
            .Headers.Single(header => header.Name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase))
            .Value.ShouldBe("application/json; charset=UTF-8");
        answer.Header("client-id").ShouldBe(clientId);
        var time = answer.Header("response-time");
        ResponseTime().IsMatch(time).ShouldBeTrue(time);
        var header = SignatureForm().Match(answer.Header("signature"));
        header.Success.ShouldBeTrue(answer.Header("signature"));
        var encoded = header.Groups["signature"].Value;
        encoded.ShouldBe(Uri.EscapeDataString(Uri.UnescapeDataString(encoded)));
        var signature = Convert.FromBase64String(Uri.UnescapeDataString(encoded));
        var signed = StringToSign.Of(method, path, clientId, time, answer.Body);
        (wallet ?? KeyPair.Wallet).PublicKey.Verifies(SHA256.HashData(signed), signature).ShouldBeTrue();

        answer.Code.Length.ShouldBeInRange(1, 64);
        answer.Message.Length.ShouldBeInRange(1, 256);
        answer.ResultStatus.ShouldBe(
            answer.Code switch
            {
                "SUCCESS" => "S",
                "UNKNOWN_EXCEPTION" => "U",
                _ => "F",
            }
        );
    }

    /// <summary>Sends bytes on a new connection and reads one answer.</summary>
    public static async Task<Answer> Exchange(int port, byte[] request, string method)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        await using var stream = client.GetStream();
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        // The server may answer and close the connection before it has read the whole request.
        var writing = Write(stream, request, timeout.Token);
        var answer = await Read(stream, method, timeout.Token);
        await writing;
        return answer;
    }

    private static async Task Write(NetworkStream stream, byte[] bytes, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(bytes, cancellationToken);
        }
        catch (IOException)
        {
            // The answer matters, not the aborted write; without an answer, reading fails.
        }
    }

    /// <summary>Returns true when a loopback port accepts connections.</summary>
    public static async Task<bool> Listens(int port)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    internal static async Task<Answer> Read(NetworkStream stream, string method, CancellationToken cancellationToken)
    {
        var received = new List<byte>();
        var buffer = new byte[16 * 1024];
        int end;
        while ((end = HeadEnd(received)) < 0)
            await More();
        var lines = Encoding.Latin1.GetString([.. received[..end]]).Split("\r\n");
        var headers = lines[1..]
            .Select(line => line.Split(':', 2))
            .Select(parts => (Name: parts[0], Value: parts[1].Trim(' ')))
            .ToList();
        var length = int.Parse(
            headers.Single(h => h.Name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)).Value,
            CultureInfo.InvariantCulture
        );
        if (method == "HEAD")
            length = 0;
        var start = end + 4;
        while (received.Count < start + length)
            await More();
        received.Count.ShouldBe(start + length);
        return new Answer(
            int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture),
            headers,
            [.. received[start..]]
        );

        async Task More()
        {
            var read = await stream.ReadAsync(buffer, cancellationToken);
            if (read == 0)
                throw new EndOfStreamException($"The answer is incomplete: {Encoding.Latin1.GetString([.. received])}");
            received.AddRange(buffer.AsSpan(0, read));
        }
    }

    private static int HeadEnd(List<byte> bytes)
    {
        for (var i = 0; i + 3 < bytes.Count; i++)
        {
            if (bytes[i] == '\r' && bytes[i + 1] == '\n' && bytes[i + 2] == '\r' && bytes[i + 3] == '\n')
                return i;
        }
        return -1;
    }

    [GeneratedRegex(
        @"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?[+-][0-9]{2}:[0-9]{2}\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex ResponseTime();

    [GeneratedRegex(
        @"\Aalgorithm=RSA256,keyVersion=1,signature=(?<signature>[A-Za-z0-9%]+)\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex SignatureForm();
}

/// <summary>
/// Persistent connection for consecutive requests; it reopens after the server announces that it closes.
/// </summary>
public sealed class KeptConnection(int port) : IDisposable
{
    private TcpClient? _client;

    /// <summary>Sends a request and reads its answer; fails after a client's usual timeout.</summary>
    public async Task<Answer> Send(byte[] request)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(15));
        try
        {
            if (_client is null)
            {
                _client = new TcpClient { NoDelay = true };
                await _client.ConnectAsync(IPAddress.Loopback, port, timeout.Token);
            }
            var stream = _client.GetStream();
            await stream.WriteAsync(request, timeout.Token);
            var answer = await Wire.Read(stream, "POST", timeout.Token);
            if (answer.Headers.Contains(("Connection", "close")) || answer.Headers.Contains(("connection", "close")))
                Dispose();
            return answer;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Closes the connection; the next request opens a new one.</summary>
    public void Dispose()
    {
        _client?.Dispose();
        _client = null;
    }
}
