using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace CancelService.IntegrationTests;

/// <summary>Makes requests: good ones, bent ones, and bytes that are none. The same seed makes the same.</summary>
internal sealed class FuzzCorpus : IDisposable
{
    public const string Client = "FUZZED";

    public static readonly string[] Paths = ["/v2/payments/cancel", "/api/v2/payments/cancel"];

    public static readonly string[] Cancellable = [.. Enumerable.Range(0, 16).Select(i => $"pay{i}")];

    // Texts (in Latin-1, one character a byte) that parsers have stumbled over.
    private static readonly string[] Nasty =
    [
        "\0",
        "\r",
        "\n",
        "\r\n",
        "\r\n\r\n",
        "\t",
        " ",
        "\x7f",
        "\x80",
        "\xff",
        "\xc3\x28",
        "\xc0\xaf",
        "\xed\xa0\x80",
        "\xef\xbb\xbf",
        "\xfe\xff",
        "%",
        "%00",
        "%zz",
        "%2e%2e/",
        "%2F",
        "%5c",
        "%u0041",
        "%C0%AF",
        "..",
        "/../",
        "/./",
        "//",
        "\\",
        "?",
        "#",
        ";",
        ":",
        "://",
        "http://h",
        "=",
        "==",
        ",",
        "+",
        "-",
        "_",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "\\ud800",
        "\\u0000",
        "null",
        "0",
        "-1",
        "99999999999999999999",
        "2147483648",
        "1e400",
        "NaN",
        "algorithm=none,",
        "keyVersion=0,",
        "signature=,",
        "OTHER",
        "theirs",
        "req-theirs",
        "\r\nClient-Id: OTHER",
        "\r\nSignature: signature=x",
        "\r\nRequest-Time: 0",
        "\r\nContent-Length: 0",
        "\r\nContent-Length: 5",
        "\r\nTransfer-Encoding: chunked",
        "\r\nHost: other",
        "\r\nExpect: 100-continue",
        "\r\nConnection: close",
        "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
        "\r\n folded",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "'; DROP TABLE payments; --",
        "${jndi:ldap://h/a}",
        "{0}%s%n",
    ];

    private static readonly string[] Targets =
    [
        "/v2/payments/cancel",
        "/api/v2/payments/cancel",
        "/api/open/v2/payments/cancel",
        "/V2/Payments/Cancel",
        "/v2/payments/cancel/",
        "//v2/payments/cancel",
        "/v2//payments/cancel",
        "/v2/payments/cancel%00",
        "/v2/payments%2Fcancel",
        "/v2/%70ayments/cancel",
        "/v2/payments/%2e/cancel",
        "/v2/payments/%2e%2e/payments/cancel",
        "/x/../v2/payments/cancel",
        "/../v2/payments/cancel",
        "/v2/payments/cancel/..",
        "/v2/payments/cancel?",
        "/v2/payments/cancel?paymentId=theirs",
        "/v2/payments/cancel#f",
        "/v2/payments/cancel;v=1",
        "/v2/payments\\cancel",
        "/v2/payments/c\xe4ncel",
        "/v2/payments/c%E4ncel",
        "http://localhost/v2/payments/cancel",
        "https://wallet.example:8443/api/v2/payments/cancel?x",
        "http://h\\v2/payments/cancel",
        "http://h?/v2/payments/cancel",
        "http://h@i/v2/payments/cancel",
        "http://[::1]/v2/payments/cancel",
        "http:///v2/payments/cancel",
        "ftp://h/v2/payments/cancel",
        "file:///v2/payments/cancel",
        "v2/payments/cancel",
        "*",
        "h:443",
        "/internal/v1/clients",
        "/healthz/live",
        "",
    ];

    private static readonly string[] Methods =
    [
        "POST",
        "GET",
        "HEAD",
        "PUT",
        "DELETE",
        "OPTIONS",
        "TRACE",
        "CONNECT",
        "PATCH",
        "post",
        "P\xd6ST",
        "",
    ];

    private static readonly string[] Times =
    [
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:00:00.123456789+00:00",
        "2026-11-23T20:00:00+0800",
        "2026-11-23T11:55:00Z",
        "2026-11-23T11:54:59Z",
        "2026-11-23T24:00:00Z",
        "2026-02-30T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999999-14:00",
        "2026-11-23T12:00:00+99:99",
        "2026-11-23T12:00:60Z",
        "1795435200000",
        "1795435500001",
        "99999999999999",
        "-1795435200000",
        "0",
    ];

    private static readonly string[] Lengths =
    [
        "-1",
        "+5",
        "0",
        " 5 ",
        "5, 5",
        "5, 6",
        "0x5",
        "5a",
        "05",
        "1e3",
        "99999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "1048577",
        "",
        "\x01",
    ];

    private static readonly string[] Codings =
    [
        "chunked",
        "Chunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "\u000bchunked",
        "chunked;q=1",
        "xchunked",
        "",
    ];

    private static readonly string[] ChunkHeads =
    [
        "5",
        "0",
        "-5",
        "+5",
        "0x5",
        "5;a=b",
        "5;",
        "5 ",
        " 5",
        "5\t",
        "5;\"\n",
        "00000000000000005",
        "FFFFFFFF",
        "7FFFFFFFFFFFFFFF",
        "10000000000000005",
        "g",
        "",
    ];

    private readonly Random _random;
    private readonly RSA _key = RSA.Create();
    private readonly List<Message> _good = [];

    public FuzzCorpus(int seed)
    {
        _random = new Random(seed);
        _key.ImportFromPem(KeyPair.Merchant.PrivatePem);
        for (var i = 0; i < 40; i++)
            _good.Add(Signed(new Message { Target = Paths[i % 5 / 4], Body = Bytes(GoodBody()) }));
    }

    public void Dispose() => _key.Dispose();

    /// <summary>The next request's bytes.</summary>
    public byte[] Next()
    {
        var good = Pick(_good);
        return _random.Next(100) switch
        {
            < 4 => good.ToBytes(),
            < 11 => Signed(good with { Body = Body() }).ToBytes(),
            < 14 => Resigned(good with { Time = Rarely() ? Pick(Times) : Bent(Pick(Times)) }).ToBytes(),
            < 18 => Resigned(good with { Target = Often() ? Pick(Targets) : Bent(Pick(Targets)) }).ToBytes(),
            < 24 => (good with { Signature = BentSignature(good.Signature) }).ToBytes(),
            < 26 => (good with { Method = Pick(Methods), Version = Rarely() ? "HTTP/1.0" : good.Version }).ToBytes(),
            < 28 => (good with { ClientId = Often() ? Pick(Nasty) : Bent(good.ClientId) }).ToBytes(),
            < 30 => (good with { Version = Bent(good.Version) }).ToBytes(),
            < 46 => Bytes(BentHeaders(good)),
            < 62 => Framed(good),
            < 96 => Bytes(Bent(Encoding.Latin1.GetString(good.ToBytes()))),
            _ => Garbage(),
        };
    }

    // A signature is dear, so half of what can be signed anew keeps the old one.
    private Message Resigned(Message message) => Often() ? Signed(message) : message;

    private Message Signed(Message message)
    {
        var path = message.Target;
        if (path.IndexOf("://", StringComparison.Ordinal) is > 0 and var scheme)
            path = path.IndexOf('/', scheme + 3) is > 0 and var slash ? path[slash..] : "/";
        byte[] data = [.. Bytes($"{message.Method} {path}\n{message.ClientId}.{message.Time}."), .. message.Body];
        var signature = Convert.ToBase64String(
            _key.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
        );
        return message with
        {
            Signature = $"algorithm=RSA256, keyVersion=1, signature={Uri.EscapeDataString(signature)}",
        };
    }

    private string GoodBody()
    {
        var id = Pick(Cancellable);
        return _random.Next(6) switch
        {
            0 => $$"""{"paymentRequestId":"req-{{id}}"}""",
            1 => $$"""{"paymentId":"{{id}}","paymentRequestId":"anything"}""",
            2 => $$"""{ "extendInfo" : "{\"a\":\"b\"}", "paymentId" : "{{id}}", "x" : [1, {"y": null}] }""",
            3 => """{"paymentId":"captured"}""",
            4 => """{"paymentId":"theirs"}""",
            _ => $$"""{"paymentId":"{{id}}"}""",
        };
    }

    // A body that is generated, or a good one that is bent: it will be signed, so its parser sees it.
    private byte[] Body()
    {
        var text = _random.Next(12) switch
        {
            < 5 => Bent(GoodBody()),
            < 9 => $"{{{string.Join(',', Members())}}}",
            9 => Json(0),
            10 => string.Concat(Enumerable.Repeat(Often() ? "[" : "{\"a\":", _random.Next(1, 2000))),
            _ => Encoding.Latin1.GetString(
                Pick<Encoding>([Encoding.Unicode, Encoding.BigEndianUnicode, Encoding.UTF32, Encoding.Latin1])
                    .GetBytes("\ufeff" + GoodBody())
            ),
        };
        return Bytes(text);
    }

    private IEnumerable<string> Members()
    {
        string[] names = ["paymentId", "paymentRequestId", "extendInfo", "paymentid", "payment\\u0049d", "a", "a"];
        for (var i = _random.Next(1, 5); i > 0; i--)
            yield return $"\"{Pick(names)}\":{(Often() ? $"\"{Pick(Cancellable)}\"" : Json(0))}";
    }

    private string Json(int depth) =>
        _random.Next(depth > 6 ? 8 : 11) switch
        {
            0 => "null",
            1 => "true",
            2 => Pick(["0", "-0", "01", "1e400", "-1E-400", "0.1", ".5", "1.", "NaN", "9".PadRight(400, '9')]),
            3 => $"\"{Pick(Cancellable)}\"",
            4 => $"\"{Pick(Nasty)}\"",
            5 =>
                $"\"{Pick(["\\ud83d\\ude00", "\\udc00", "\\ud800\\ud800", "\\x", "\\u00", "\xf0\x9f\x98\x80", "\\u0000"])}\"",
            6 => $"\"{new string('x', Rarely() ? _random.Next(70_000) : _random.Next(100))}\"",
            7 => $"\"req-{Pick(Cancellable)}\"",
            8 => $"[{string.Join(',', Enumerable.Range(0, _random.Next(4)).Select(_ => Json(depth + 1)))}]",
            _ =>
                $"{{{string.Join(',', Enumerable.Range(0, _random.Next(4)).Select(i => $"\"{i % 3}\":{Json(depth + 1)}"))}}}",
        };

    private string BentSignature(string signature) =>
        _random.Next(4) switch
        {
            0 => Pick(_good).Signature, // Somebody else's.
            1 => string.Join(',', signature.Split(',').Select(part => Often() ? part : Bent(part))),
            2 => string.Join(',', Enumerable.Repeat(signature, _random.Next(2, 20))),
            _ => Bent(signature),
        };

    // Lines deleted, repeated, exchanged between requests, misspelt.
    private string BentHeaders(Message message)
    {
        var lines = message.Head();
        for (var times = _random.Next(1, 4); times > 0 && lines.Count > 1; times--)
        {
            var i = _random.Next(1, lines.Count);
            switch (_random.Next(9))
            {
                case 0:
                    lines.RemoveAt(i);
                    break;
                case 1:
                    lines.Insert(_random.Next(1, lines.Count), lines[i]);
                    break;
                case 2:
                    lines.Insert(i, Pick(Pick(_good).Head()));
                    break;
                case 3:
                    lines[i] = lines[i].ToUpperInvariant();
                    break;
                case 4:
                    lines[i] = lines[i]
                        .Replace(":", Pick([" :", ":", ":\t", "", ": \0", ":\r\n "]), StringComparison.Ordinal);
                    break;
                case 5:
                    lines[i] = Bent(lines[i]);
                    break;
                case 6:
                    lines.Insert(
                        i,
                        $"{Pick(["Accept", "Content-Type", "Accept-Encoding", "Content-Encoding"])}: {Pick(Nasty)}"
                    );
                    break;
                case 7:
                    lines.Insert(i, $"Client-Id: {Pick([Client, "OTHER", "", new string('x', 257)])}");
                    break;
                default:
                    lines.InsertRange(i, Enumerable.Repeat($"X-{i}: {Pick(Nasty)}", Rarely() ? 120 : 3));
                    break;
            }
        }
        return $"{string.Join("\r\n", lines)}\r\n\r\n{Encoding.Latin1.GetString(message.Body)}";
    }

    // Framing: lengths that lie or disagree, and chunks that no client would send.
    private byte[] Framed(Message message)
    {
        var lines = message.Head();
        lines.RemoveAll(line => line.StartsWith("Content-Length", StringComparison.Ordinal));
        var body = Encoding.Latin1.GetString(message.Body);
        var chunked = _random.Next(3) > 0;
        if (!chunked || Rarely())
        {
            for (var times = _random.Next(1, 3); times > 0; times--)
                lines.Add(
                    $"Content-Length: {(Often() ? Pick(Lengths) : Invariant($"{body.Length + _random.Next(-3, 3)}"))}"
                );
        }
        if (chunked)
        {
            lines.Add($"Transfer-Encoding: {(Often() ? "chunked" : Pick(Codings))}");
            var chunks = new StringBuilder();
            foreach (var chunk in body.Chunk(_random.Next(1, 40)))
                chunks.Append(CultureInfo.InvariantCulture, $"{Size(chunk.Length)}{End()}{new string(chunk)}{End()}");
            body = chunks
                .Append(CultureInfo.InvariantCulture, $"{Size(0)}{End()}{(Rarely() ? "X: y\r\n" : "")}{End()}")
                .ToString();
        }
        if (Rarely())
            body += Encoding.Latin1.GetString(Pick(_good).ToBytes());
        return Bytes($"{string.Join("\r\n", lines)}\r\n\r\n{body}");

        string Size(int length) => _random.Next(12) == 0 ? Pick(ChunkHeads) : Invariant($"{length:x}");

        string End() => _random.Next(40) == 0 ? Pick(["\n", "\r", "", "\r\r\n"]) : "\r\n";
    }

    private byte[] Garbage()
    {
        var bytes = new byte[_random.Next(1, 300)];
        _random.NextBytes(bytes);
        return Rarely() ? Bytes(string.Concat(Enumerable.Repeat(Pick(Nasty), _random.Next(1, 3000)))) : bytes;
    }

    /// <summary>Flips bits, deletes, repeats, moves and inserts.</summary>
    private string Bent(string text)
    {
        for (var times = _random.Next(1, 4); times > 0; times--)
        {
            var at = _random.Next(text.Length + 1);
            var length = Math.Min(text.Length - at, _random.Next(1, Rarely() ? 200 : 8));
            text = _random.Next(8) switch
            {
                0 or 1 when at < text.Length =>
                    $"{text[..at]}{(char)(text[at] ^ (1 << _random.Next(8)))}{text[(at + 1)..]}",
                2 => text.Remove(at, length),
                3 => text.Insert(_random.Next(text.Length + 1), text.Substring(at, length)),
                4 when at < text.Length => $"{text[..at]}{(char)_random.Next(256)}{text[(at + 1)..]}",
                5 when Rarely() => text.Insert(at, new string('A', _random.Next(1, 40_000))),
                6 => text[at..] + text[..at],
                _ => text.Insert(at, Pick(Nasty)),
            };
        }
        return text;
    }

    private bool Often() => _random.Next(2) == 0;

    private bool Rarely() => _random.Next(10) == 0;

    private T Pick<T>(IReadOnlyList<T> values) => values[_random.Next(values.Count)];

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    private sealed record Message
    {
        public string Method { get; init; } = "POST";

        public string Target { get; init; } = CancelCall.Path;

        public string Version { get; init; } = "HTTP/1.1";

        public string ClientId { get; init; } = Client;

        public string Time { get; init; } = "2026-11-23T12:00:00.000+00:00";

        public string Signature { get; init; } = "";

        public byte[] Body { get; init; } = [];

        public List<string> Head() =>
            [
                $"{Method} {Target} {Version}",
                "Host: localhost",
                $"Client-Id: {ClientId}",
                $"Request-Time: {Time}",
                $"Signature: {Signature}",
                "Content-Type: application/json; charset=UTF-8",
                Invariant($"Content-Length: {Body.Length}"),
            ];

        public byte[] ToBytes() => [.. Bytes($"{string.Join("\r\n", Head())}\r\n\r\n"), .. Body];
    }
}
