using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests;

/// <summary>
/// Bytes that are sent, read as strictly as HTTP/1.1 (RFC 9112) and the protocol can be read: the fuzzer's own opinion
/// of what the service owes them. It shares no code with the service.
/// </summary>
internal sealed partial class FuzzRequest
{
    private readonly List<(string Name, string Value)> _headers = [];
    private readonly int _end;
    private readonly byte[]? _body;

    public FuzzRequest(byte[] bytes)
    {
        Bytes = bytes;
        _end = bytes.Length;
        var text = Encoding.Latin1.GetString(bytes);
        Method = text.Split(' ', 2)[0];
        if (Head(text, out var start, out var plain) is not { } lines)
        {
            IsCutOff = true;
            return;
        }
        Method = lines[0].Split(' ', 2)[0];
        if (RequestLine().Match(lines[0]) is not { Success: true } line)
            return;
        IsHttp1 = true;
        plain &= lines[0].Split(' ').Length == 3;
        foreach (var header in lines.Skip(1))
        {
            if (HeaderLine().Match(header) is not { Success: true } match)
                return;
            plain &= match.Groups["name"].Value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
            _headers.Add((match.Groups["name"].Value, match.Groups["value"].Value.Trim(' ', '\t')));
        }

        switch (All("Content-Length"), All("Transfer-Encoding"))
        {
            case ([], []):
                _body = [];
                break;
            case ([{ Length: > 0 and < 9 } digits], []) when digits.All(char.IsAsciiDigit):
                var length = int.Parse(digits, CultureInfo.InvariantCulture);
                IsCutOff = start + length > bytes.Length;
                _body = IsCutOff ? null : bytes[start..(start + length)];
                start += length;
                break;
            // RFC 9112, 6.3: chunks outrank a length. What is chunked besides is not undone, and signed as it is.
            case (var lengths, [var coding])
                when coding.Split(',')[^1].Trim(' ', '\t').Equals("chunked", StringComparison.OrdinalIgnoreCase):
                plain = coding == "chunked" && lengths.Count == 0;
                _body = Unchunked(text, ref start, ref plain, out var cutOff);
                IsCutOff = cutOff;
                break;
            default:
                return;
        }
        if (_body is null)
            return;
        _end = start;
        IsWhole = plain && start == bytes.Length;
        var target = line.Groups["target"].Value;
        Path = AbsoluteForm().Match(target) is { Success: true } absolute ? absolute.Groups["path"].Value : target;
        if (Path.Length == 0)
            Path = "/";
    }

    public byte[] Bytes { get; }

    public string Method { get; }

    /// <summary>The path as signed; null when the bytes are no request.</summary>
    public string? Path { get; }

    /// <summary>Exactly one request, without doubt about where it ends.</summary>
    public bool IsWhole { get; }

    /// <summary>The start of a request, as far as can be told.</summary>
    public bool IsCutOff { get; }

    /// <summary>Whether it begins with a line of HTTP/1.0 or 1.1.</summary>
    public bool IsHttp1 { get; }

    /// <summary>What follows.</summary>
    public FuzzRequest Rest => new(Bytes[_end..]);

    /// <summary>What the answer says for whom it is.</summary>
    public string EchoedClientId =>
        All("Client-Id") is [{ Length: <= 256 } id] && id.All(c => c is >= ' ' and <= '~') ? id : "";

    /// <summary>The payment that this request may cancel; null when none.</summary>
    public string? Entitled
    {
        get
        {
            if (Path is null || _body is null || Method != "POST" || !FuzzCorpus.Paths.Contains(Normal(Path)))
                return null;
            if (
                (All("Client-Id"), All("Request-Time"), All("Signature"))
                    is not
                    ([FuzzCorpus.Client], [var time], [var header])
                || !IsNow(time)
            )
                return null;
            byte[] signed = [.. Encoding.Latin1.GetBytes($"POST {Path}\n{FuzzCorpus.Client}.{time}."), .. _body];
            var signatures = header
                .Split(',')
                .Select(member => member.Split('=', 2))
                .Where(member =>
                    member is [var name, _] && name.Trim(' ').Equals("signature", StringComparison.OrdinalIgnoreCase)
                )
                .Select(member => Decoded(member[1].Trim(' ')))
                .ToList();
            return
                signatures is [{ } signature] && KeyPair.Merchant.PublicKey.Verifies(SHA256.HashData(signed), signature)
                ? Named(_body)
                : null;
        }
    }

    private List<string> All(string name) =>
        [
            .. _headers
                .Where(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                .Select(header => header.Value),
        ];

    // A line may end with LF alone, and empty lines may come first (RFC 9112, 2.2); neither is plain.
    private static List<string>? Head(string text, out int start, out bool plain)
    {
        var lines = new List<string>();
        (start, plain) = (0, true);
        while (text.IndexOf('\n', start) is >= 0 and var end)
        {
            var line = text[start..end];
            start = end + 1;
            plain &= line.EndsWith('\r') && (line.Length > 1 || lines.Count > 0);
            line = line.EndsWith('\r') ? line[..^1] : line;
            if (line.Length > 0)
                lines.Add(line);
            else if (lines.Count > 0)
                return lines;
        }
        return null;
    }

    // Chunks with extensions and trailers are read, but are not plain.
    private static byte[]? Unchunked(string text, ref int start, ref bool plain, out bool cutOff)
    {
        var body = new List<byte>();
        while (true)
        {
            cutOff = text.IndexOf("\r\n", start, StringComparison.Ordinal) is var end && end < 0;
            if (cutOff || ChunkHead().Match(text[start..end]) is not { Success: true } head)
                return null;
            plain &= head.Groups["extension"].Length == 0;
            var size = int.Parse(head.Groups["size"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            start = end + 2;
            if (size == 0)
                break;
            cutOff = text.Length < start + size + 2;
            if (cutOff || text[start + size] != '\r' || text[start + size + 1] != '\n')
                return null;
            body.AddRange(Encoding.Latin1.GetBytes(text.Substring(start, size)));
            start += size + 2;
        }
        while (true)
        {
            cutOff = text.IndexOf("\r\n", start, StringComparison.Ordinal) is var end && end < 0;
            if (cutOff)
                return null;
            var trailer = text[start..end];
            start = end + 2;
            if (trailer.Length == 0)
                return [.. body];
            plain = false;
            if (!HeaderLine().IsMatch(trailer))
                return null;
        }
    }

    // Without escapes and dots, as a path is meant.
    private static string Normal(string path)
    {
        var segments = new List<string>();
        foreach (var segment in Uri.UnescapeDataString(path.Split('?')[0]).Split('/')[1..])
        {
            if (segment == ".." && segments.Count > 0)
                segments.RemoveAt(segments.Count - 1);
            else if (segment is not ("." or ".."))
                segments.Add(segment);
        }
        return "/" + string.Join('/', segments);
    }

    private static bool IsNow(string time)
    {
        DateTimeOffset sent;
        if (time.All(char.IsAsciiDigit) && long.TryParse(time, CultureInfo.InvariantCulture, out var milliseconds))
            sent = DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Min(milliseconds, 200_000_000_000_000));
        else if (
            !time.Contains('T', StringComparison.Ordinal)
            || !DateTimeOffset.TryParse(Ticks().Replace(time, "${ticks}"), CultureInfo.InvariantCulture, out sent)
        )
            return false;
        return (sent - TestHost.Noon).Duration() <= TimeSpan.FromMinutes(5);
    }

    private static byte[]? Decoded(string text)
    {
        var base64 = Uri.UnescapeDataString(text).Replace('-', '+').Replace('_', '/').TrimEnd('=');
        try
        {
            return Convert.FromBase64String(base64 + new string('=', (4 - (base64.Length % 4)) % 4));
        }
        catch (FormatException)
        {
            return null;
        }
    }

    // The payment that a body names, when it is JSON as the protocol wants it.
    private static string? Named(byte[] body)
    {
        var members = new Dictionary<string, string?>(StringComparer.Ordinal);
        var open = new Stack<HashSet<string>>();
        try
        {
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(body);
            var reader = new Utf8JsonReader(body);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return null;
            open.Push(new(StringComparer.Ordinal));
            string? name = null;
            while (reader.Read())
            {
                switch (reader.TokenType)
                {
                    case JsonTokenType.PropertyName:
                        name = reader.GetString()!;
                        if (!open.Peek().Add(name))
                            return null;
                        break;
                    case JsonTokenType.StartObject or JsonTokenType.StartArray when IsField(open.Count, name):
                    case JsonTokenType.Number
                    or JsonTokenType.True
                    or JsonTokenType.False when IsField(open.Count, name):
                        return null;
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        open.Push(new(StringComparer.Ordinal));
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        open.Pop();
                        break;
                    case JsonTokenType.String when IsField(open.Count, name):
                        members[name!] = reader.GetString();
                        break;
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            return null;
        }
        if (members.GetValueOrDefault("extendInfo") is { Length: > 4096 } || body.Length > 65536)
            return null;
        var (id, requestId) = (members.GetValueOrDefault("paymentId"), members.GetValueOrDefault("paymentRequestId"));
        if (id is null && requestId is null || (requestId is not null && !Id().IsMatch(requestId)))
            return null;
        return FuzzCorpus.Cancellable.SingleOrDefault(payment =>
            (id ?? requestId) == (id is null ? $"req-{payment}" : payment)
        );

        static bool IsField(int depth, string? name) =>
            depth == 1 && name is "paymentId" or "paymentRequestId" or "extendInfo" && depth == 1;
    }

    [GeneratedRegex(
        @"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+ (?<target>[!-~]+) +HTTP/1\.[01]\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex RequestLine();

    [GeneratedRegex(
        @"\A(?<name>[^:\s\0]+):(?<value>[^\r\n\0]*)\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex HeaderLine();

    [GeneratedRegex(
        @"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(?<path>[^#]*)",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex AbsoluteForm();

    [GeneratedRegex(
        @"\A(?<size>0*[0-9A-Fa-f]{1,6})(?<extension>|[ \t;][^\r\n]*)\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex ChunkHead();

    // What is finer than a tick.
    [GeneratedRegex(@"(?<ticks>\.[0-9]{7})[0-9]+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Ticks();

    [GeneratedRegex(@"\A[A-Za-z0-9_.-]{1,64}\z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Id();
}

/// <summary>A connection that sends any bytes, and takes nothing but well-formed answers.</summary>
internal sealed partial class FuzzWire : IDisposable
{
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly byte[] _buffer = new byte[16 * 1024];
    private readonly int _port;
    private int _filled;
    private bool _ended;
    private Task _sending = Task.CompletedTask;

    public FuzzWire(int port)
    {
        _port = port;
        _socket.NoDelay = true;
        _socket.LingerState = new LingerOption(true, 0); // Leaves no port waiting.
    }

    /// <summary>How many answers have come.</summary>
    public int Answered { get; private set; }

    public async Task Send(byte[] bytes)
    {
        await _socket.ConnectAsync(IPAddress.Loopback, _port);
        _sending = Sending(bytes);
    }

    /// <summary>Says that no more will come.</summary>
    public void EndSending()
    {
        try
        {
            if (_sending.IsCompleted)
                _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The server was first.
        }
    }

    /// <summary>Whether there is an answer, or the end of the connection, within the time that a taste is worth.</summary>
    public async Task<bool> HasAnswer()
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await More(patience.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>The next answer; null when the connection has ended.</summary>
    public async Task<Answer?> Receive(string method)
    {
        using var hang = new CancellationTokenSource(Hang);
        while (true)
        {
            int end;
            while ((end = _buffer.AsSpan(0, _filled).IndexOf("\r\n\r\n"u8)) < 0)
            {
                if (_filled > 0 && _buffer[0] == 0)
                    return null; // HTTP/2's GOAWAY, to whom began with HTTP/2.
                if (_ended)
                {
                    _filled.ShouldBe(0, "half an answer");
                    return null;
                }
                await More(hang.Token);
            }
            var lines = Encoding.Latin1.GetString(_buffer, 0, end).Split("\r\n");
            var status = StatusLine().Match(lines[0]);
            status.Success.ShouldBeTrue(lines[0]);
            if (status.Groups["status"].Value == "100")
            {
                Take(end + 4);
                continue;
            }
            lines.Skip(1).All(HeaderLine().IsMatch).ShouldBeTrue("a header is malformed");
            var headers = lines[1..]
                .Select(line => line.Split(": ", 2))
                .Select(h => (Name: h[0], Value: h[1]))
                .ToList();
            headers
                .DistinctBy(header => header.Name.ToUpperInvariant(), StringComparer.Ordinal)
                .Count()
                .ShouldBe(headers.Count);
            var length = int.Parse(headers.Single(h => h.Name == "Content-Length").Value, CultureInfo.InvariantCulture);
            if (method == "HEAD")
                length = 0;
            while (_filled < end + 4 + length)
            {
                _ended.ShouldBeFalse("half a body");
                await More(hang.Token);
            }
            var body = _buffer[(end + 4)..(end + 4 + length)];
            Take(end + 4 + length);
            Answered++;
            return new Answer(int.Parse(status.Groups["status"].Value, CultureInfo.InvariantCulture), headers, body);
        }
    }

    public void Dispose() => _socket.Dispose();

    private async Task Sending(byte[] bytes)
    {
        try
        {
            for (var sent = 0; sent < bytes.Length; )
                sent += await _socket.SendAsync(bytes.AsMemory(sent));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The server may hang up before it has read all.
        }
    }

    private async Task More(CancellationToken cancellationToken)
    {
        if (_ended)
            return;
        try
        {
            var read = await _socket.ReceiveAsync(_buffer.AsMemory(_filled), cancellationToken);
            _ended = read == 0;
            _filled += read;
        }
        catch (SocketException)
        {
            _ended = true;
        }
    }

    private void Take(int count)
    {
        _filled -= count;
        Buffer.BlockCopy(_buffer, count, _buffer, 0, _filled);
    }

    [GeneratedRegex(
        @"\AHTTP/1\.1 (?<status>[1-5][0-9]{2}) [ -~]*\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex StatusLine();

    [GeneratedRegex(
        @"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+: [ -~]*\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex HeaderLine();
}
