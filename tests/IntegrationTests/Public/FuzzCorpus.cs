using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Generates requests: a good request with none or some of its parts mutated, or bent as a whole into bytes that no
/// client would send. Equal seeds give equal requests, except for the time of the run.
/// </summary>
internal static class FuzzCorpus
{
    // Percentage of bent requests: the server's own refusals are cheap, while each answer of the service costs a
    // signature.
    private const int MostlyBent = 80;

    private static readonly ConcurrentDictionary<string, byte[]> Made = new(StringComparer.Ordinal);

    // Texts that have broken parsers before, separated by |.
    private const string Nasty =
        "\0|\r|\n|\r\n|\r\n\r\n|\t| |\x7f|\x80|\xff|\xc3\x28|\xc0\xaf|\xed\xa0\x80|\xef\xbb\xbf|\xfe\xff|%|%00|"
        + "%zz|%2e%2e/|%2F"
        + "|%5c|%u0041|%C0%AF|..|/../|/./|//|\\|?|#|;|:|=|==|,|+|-|_|\"|'|{|}|[|]|\\ud800|\\u0000|null|0|-1|1e400|NaN"
        + "|99999999999999999999|2147483648|algorithm=none,|keyVersion=0,|signature=,|OTHER|theirs|\r\nClient-Id: OTHER"
        + "|\r\nSignature: signature=x|\r\nRequest-Time: 0|\r\nContent-Length: 0|\r\nTransfer-Encoding: chunked|"
        + "\r\nHost: h"
        + "|\r\nExpect: 100-continue|\r\nConnection: close|\r\nUpgrade: h2c|\r\n folded|\r\n\tfolded|'; --|"
        + "${jndi:ldap://h/a}";
    private const string Methods = "GET|HEAD|PUT|DELETE|OPTIONS|TRACE|PATCH|post|Post|POSTS|P|QUERY|!#$%&'*+-.^_`~";
    private const string ClientIds =
        "OTHER|BARRED|HASTY|DISABLED|UNKNOWN|fuzzed|FUZZED.|FUZZED,FUZZED|FUZZ ED|'; --|a/b|%46UZZED|..|null|";
    private const string BadTimes =
        "2026-02-30T12:00:00Z|0001-01-01T00:00:00+14:00|9999-12-31T23:59:59.999999999-14:00|0|now|0000-00-00T00:00:00Z|"
        + "|99999999999999|999999999999999|-1|1e12|2026-11-23T12:00:00|2026-11-23T24:00:00Z|2026-11-23T23:59:60Z"
        + "|2026-11-23T12:00:00+99:99|20261123T120000Z|\xd9\xa2\xd9\xa0";
    private const string OddTargets =
        "/v2/payments/cancel%00|/v2/payments/cancel#f|/v2/payments\\cancel|/v2/payments/c%E4ncel|"
        + "/v2/payments/cancel%|http://h"
        + "|/v2/payments/c\xe4ncel|HTTP://localhost/v2/payments/cancel|http://h?/v2/payments/cancel|"
        + "v2/payments/cancel|*|h:443"
        + "|http://h#/v2/payments/cancel|http://u:p@h/v2/payments/cancel|http://[::1]/v2/payments/cancel|"
        + "http:/v2||?|%2f|://"
        + "|http:///v2/payments/cancel|http://h\\v2/payments/cancel|http://h%2Fv2/payments/cancel|"
        + "ftp://h/v2/payments/cancel"
        + "|http://h/x/../v2/payments/cancel|http://h//v2/payments/cancel|http://h:99999/v2/payments/cancel|"
        + "file:///v2|\0|/ /";
    private const string Lengths =
        "-1|+5| 0| 5 |5, 5|5, 6|0x5|5a|1e3|99999999999999999999|9223372036854775807|18446744073709551617|"
        + "1048577||\x01|5\0|\xb2";
    private const string Codings =
        "chunked|chunked, chunked|gzip, chunked|chunked, gzip|identity|\vchunked|chunked;q=1|xchunked||\r\n "
        + "chunked|chunked,";
    private const string ChunkSizes =
        "-5|+5|0x5|5 | 5|5\t|5;\"\n|FFFFFFFF|7FFFFFFFFFFFFFFF|10000000000000005|g||\0|0|5;\0|FFFFFFFFFFFFFFFFFFFFFFFF";
    private const string Versions =
        "HTTP/1.2|HTTP/2.0|HTTP/0.9|HTTP/3|HTTP/1.1.1|http/1.1|HTTP/11|HTTP /1.1|HTTP/1.1 x||HTTP|HTTP/-1.1|"
        + "HTTP/1.0|\0";
    private const string OddLines =
        "|x|:|: x| x: y|\tx: y|@: y|x y: z|\xe4: x|(x): y|Host: h|Host:|Expect: 200-ok|Connection: \0|"
        + "Keep-Alive: -1|Client-Id:"
        + "|Connection: Client-Id, Signature|client-id: OTHER|Client_Id: OTHER|Request-Time: 0|Signature:|"
        + "Upgrade: websocket"
        + "|Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk|TE: trailers, "
        + "deflate;q=x|Host: a b";
    private const string Values =
        "null|true|false|Null|tru|0|-0|01|1e400|-1E-400|0.1|.5|1.|NaN|-|+1|0x1|1e|12345678901234567890|"
        + "\"\\ud83d\\ude00\"|\"\\udc00\""
        + "|\"\\ud800\\ud800\"|\"\\x\"|\"\\u00\"|\"\xf0\x9f\x98\x80\"|\"\\u0000\"|\"\\/\"|\"\xed\xa0\xbd\"|"
        + "\"\xf4\x90\x80\x80\"|\"\t\"";

    private static readonly (string Text, Verdict Is)[] Targets = Rated(
        "/api/v2/payments/cancel|/v2/payments/cancel?|/v2/payments/cancel?paymentId=pay1&x=%20+%zz|"
            + "/v2/%70ayments/cancel"
            + "|/%61%70%69/v2/payments/%63ancel?a|http://localhost/v2/payments/cancel|"
            + "https://localhost/v2/payments/cancel"
            + "|http://wallet.example:8443/api/v2/payments/cancel?x=/",
        "/x/../v2/payments/cancel|/v2/./payments/cancel|/v2/payments/%2e/cancel|"
            + "/v2/payments/%2E%2e/payments/cancel|/../v2/payments/cancel",
        "/|/V2/Payments/Cancel|/v2/payments/canceL|/API/v2/payments/cancel|/v2/payments/cancel/|"
            + "//v2/payments/cancel|/metrics"
            + "|/v2//payments/cancel|/v2/payments/cancel/..|/v2/payments%2Fcancel|/v2/payments%5Ccancel|"
            + "/v2/payments/cancel;v=1"
            + "|/v2/payments/c%25ancel|/v2/payments/c%C3%A4ncel|/v2/payments/refund|/open/v2/payments/cancel|"
            + "/healthz/live"
            + "|/internal/v1/clients/FUZZED|http://localhost/metrics"
    );
    private static readonly (string Text, Verdict Is)[] Accepts = Rated(
        "*/*|application/json|APPLICATION/JSON; q=0.5|text/plain,text/xml,text/javascript,text/html|image/png, "
            + "application/json",
        "application/json;q=0|,;=/*|*/png",
        "image/png|application/xml|audio/*;q=1, image/webp"
    );
    private static readonly (string Text, Verdict Is)[] ContentTypes = Rated(
        "application/json|Application/JSON;charset=utf-8|application/json\r\nContent-Type: application/json; "
            + "charset=UTF-8",
        "|;;;|text/json|application/json; charset=utf-16",
        "text/plain|application/x-www-form-urlencoded|multipart/form-data; boundary=x|application/json\r\n"
            + "Content-Type: text/xml"
    );

    // Mutations by the changed part, with their weights. The last two preserve the meaning of the request.
    private static readonly (string Kind, int Weight, Action<FuzzDraft, Random> Apply)[] Parts =
    [
        ("target", 2, (draft, random) => (draft.Target, draft.Api) = Pick(random, Targets)),
        ("method", 1, (draft, random) => draft.Method = Pick(random, Methods)),
        ("accept", 1, (draft, random) => draft.Accept = Line(draft, "Accept", Pick(random, Accepts))),
        (
            "content type",
            1,
            (draft, random) => draft.ContentType = Line(draft, "Content-Type", Pick(random, ContentTypes))
        ),
        ("client", 1, Clients),
        ("time", 2, Times),
        ("signature", 5, Signatures),
        ("body", 9, Body),
        ("framing", 3, Framing),
        ("layout", 3, Layout),
    ];
    private static readonly (string Kind, int Weight, Action<FuzzDraft, Random> Apply)[] Bends =
    [
        ("odd framing", 8, OddFraming),
        ("odd head", 10, (draft, random) => draft.Bend = text => OddHead(random, text)),
        ("odd target", 3, OddTarget),
        ("hidden request", 1, (draft, random) => draft.Bend = text => Hidden(random, text)),
        ("cut", 2, Cut),
        ("garbage", 2, Garbage),
        ("bent bytes", 4, (draft, random) => draft.Bend = text => Bent(random, text)),
    ];

    /// <summary>Generates the next request of a run.</summary>
    public static FuzzRequest Next(int run, Random random, DateTimeOffset now)
    {
        var mutations = new List<FuzzMutation> { New("payment", Payment) };
        var isBent = random.Next(100) < MostlyBent;
        for (var times = Math.Max(0, random.Next(10) - 1) / 3 + random.Next(2); times > 0; times--)
        {
            // Each distinct body costs a signature: some thousands of bodies in all, and few in bent requests.
            var (kind, apply) = Weighted(random, isBent && times < 3 ? Parts[^2..] : Parts);
            if (!mutations.Exists(mutation => mutation.Name == kind))
                mutations.Add(kind == "body" ? new(kind, run + random.Next(8000), apply) : New(kind, apply));
        }
        if (isBent)
        {
            var (kind, apply) = Weighted(random, Bends);
            mutations.Add(New(kind, apply));
        }
        return new FuzzRequest(mutations, now);

        FuzzMutation New(string name, Action<FuzzDraft, Random> apply) => new(name, random.Next(), apply);
    }

    public static List<string> Usual(string base64) =>
        [$"algorithm=RSA256, keyVersion=1, signature={Uri.EscapeDataString(base64)}"];

    public static string WithLength(List<string> lines, string body)
    {
        lines.Add(Text($"Content-Length: {body.Length}"));
        return body;
    }

    /// <summary>Signature for a path, cached because signing is expensive and many requests repeat.</summary>
    public static byte[] Signed(string path, string client, string time, byte[] body)
    {
        var signed = StringToSign.Of("POST", path, client, time, body);
        var name = Convert.ToHexString(SHA256.HashData(signed));
        if (Made.TryGetValue(name, out var signature))
            return signature;
        if (Made.Count > 20_000)
            Made.Clear();
        return Made[name] = KeyPair.Merchant.Sign(signed);
    }

    private static void Payment(FuzzDraft draft, Random random)
    {
        var id = random.Next(70) is < 64 and var i ? Text($"pay{i}") : Pick(random, "late|captured|poor|theirs|none");
        draft.Body = Bytes(
            Pick(
                random,
                "'paymentId':'*'|'paymentRequestId':'req-*'|'paymentId':'*','paymentRequestId':'req-theirs'"
            ) switch
            {
                var members => $"{{{members.Replace('\'', '"').Replace("*", id, StringComparison.Ordinal)}}}",
            }
        );
    }

    private static Verdict Line(FuzzDraft draft, string name, (string Text, Verdict Is) choice)
    {
        draft.Lines.Add($"{name}: {choice.Text}");
        return choice.Is;
    }

    private static void Clients(FuzzDraft draft, Random random)
    {
        var id = random.Next(10) == 0 ? new string('x', random.Next(60, 300)) : Pick(random, ClientIds);
        draft.ClientIds = random.Next(8) switch
        {
            0 => [],
            1 => [FuzzOracle.Client, id],
            2 => [FuzzOracle.Client, FuzzOracle.Client],
            _ => [id],
        };
    }

    private static void Times(FuzzDraft draft, Random random)
    {
        var now = draft.Now;
        var form = Pick(random, ":ss'Z'|:ss.fffffff'99Z'|:ss.fzzz|:ss'-1200'|:sszzz|'Z'|zzz");
        var offset = TimeSpan.FromHours(
            form.EndsWith("00'", StringComparison.Ordinal) ? -12
            : form.Contains('Z') ? 0
            : 5.5
        );
        var good = now.ToOffset(offset).ToString($"yyyy-MM-dd'T'HH:mm{form}", CultureInfo.InvariantCulture);
        if (random.Next(5) == 0)
            good = Text($"{now.ToUnixTimeMilliseconds()}");
        draft.Times = random.Next(10) switch
        {
            < 4 => [good],
            4 => [Single(Bent(random, good))],
            5 => [],
            6 => [good, draft.Times[0]],
            7 => [now.AddMinutes(random.Next(90, 1_000_000) * (random.Next(2) == 0 ? 1 : -1)).ToString("O", null)],
            8 =>
            [
                Pick(
                    random,
                    [good.Replace('T', ' '), good.Replace('T', 't'), $"{good}[UTC]", $"{good}, {good}", good[..^1]]
                ),
            ],
            _ => [Pick(random, BadTimes)],
        };
    }

    private static void Signatures(FuzzDraft draft, Random random)
    {
        draft.Sign = base64 =>
        {
            var url = base64.Replace('+', '-').Replace('/', '_');
            var escaped = Uri.EscapeDataString(base64);
            string[] good =
            [
                base64,
                base64.TrimEnd('='),
                url.TrimEnd(random.Next(2) == 0 ? '=' : ' '),
                escaped.Replace("%2B", "%2b", StringComparison.Ordinal).Replace("%2F", "%2f", StringComparison.Ordinal),
                string.Concat(base64.Select(c => Text($"%{(int)c:X2}"))),
                Uri.EscapeDataString(base64.Insert(76, "\r\n") + "\n"),
            ];
            string[] bad =
            [
                base64.Replace('+', ' '),
                base64.Replace("+", "%20", StringComparison.Ordinal),
                Uri.EscapeDataString(escaped),
                base64[..^5],
                base64[..100] + "====" + base64[100..],
                base64 + base64,
                url.Replace('_', '/'),
                Convert.ToBase64String(Signed("/nothing", "", "", [])),
                Pick(random, "|%|%00|\"\"|AAAA|===="),
                new string('A', random.Next(9000)),
            ];
            var algorithm = Pick(
                random,
                random.Next(3) == 0 ? "none|HS256|RSA512|SHA1withRSA|" : "RSA256|rsa256|SHA256withRSA"
            );
            var version = Pick(random, random.Next(3) == 0 ? "2|3|4|01|+1|-1|0|1.0|x||4294967297" : "1");
            var members = new List<string> { $"signature={Pick(random, random.Next(3) == 0 ? bad : good)}" };
            if (random.Next(3) > 0)
                members.Insert(random.Next(2), $"algorithm={algorithm}");
            if (random.Next(3) > 0)
                members.Insert(random.Next(2), $"keyVersion={version}");
            var text = string.Join(Pick(random, ",|, | , |,   "), members);
            return random.Next(16) switch
            {
                0 => [],
                1 => [text, text],
                2 => [$"{text},{text}"],
                3 => [$"{text},"],
                4 => [text.Replace('=', ':')],
                5 => [$"{text}, x=y"],
                < 8 => [Single(Bent(random, text))],
                _ => [text],
            };
        };
    }

    // Bodies that the service reads, because they are signed as they are.
    private static void Body(FuzzDraft draft, Random random)
    {
        var id = Text($"\"paymentId\":\"pay{random.Next(64)}\"");
        var good = $$"""{{{id}},"paymentRequestId":"req-pay0","extendInfo":"{\"a\":\"b\"}"}""";
        var depth = random.Next(2, 200);
        draft.Body = random.Next(40) switch
        {
            0 => Pick(random, [Encoding.Unicode, Encoding.BigEndianUnicode, Encoding.UTF32]).GetBytes(good),
            1 => Bytes($"{{{id},\"x\":{new string('[', depth)}{new string(']', depth)}}}"),
            2 => Bytes(string.Concat(Enumerable.Repeat(Pick(random, "[|{\"a\":"), random.Next(1, 5000)))),
            3 => Bytes($"{{{id},\"x\":{new string('9', random.Next(1, 5000))}}}"),
            4 => Bytes($"{{{id},\"x\":\"{new string('x', random.Next(1, 60_000))}\"}}"),
            5 => Bytes($"{{{id},\"extendInfo\":\"{new string('i', 4096 + random.Next(-1, 2))}\"}}"),
            6 => Bytes($"{{\"paymentId\":\"{new string('p', 64 + random.Next(2))}\"}}"),
            7 => Bytes(good.PadRight((64 * 1024) + random.Next(-1, 2))),
            8 => Bytes(good.Replace(":", " :\t\r\n ", StringComparison.Ordinal)),
            9 => Bytes(
                Pick(random, ["", good + good, $"{good}\0", $"\xef\xbb\xbf{good}", good.Replace('"', '\''), good[..^1]])
            ),
            < 20 => Bytes(Bent(random, good)),
            < 24 => Bytes(good.Insert(random.Next(good.Length), Pick(random, Nasty))),
            < 26 => Bytes(Json(random, 0)),
            _ => Bytes($"{{{string.Join(',', Enumerable.Range(0, random.Next(1, 5)).Select(_ => Member(random)))}}}"),
        };
    }

    private static string Member(Random random)
    {
        var name = Pick(random, "paymentId|paymentRequestId|extendInfo|paymentid|payment\\u0049d||a|b|a\\u0000");
        return $"\"{name}\":{(random.Next(2) == 0 ? Text($"\"pay{random.Next(64)}\"") : Json(random, 0))}";
    }

    private static string Json(Random random, int depth)
    {
        var inner = Enumerable.Range(0, depth > 6 ? 0 : random.Next(4)).Select(_ => Json(random, depth + 1));
        return random.Next(6) switch
        {
            0 => $"[{string.Join(',', inner)}]",
            1 => $"{{{string.Join(',', inner.Select(value => Text($"\"{random.Next(5)}\":{value}")))}}}",
            2 => $"\"{Pick(random, Nasty)}\"",
            3 => Text($"\"{Pick(random, "pay|req-pay")}{random.Next(64)}\""),
            _ => Pick(random, Values),
        };
    }

    private static void Framing(FuzzDraft draft, Random random) =>
        draft.Frame = (lines, body) =>
        {
            lines.Add(
                random.Next(5) == 0
                    ? Text($"Content-Length: {body.Length:D7}")
                    : $"Transfer-Encoding: {Pick(random, "chunked|Chunked")}"
            );
            return lines[^1][0] == 'C'
                ? body
                : Chunked(
                    random,
                    body,
                    size => Pick(random, "|0|000") + size.ToString("x", null) + Pick(random, "||;a|;a=\"b c\""),
                    () => "\r\n",
                    trailers: "y"
                );
        };

    private static string Chunked(Random random, string body, Func<int, string> size, Func<string> end, string trailers)
    {
        var chunks = new StringBuilder();
        foreach (var chunk in body.Chunk(Math.Max(random.Next(1, random.Next(3) == 0 ? 8 : 70_000), body.Length / 50)))
            chunks.Append(size(chunk.Length)).Append(end()).Append(chunk).Append(end());
        chunks
            .Append(size(0))
            .Append(end())
            .Append(random.Next(10) == 0 ? $"X: {Pick(random, trailers)}\r\n" : "")
            .Append(end());
        return chunks.ToString();
    }

    private static void Layout(FuzzDraft draft, Random random) =>
        draft.Layout = lines =>
        {
            for (var i = random.Next(4); i > 0; i--)
            {
                var value = Pick(random, "|a|a,b;c=\"d\"|Client-Id: OTHER|\xc3\xa4");
                lines.Add(Text($"X-{i}: {value}{new string('y', random.Next(9) * 300)}"));
            }
            if (random.Next(4) == 0)
                lines.Add(
                    Pick(
                        random,
                        "Expect: 100-continue|Connection: close|Connection: keep-alive|Accept-Encoding: gzip|"
                            + "X-HTTP-Method-Override: GET"
                    )
                );
            var shuffled = lines.ToArray();
            random.Shuffle(shuffled);
            return [.. shuffled.Select(Respelt)];

            string Respelt(string line)
            {
                var name = line[..line.IndexOf(':', StringComparison.Ordinal)];
                var value = line[(name.Length + 1)..].Trim(' ');
                name = random.Next(3) switch
                {
                    0 => name.ToUpperInvariant(),
                    1 => name.ToLowerInvariant(),
                    _ => name,
                };
                return $"{name}:{Pick(random, "| | |\t|   ")}{value}{Pick(random, "|| |\t ")}";
            }
        };

    // From here on: bytes that no HTTP client would send.
    private static void OddFraming(FuzzDraft draft, Random random)
    {
        draft.Bend = text => text;
        draft.Frame = (lines, body) =>
        {
            var kind = random.Next(4);
            for (var times = kind < 2 ? random.Next(1, 3) : 0; times > 0; times--)
            {
                var length = random.Next(2) == 0 ? Pick(random, Lengths) : Text($"{body.Length + random.Next(-1, 2)}");
                lines.Add($"Content-Length: {length}");
            }
            if (kind == 0)
                return body;
            lines.Add($"Transfer-Encoding: {(kind == 2 ? "chunked" : Pick(random, Codings))}");
            return Chunked(
                random,
                body,
                size => random.Next(4) == 0 ? Pick(random, ChunkSizes) : Text($"{size:x}"),
                () => random.Next(12) == 0 ? Pick(random, "\n|\r||\r\r\n|\0\r\n") : "\r\n",
                Nasty
            );
        };
    }

    private static string OddHead(Random random, string text)
    {
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var lines = text[..end].Split("\r\n").ToList();
        var at = random.Next(1, lines.Count);
        var line = lines[at];
        var newLine = random.Next(10) == 0 ? Pick(random, "\n|\n|\r|\n\r|\r\r\n|\0\r\n") : "\r\n";
        var kind = random.Next(12);
        if (kind == 0)
            lines.RemoveAt(at);
        else if (kind == 1)
            lines.InsertRange(at, Enumerable.Range(0, random.Next(90, 200)).Select(i => Text($"X-{i}: y")));
        else if (kind < 5)
            lines.Insert(
                at,
                random.Next(5) == 0 ? line
                    : random.Next(9) == 0 ? $"X:{new string('y', 40_000)}"
                    : Pick(random, OddLines)
            );
        else if (kind == 5)
            lines.Insert(0, Pick(random, "|\r\n\r\n|\0| |\r"));
        else
        {
            (at, line) = kind > 8 ? (0, lines[0]) : (at, line);
            lines[at] = kind switch
            {
                6 => line.Replace(":", Pick(random, " :|\t:||:\0|:\r\n |::|\0:"), StringComparison.Ordinal),
                7 => line.Insert(
                    random.Next(line.Length + 1),
                    Pick(random, "\0|\r|\x01|\x7f|\x80|\xff\xfe|\v|\x1b[2J")
                ),
                8 => Bent(random, line),
                9 => line.Replace("HTTP/1.1", Pick(random, Versions), StringComparison.Ordinal),
                10 => Pick(random, "P\xd6ST|PO ST|PO\0ST|| POST|(POST)|\"POST\"|POST,|CONNECT|MMMMMMMMMMMMMMMMMMMMMMMM")
                    + line[4..],
                _ => line.Replace(" ", Pick(random, "  |\t||\v| \r "), StringComparison.Ordinal),
            };
        }
        return string.Join(newLine, lines) + newLine + newLine + text[(end + 4)..];
    }

    private static void OddTarget(FuzzDraft draft, Random random)
    {
        draft.IsForeign = true;
        draft.Bend = text => text;
        draft.Target = random.Next(20) == 0 ? $"/{new string('a', 9000)}" : Pick(random, OddTargets);
        if (random.Next(3) == 0)
            draft.Target = Bent(random, draft.Target);
    }

    // Two conflicting framings of one body: under either reading, the good request inside was never sent.
    private static string Hidden(Random random, string hidden)
    {
        var body = Pick(random, "0\r\n\r\n|1\r\nx\r\n0\r\n\r\n|0;a\r\n\r\n") + hidden;
        var framing = Pick(
            random,
            "Content-Length: *\r\nTransfer-Encoding: chunked|Transfer-Encoding: chunked\r\nContent-Length: *|"
                + "Content-Length: *\r\nContent-Length: 5|Content-Length: 5\r\nTransfer-Encoding: xchunked"
        );
        var framed = framing.Replace("*", Text($"{body.Length}"), StringComparison.Ordinal);
        return $"POST {CancelCall.Path} HTTP/1.1\r\nHost: h\r\n{framed}\r\n\r\n{body}";
    }

    private static void Cut(FuzzDraft draft, Random random)
    {
        draft.IsCut = true;
        draft.Bend = text => text[..random.Next(1, text.Length)];
    }

    private static void Garbage(FuzzDraft draft, Random random)
    {
        draft.IsForeign = draft.IsNotHttp = true;
        draft.Bend = _ =>
        {
            var bytes = new byte[random.Next(1, 2000)];
            random.NextBytes(bytes);
            return random.Next(3) switch
            {
                0 => string.Concat(Enumerable.Repeat(Pick(random, Nasty), random.Next(1, 3000))),
                1 => Pick(
                    random,
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0|"
                        + "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03|GET /\r\n|GET / HTTP/1.1|SSH-2.0-x\r\n"
                ),
                _ => Encoding.Latin1.GetString(bytes),
            };
        };
    }

    // Flips bits, and deletes, repeats, moves and inserts text.
    private static string Bent(Random random, string text)
    {
        for (var times = random.Next(1, 4); times > 0; times--)
        {
            var at = random.Next(text.Length + 1);
            var length = Math.Min(text.Length - at, random.Next(1, random.Next(10) == 0 ? 200 : 8));
            text = random.Next(8) switch
            {
                0 or 1 when at < text.Length =>
                    $"{text[..at]}{(char)(text[at] ^ (1 << random.Next(8)))}{text[(at + 1)..]}",
                2 => text.Remove(at, length),
                3 => text.Insert(random.Next(text.Length + 1), text.Substring(at, length)),
                4 when at < text.Length => $"{text[..at]}{(char)random.Next(256)}{text[(at + 1)..]}",
                5 when random.Next(10) == 0 => text.Insert(at, new string('A', random.Next(1, 40_000))),
                6 when random.Next(4) == 0 => text[at..] + text[..at],
                _ => text.Insert(at, Pick(random, Nasty)),
            };
        }
        return text;
    }

    // Keeps the characters that are valid in a header value.
    private static string Single(string value) => string.Concat(value.Where(c => c is >= ' ' and <= '~')).Trim(' ');

    private static string Pick(Random random, string texts) => Pick(random, texts.Split('|'));

    private static T Pick<T>(Random random, IReadOnlyList<T> values) => values[random.Next(values.Count)];

    private static (string Text, Verdict Is)[] Rated(string pass, string unsure, string fail) =>
        [
            .. pass.Split('|').Select(text => (text, Verdict.Pass)),
            .. unsure.Split('|').Select(text => (text, Verdict.Unsure)),
            .. fail.Split('|').Select(text => (text, Verdict.Fail)),
        ];

    private static (string Kind, Action<FuzzDraft, Random> Apply) Weighted(
        Random random,
        (string Kind, int Weight, Action<FuzzDraft, Random> Apply)[] choices
    )
    {
        var left = random.Next(choices.Sum(choice => choice.Weight));
        var (kind, _, apply) = choices.First(choice => (left -= choice.Weight) < 0);
        return (kind, apply);
    }

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
