using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace CancelService.IntegrationTests;

/// <summary>A request in parts, as mutations have made them, and what is known about the parts.</summary>
internal sealed class FuzzDraft(DateTimeOffset now)
{
    public DateTimeOffset Now { get; } = now;

    public string Method { get; set; } = "POST";

    public string Target { get; set; } = CancelCall.Path;

    /// <summary>The path of the target as it has to be signed.</summary>
    public string Path { get; set; } = CancelCall.Path;

    /// <summary>Whether the path is one that is served.</summary>
    public Verdict Api { get; set; }

    public Verdict Accept { get; set; }

    public Verdict ContentType { get; set; }

    public string Version { get; set; } = "HTTP/1.1";

    public List<string> ClientIds { get; set; } = [FuzzOracle.Client];

    public List<string> Times { get; set; } =
    [now.ToString("yyyy-MM-dd'T'HH:mm:ss.fffzzz", CultureInfo.InvariantCulture)];

    /// <summary>Writes the values of the header Signature, given the right signature in base64.</summary>
    public Func<string, List<string>> Sign { get; set; } = FuzzCorpus.Usual;

    public byte[] RightSignature { get; set; } = [];

    public List<string> Signatures { get; set; } = [];

    public byte[] Body { get; set; } = Encoding.Latin1.GetBytes("""{"paymentId":"pay0"}""");

    /// <summary>Further lines of the head.</summary>
    public List<string> Lines { get; } = [];

    /// <summary>Adds the framing's lines to the head, and frames the body.</summary>
    public Func<List<string>, string, string> Frame { get; set; } = FuzzCorpus.WithLength;

    /// <summary>Rewrites the lines of the head, in a way that means the same.</summary>
    public Func<List<string>, List<string>> Layout { get; set; } = lines => lines;

    /// <summary>Bends the whole, when all of it is made.</summary>
    public Func<string, string>? Bend { get; set; }

    /// <summary>Nobody can say what its parts mean, so it is signed for nothing, and must get no S.</summary>
    public bool IsForeign { get; set; }

    /// <summary>It ends before its end, and the sender hangs up.</summary>
    public bool IsCut { get; set; }

    /// <summary>It speaks another protocol, and may be answered in it.</summary>
    public bool IsNotHttp { get; set; }
}

/// <summary>A mutation with a seed of its own, so that it does the same whatever others are left out.</summary>
internal sealed record FuzzMutation(string Name, int Seed, Action<FuzzDraft, Random> Apply);

/// <summary>A request as it is sent, with the answers that it may get.</summary>
internal sealed class FuzzRequest
{
    // The server takes 32 KiB of headers.
    private const int MaxHead = 30 * 1024;

    public FuzzRequest(IReadOnlyList<FuzzMutation> mutations, DateTimeOffset now)
    {
        Mutations = mutations;
        Draft = new FuzzDraft(now);
        foreach (var mutation in mutations)
            mutation.Apply(Draft, new Random(mutation.Seed));
        IsBent = Draft.Bend is not null;
        if (IsBent && Draft.Method == "HEAD")
            Draft.Method = "GET"; // Or it would not be known where the answer ends.
        var text = FuzzCorpus.Written(Draft);
        if (Draft.Bend is { } bend)
            text = bend(text);
        Bytes = Encoding.Latin1.GetBytes(text);
        var weak = IsBent || Draft.IsForeign;
        Allowed = weak ? [.. FuzzOracle.Refusals] : [.. FuzzOracle.Allowed(Draft)];
        if (IsBent && !Draft.IsForeign && FuzzOracle.KeepsWhatWasSigned(Draft, text))
            Allowed.UnionWith(FuzzOracle.Allowed(Draft));
        MayBePlain = weak || text.IndexOf("\r\n\r\n", StringComparison.Ordinal) > MaxHead;
    }

    public IReadOnlyList<FuzzMutation> Mutations { get; }

    public FuzzDraft Draft { get; }

    public byte[] Bytes { get; }

    /// <summary>Whether its bytes were bent, so that its end is not certain.</summary>
    public bool IsBent { get; }

    public HashSet<string> Allowed { get; }

    /// <summary>Whether the HTTP server may refuse it.</summary>
    public bool MayBePlain { get; }

    /// <summary>What the answer says for whom it is.</summary>
    public string EchoedClientId =>
        Draft.ClientIds is [{ Length: <= 256 } id] && id.All(c => c is >= ' ' and <= '~') ? id.Trim(' ') : "";
}

/// <summary>
/// Makes requests: a good one, bent in none or several of its parts or as a whole. The same seed makes the same, but for the
/// time of the run.
/// </summary>
internal static class FuzzCorpus
{
    private static readonly ConcurrentDictionary<string, byte[]> Made = new(StringComparer.Ordinal);
    private static readonly ThreadLocal<RSA> Key = new(() =>
    {
        var rsa = RSA.Create();
        rsa.ImportFromPem(KeyPair.Merchant.PrivatePem);
        return rsa;
    });

    // Texts that parsers have stumbled over.
    private static readonly string[] Nasty =
    [
        .. "\0|\r|\n|\r\n|\r\n\r\n|\t| |\x7f|\x80|\xff|\xc3\x28|\xc0\xaf|\xed\xa0\x80|\xef\xbb\xbf|\xfe\xff|%|%00|%zz".Split(
            '|'
        ),
        .. "%2e%2e/|%2F|%5c|%u0041|%C0%AF|..|/../|/./|//|\\|?|#|;|:|=|==|,|+|-|_|\"|'|{|}|[|]|\\ud800|\\u0000".Split(
            '|'
        ),
        .. "null|0|-1|99999999999999999999|2147483648|1e400|NaN|algorithm=none,|keyVersion=0,|signature=,".Split('|'),
        .. "OTHER|theirs|req-theirs|\r\nClient-Id: OTHER|\r\nSignature: signature=x|\r\nRequest-Time: 0".Split('|'),
        .. "\r\nContent-Length: 0|\r\nContent-Length: 5|\r\nTransfer-Encoding: chunked|\r\nHost: other".Split('|'),
        .. "\r\nExpect: 100-continue|\r\nConnection: close|\r\nUpgrade: h2c|\r\n folded|\r\n\tfolded".Split('|'),
        .. "'; DROP TABLE payments; --|${jndi:ldap://h/a}|{0}%s%n|𐀀".Split('|').Select(Latin1),
    ];

    // Each with whether it is served; its path is what is signed, with its escapes and its query.
    private static readonly (string Target, Verdict Api)[] Targets =
    [
        ("/api/v2/payments/cancel", Verdict.Pass),
        ("/v2/payments/cancel?", Verdict.Pass),
        ("/v2/payments/cancel?paymentId=pay1&x=%20+%zz", Verdict.Pass),
        ("/v2/%70ayments/cancel", Verdict.Pass),
        ("/%61%70%69/v2/payments/%63ancel?a", Verdict.Pass),
        ("http://localhost/v2/payments/cancel", Verdict.Pass),
        ("http://wallet.example:8443/api/v2/payments/cancel?x=/", Verdict.Pass),
        ("https://localhost/v2/payments/cancel", Verdict.Pass),
        ("/x/../v2/payments/cancel", Verdict.Unsure),
        ("/v2/./payments/cancel", Verdict.Unsure),
        ("/v2/payments/%2e/cancel", Verdict.Unsure),
        ("/v2/payments/%2E%2e/payments/cancel", Verdict.Unsure),
        ("/../v2/payments/cancel", Verdict.Unsure),
        ("/", Verdict.Fail),
        ("/V2/Payments/Cancel", Verdict.Fail),
        ("/v2/payments/canceL", Verdict.Fail),
        ("/API/v2/payments/cancel", Verdict.Fail),
        ("/v2/payments/cancel/", Verdict.Fail),
        ("//v2/payments/cancel", Verdict.Fail),
        ("/v2//payments/cancel", Verdict.Fail),
        ("/v2/payments/cancel/..", Verdict.Fail),
        ("/v2/payments%2Fcancel", Verdict.Fail),
        ("/v2/payments%5Ccancel", Verdict.Fail),
        ("/v2/payments/cancel;v=1", Verdict.Fail),
        ("/v2/payments/c%25ancel", Verdict.Fail),
        ("/v2/payments/c%C3%A4ncel", Verdict.Fail),
        ("/v2/payments/refund", Verdict.Fail),
        ("/open/v2/payments/cancel", Verdict.Fail),
        ("/internal/v1/clients/FUZZED", Verdict.Fail),
        ("/healthz/live", Verdict.Fail),
        ("/metrics", Verdict.Fail),
        ("http://localhost/metrics", Verdict.Fail),
    ];

    private static readonly string[] OddTargets =
    [
        .. "/v2/payments/cancel%00|/v2/payments/cancel#f|/v2/payments\\cancel|/v2/payments/c%E4ncel|/v2/payments/cancel%".Split(
            '|'
        ),
        .. "/v2/payments/c\xe4ncel|HTTP://localhost/v2/payments/cancel|http://h?/v2/payments/cancel|http://h".Split(
            '|'
        ),
        .. "http://h#/v2/payments/cancel|http://u:p@h/v2/payments/cancel|http://[::1]/v2/payments/cancel".Split('|'),
        .. "http:///v2/payments/cancel|http://h\\v2/payments/cancel|http://h%2Fv2/payments/cancel|http:/v2".Split('|'),
        .. "ftp://h/v2/payments/cancel|file:///v2/payments/cancel|v2/payments/cancel|*|h:443|\0|\t|/ /|?|%2f|://".Split(
            '|'
        ),
        .. "http://h/x/../v2/payments/cancel|http://h//v2/payments/cancel|http://h:99999/v2/payments/cancel".Split('|'),
        "",
        $"/{new string('a', 9000)}",
    ];

    private static readonly string[] Methods =
    [
        .. "GET|HEAD|PUT|DELETE|OPTIONS|TRACE|PATCH|post|Post|POSTS|P|QUERY|!#$%&'*+-.^_`~|SELECT".Split('|'),
    ];

    private static readonly (string Value, Verdict Is)[] Accepts =
    [
        ("*/*", Verdict.Pass),
        ("application/json", Verdict.Pass),
        ("APPLICATION/JSON; q=0.5", Verdict.Pass),
        ("text/plain,text/xml,text/javascript,text/html", Verdict.Pass),
        ("image/png, application/json", Verdict.Pass),
        ("image/png", Verdict.Fail),
        ("application/xml", Verdict.Fail),
        ("audio/*;q=1, image/webp", Verdict.Fail),
        ("application/json;q=0", Verdict.Unsure),
        (",;=/*", Verdict.Unsure),
        ("*/png", Verdict.Unsure),
    ];

    private static readonly (string Value, Verdict Is)[] ContentTypes =
    [
        ("application/json", Verdict.Pass),
        ("Application/JSON;charset=utf-8", Verdict.Pass),
        ("application/json\r\nContent-Type: application/json; charset=UTF-8", Verdict.Pass),
        ("text/plain", Verdict.Fail),
        ("application/x-www-form-urlencoded", Verdict.Fail),
        ("multipart/form-data; boundary=x", Verdict.Fail),
        ("application/json\r\nContent-Type: text/xml", Verdict.Fail),
        ("", Verdict.Unsure),
        (";;;", Verdict.Unsure),
        ("text/json", Verdict.Unsure),
        ("application/json; charset=utf-16", Verdict.Unsure),
    ];

    private static readonly string[] ClientIds =
    [
        .. "OTHER|BARRED|HASTY|DISABLED|UNKNOWN|fuzzed|FUZZED.|FUZZED,FUZZED|FUZZ ED|'; --|a/b|%46UZZED|..|{0}|null".Split(
            '|'
        ),
        new string('x', 64),
        new string('x', 65),
        new string('x', 5000),
        "",
    ];

    private static readonly (string Kind, int Weight, Action<FuzzDraft, Random> Apply)[] Parts =
    [
        ("target", 2, Target),
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
        ("odd framing", 6, OddFraming),
        ("odd head", 8, OddHead),
        ("odd target", 3, OddTarget),
        ("hidden request", 1, Hidden),
        ("cut", 2, Cut),
        ("garbage", 2, Garbage),
        ("bent bytes", 6, (draft, random) => draft.Bend = text => Bent(random, text)),
    ];

    /// <summary>The next request of a run.</summary>
    public static FuzzRequest Next(int run, Random random, DateTimeOffset now)
    {
        var mutations = new List<FuzzMutation> { New("payment", Payment) };
        var isBent = random.Next(100) < 62;
        for (
            var times = random.Next(10) switch
            {
                < 2 => 0,
                < 6 => 1,
                < 9 => 2,
                _ => 3,
            };
            times > 0;
            times--
        )
        {
            // A body costs a signature, so there are some thousands, and few of them in what is bent besides.
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

    /// <summary>Signs a draft and writes it down.</summary>
    public static string Written(FuzzDraft draft)
    {
        draft.RightSignature =
            draft.IsForeign || FuzzOracle.FailsBeforeSignature(draft)
                ? Signed("/nothing", "", "", [])
                : Signed(draft.Path, draft.ClientIds[0], draft.Times[0].Trim(' ', '\t'), draft.Body);
        draft.Signatures = draft.Sign(Convert.ToBase64String(draft.RightSignature));
        List<string> lines =
        [
            "Host: localhost",
            .. draft.ClientIds.Select(id => $"Client-Id: {id}"),
            .. draft.Times.Select(time => $"Request-Time: {time}"),
            .. draft.Signatures.Select(signature => $"Signature: {signature}"),
            .. draft.Lines,
        ];
        var framed = draft.Frame(lines, Encoding.Latin1.GetString(draft.Body));
        return $"{draft.Method} {draft.Target} {draft.Version}\r\n{string.Join("\r\n", draft.Layout(lines))}\r\n\r\n{framed}";
    }

    /// <summary>A text of UTF-8, one character a byte.</summary>
    public static string Latin1(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    // Signing is dear, and the same is often signed again.
    private static byte[] Signed(string path, string client, string time, byte[] body)
    {
        var head = $"POST {path}\n{client}.{time}.";
        var hash = SHA256.HashData([.. Encoding.Latin1.GetBytes(head), .. body]);
        var key = Convert.ToHexString(hash);
        if (Made.TryGetValue(key, out var signature))
            return signature;
        if (Made.Count > 20_000)
            Made.Clear();
        return Made[key] = Key.Value!.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    }

    private static void Payment(FuzzDraft draft, Random random) =>
        draft.Body = Bytes(
            random.Next(16) switch
            {
                0 => """{"paymentId":"late"}""",
                1 => """{"paymentId":"captured"}""",
                2 => """{"paymentRequestId":"req-poor"}""",
                3 => """{"paymentId":"theirs"}""",
                4 => """{"paymentRequestId":"req-theirs"}""",
                5 => Text($$"""{"paymentId":"pay{{random.Next(64)}}","paymentRequestId":"req-theirs"}"""),
                < 9 => Text($$"""{"paymentRequestId":"req-pay{{random.Next(64)}}"}"""),
                _ => Text($$"""{"paymentId":"pay{{random.Next(64)}}"}"""),
            }
        );

    private static void Target(FuzzDraft draft, Random random)
    {
        (draft.Target, draft.Api) = Pick(random, Targets);
        var authority = draft.Target.IndexOf("://", StringComparison.Ordinal);
        draft.Path =
            authority < 0 || draft.Target[0] == '/'
                ? draft.Target
                : draft.Target[draft.Target.IndexOf('/', authority + 3)..];
    }

    private static Verdict Line(FuzzDraft draft, string name, (string Value, Verdict Is) choice)
    {
        draft.Lines.Add($"{name}: {choice.Value}");
        return choice.Is;
    }

    private static void Clients(FuzzDraft draft, Random random) =>
        draft.ClientIds = random.Next(8) switch
        {
            0 => [],
            1 => [FuzzOracle.Client, Pick(random, ClientIds)],
            2 => [FuzzOracle.Client, FuzzOracle.Client],
            _ => [Pick(random, ClientIds)],
        };

    private static void Times(FuzzDraft draft, Random random)
    {
        var now = draft.Now;
        string[] forms =
        [
            now.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            now.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'99Z'", CultureInfo.InvariantCulture),
            now.ToOffset(TimeSpan.FromHours(5.5)).ToString("yyyy-MM-dd'T'HH:mm:ss.fzzz", CultureInfo.InvariantCulture),
            now.ToOffset(TimeSpan.FromHours(-12))
                .ToString("yyyy-MM-dd'T'HH:mm:ss'-1200'", CultureInfo.InvariantCulture),
            Text($"{now.ToUnixTimeMilliseconds()}"),
        ];
        var good = Pick(random, forms);
        draft.Times = random.Next(8) switch
        {
            < 3 => [good],
            3 => [Single(Bent(random, good))],
            4 => random.Next(2) == 0 ? [] : [good, Pick(random, forms)],
            5 =>
            [
                now.AddMinutes(Pick(random, [-90, 90, -600_000, 600_000])).ToString("O", CultureInfo.InvariantCulture),
            ],
            _ =>
            [
                Pick(
                    random,
                    [
                        .. "2026-02-30T12:00:00Z|0001-01-01T00:00:00+14:00|9999-12-31T23:59:59.999999999-14:00|0|now".Split(
                            '|'
                        ),
                        .. "0000-00-00T00:00:00Z|99999999999999|999999999999999|-1|1e12|2026-11-23T12:00:00".Split('|'),
                        .. "2026-11-23T24:00:00Z|2026-11-23T23:59:60Z|2026-11-23T12:00:00+99:99|20261123T120000Z|".Split(
                            '|'
                        ),
                        good.Replace('T', ' '),
                        good.Replace('T', 't'),
                        $"{good}[UTC]",
                        $"{good}, {good}",
                        good[..^1],
                        Latin1(
                            now.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture).Replace('2', '٢')
                        ),
                    ]
                ),
            ],
        };
    }

    private static void Signatures(FuzzDraft draft, Random random)
    {
        var seed = random.Next();
        draft.Sign = base64 =>
        {
            var r = new Random(seed);
            var url = base64.Replace('+', '-').Replace('/', '_');
            var escaped = Uri.EscapeDataString(base64);
            string[] good =
            [
                base64,
                base64.TrimEnd('='),
                url,
                url.TrimEnd('='),
                escaped.Replace("%2B", "%2b", StringComparison.Ordinal).Replace("%2F", "%2f", StringComparison.Ordinal),
                string.Concat(base64.Select(c => Text($"%{(int)c:X2}"))),
            ];
            string[] bad =
            [
                base64.Replace('+', ' '),
                base64.Replace("+", "%20", StringComparison.Ordinal),
                Uri.EscapeDataString(escaped),
                base64[..^5],
                base64[..100] + "====" + base64[100..],
                base64.Replace('a', 'b'),
                base64 + base64,
                url.Replace('_', '/'),
                Convert.ToBase64String(new byte[256]),
                Convert.ToBase64String(Signed("/nothing", "", "", [])),
                "",
                "%",
                "%00",
                $"\"{base64}\"",
                new string('A', r.Next(9000)),
            ];
            string[] algorithms = ["RSA256", "rsa256", "SHA256withRSA", "none", "HS256", "RSA512", "SHA1withRSA", ""];
            string[] versions = ["1", "2", "3", "4", "01", "+1", "-1", "0", "1.0", "x", "", "4294967297"];
            var members = new List<string> { $"signature={Pick(r, r.Next(3) == 0 ? bad : good)}" };
            if (r.Next(3) > 0)
                members.Insert(r.Next(2), $"algorithm={Pick(r, r.Next(3) == 0 ? algorithms : algorithms[..3])}");
            if (r.Next(3) > 0)
                members.Insert(r.Next(2), $"keyVersion={Pick(r, r.Next(3) == 0 ? versions : versions[..1])}");
            var text = string.Join(Pick(r, [",", ", ", " , ", ",   "]), members);
            return r.Next(16) switch
            {
                0 => [],
                1 => [text, text],
                2 => [$"{text},{text}"],
                3 => [$"{text},"],
                4 => [text.Replace('=', ':')],
                5 => [text.ToUpperInvariant()],
                6 => [$"{text}, x=y"],
                < 9 => [Single(Bent(r, text))],
                _ => [text],
            };
        };
    }

    // Bodies that are read, because they are signed as they are.
    private static void Body(FuzzDraft draft, Random random)
    {
        var id = random.Next(64);
        var good = Text(
            $$"""{"paymentId":"pay{{id}}","paymentRequestId":"req-pay{{id}}","extendInfo":"{\"a\":\"b\"}"}"""
        );
        draft.Body = random.Next(40) switch
        {
            < 9 => Bytes(Bent(random, good)),
            < 18 => Bytes(Text($"{{{string.Join(',', Members(random))}}}")),
            < 20 => Bytes(Json(random, 0)),
            20 => Bytes($"\xef\xbb\xbf{good}"),
            21 => Pick<Encoding>(random, [Encoding.Unicode, Encoding.BigEndianUnicode, Encoding.UTF32]).GetBytes(good),
            22 => Bytes(Text($$"""{"paymentId":"pay{{id}}","x":{{Nested(random.Next(2, 200))}}}""")),
            23 => Bytes(string.Concat(Enumerable.Repeat(Pick(random, ["[", "{\"a\":"]), random.Next(1, 5000)))),
            24 => Bytes(Text($$"""{"paymentId":"pay{{id}}","x":{{new string('9', random.Next(1, 5000))}}}""")),
            25 => Bytes(Text($$"""{"paymentId":"pay{{id}}","x":"{{new string('x', random.Next(1, 60_000))}}"}""")),
            26 => Bytes(good.PadRight((64 * 1024) + random.Next(-1, 2))),
            27 => Bytes(
                Text($$"""{"paymentId":"pay{{id}}","extendInfo":"{{new string('i', 4096 + random.Next(-1, 2))}}"}""")
            ),
            28 => Bytes(Text($$"""{"paymentId":"{{new string('p', 64 + random.Next(2))}}"}""")),
            29 => [],
            30 => Bytes(good + good),
            31 => Bytes(good + "\0"),
            32 => Bytes(good.Replace('"', '\'')),
            33 => Bytes(good.Replace("}", ",}", StringComparison.Ordinal)),
            34 => Bytes(good.Replace(":", " :\t\r\n ", StringComparison.Ordinal)),
            35 => Bytes(good.Replace("paymentId", "PaymentId", StringComparison.Ordinal)),
            _ => Bytes(good.Insert(random.Next(good.Length), Pick(random, Nasty))),
        };

        static string Nested(int depth) => $"{new string('[', depth)}{new string(']', depth)}";
    }

    private static IEnumerable<string> Members(Random random)
    {
        string[] names =
        [
            "paymentId",
            "paymentRequestId",
            "extendInfo",
            "paymentid",
            "payment\\u0049d",
            "",
            "a",
            "b",
            "a\\u0000",
        ];
        for (var i = random.Next(1, 5); i > 0; i--)
        {
            var value = random.Next(2) == 0 ? Text($"\"pay{random.Next(64)}\"") : Json(random, 0);
            yield return $"\"{Pick(random, names)}\":{value}";
        }
    }

    private static string Json(Random random, int depth) =>
        random.Next(depth > 6 ? 6 : 9) switch
        {
            0 => Pick(random, ["null", "true", "false", "Null", "tru", "undefined"]),
            1 => Pick(
                random,
                [
                    "0",
                    "-0",
                    "01",
                    "1e400",
                    "-1E-400",
                    "0.1",
                    ".5",
                    "1.",
                    "NaN",
                    "-",
                    "+1",
                    "0x1",
                    "1e",
                    "12345678901234567890",
                ]
            ),
            2 => Text($"\"pay{random.Next(64)}\""),
            3 => $"\"{Pick(random, Nasty)}\"",
            4 =>
                $"\"{Pick(random, ["\\ud83d\\ude00", "\\udc00", "\\ud800\\ud800", "\\x", "\\u00", "\xf0\x9f\x98\x80", "\\u0000", "\\/", "\xed\xa0\xbd", "\xf4\x90\x80\x80", "\xe2\x80\xa8"])}\"",
            5 => Text($"\"req-pay{random.Next(64)}\""),
            6 => $"[{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => Json(random, depth + 1)))}]",
            _ =>
                $"{{{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => Text($"\"{random.Next(4)}\":{Json(random, depth + 1)}")))}}}",
        };

    private static void Framing(FuzzDraft draft, Random random)
    {
        var seed = random.Next();
        draft.Frame = (lines, body) =>
        {
            var r = new Random(seed);
            if (r.Next(5) == 0)
            {
                lines.Add(Text($"Content-Length: {body.Length:D7}"));
                return body;
            }
            lines.Add($"Transfer-Encoding: {Pick(r, ["chunked", "Chunked", "CHUNKED"])}");
            return Chunked(
                r,
                body,
                n =>
                    Text(
                        $"{Pick(r, ["", "", "0", "000"])}{(r.Next(2) == 0 ? $"{n:x}" : $"{n:X}")}{Pick(r, ["", "", "", ";a", ";a=b", ";a=\"b c\""])}"
                    ),
                () => "\r\n"
            );
        };
    }

    private static string Chunked(Random random, string body, Func<int, string> size, Func<string> end)
    {
        var chunks = new StringBuilder();
        var length = random.Next(3) == 0 ? random.Next(1, 8) : random.Next(8, 70_000);
        foreach (var chunk in body.Chunk(Math.Max(length, body.Length / 50)))
            chunks.Append(size(chunk.Length)).Append(end()).Append(chunk).Append(end());
        return chunks
            .Append(size(0))
            .Append(end())
            .Append(random.Next(10) == 0 ? "X-Trailer: y\r\n" : "")
            .Append(end())
            .ToString();
    }

    private static void Layout(FuzzDraft draft, Random random)
    {
        var seed = random.Next();
        draft.Layout = lines =>
        {
            var r = new Random(seed);
            lines.AddRange(
                Enumerable
                    .Range(0, r.Next(4))
                    .Select(i =>
                        Text(
                            $"X-{i}: {Pick(r, ["", "a", "a,b;c=\"d\"", "Client-Id: OTHER", "\xc3\xa4", new string('y', 3000)])}"
                        )
                    )
            );
            if (r.Next(4) == 0)
                lines.Add(
                    Pick(
                        r,
                        [
                            "Expect: 100-continue",
                            "Connection: close",
                            "Connection: keep-alive",
                            "Accept-Encoding: gzip",
                            "X-Forwarded-For: ::1",
                            "X-HTTP-Method-Override: GET",
                        ]
                    )
                );
            var shuffled = lines.ToArray();
            r.Shuffle(shuffled);
            return
            [
                // Of what is not one header but two, the order and the value's form stay as they are.
                .. shuffled.Select(line =>
                {
                    var colon = line.IndexOf(':', StringComparison.Ordinal);
                    var name = r.Next(3) switch
                    {
                        0 => line[..colon].ToUpperInvariant(),
                        1 => line[..colon].ToLowerInvariant(),
                        _ => line[..colon],
                    };
                    return $"{name}:{Pick(r, ["", " ", " ", "\t", "   "])}{line[(colon + 1)..].TrimStart(' ')}{Pick(r, ["", "", " ", "\t "])}";
                }),
            ];
        };
    }

    // From here on bytes that no client of HTTP would send.
    private static void OddFraming(FuzzDraft draft, Random random)
    {
        var seed = random.Next();
        draft.Bend = text => text;
        draft.Frame = (lines, body) =>
        {
            var r = new Random(seed);
            var kind = r.Next(4);
            if (kind is 0 or 1)
            {
                for (var times = r.Next(1, 3); times > 0; times--)
                    lines.Add(
                        $"Content-Length:{Pick(r, [.. "-1|+5| 0| 5 |5, 5|5, 6|0x5|5a|1e3|99999999999999999999|9223372036854775807|18446744073709551617|1048577||\x01|5\0|\xb2".Split('|'), Text($"{body.Length}"), Text($"{body.Length + 1}"), Text($"{body.Length - 1}")])}"
                    );
            }
            if (kind is 0)
                return body;
            lines.Add(
                $"Transfer-Encoding:{(kind is 2 ? " chunked" : Pick(r, ["chunked", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", "\vchunked", "chunked;q=1", "xchunked", "", "chunked\r\nTransfer-Encoding: identity", "\r\n chunked"]))}"
            );
            return Chunked(
                r,
                body,
                n =>
                    r.Next(4) == 0
                        ? Pick(
                            r,
                            [
                                .. "-5|+5|0x5|5 | 5|5\t|5;\"\n|FFFFFFFF|7FFFFFFFFFFFFFFF|10000000000000005|g||\0|0|5;\0|FFFFFFFFFFFFFFFFFFFFFFFF".Split(
                                    '|'
                                ),
                                $"5;{new string('e', 9000)}",
                            ]
                        )
                        : Text($"{n:x}"),
                () => r.Next(12) == 0 ? Pick(r, ["\n", "\r", "", "\r\r\n", "\0\r\n"]) : "\r\n"
            );
        };
    }

    private static void OddHead(FuzzDraft draft, Random random)
    {
        draft.Bend = text =>
        {
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            var lines = text[..end].Split("\r\n").ToList();
            var at = random.Next(1, lines.Count);
            var line = lines[at];
            var newLine = "\r\n";
            switch (random.Next(18))
            {
                case 0:
                    lines[at] = line.Replace(
                        ":",
                        Pick(random, [" :", "\t:", "", ":\0", ":\r\n ", "::", "\0:"]),
                        StringComparison.Ordinal
                    );
                    break;
                case 1:
                    lines[at] = line.Insert(
                        random.Next(line.Length + 1),
                        Pick(random, ["\0", "\r", "\x01", "\x7f", "\x80", "\xff\xfe", "\v", "\x1b[2J"])
                    );
                    break;
                case 2:
                    lines.RemoveAt(at);
                    break;
                case 3:
                    lines.Insert(at, line);
                    break;
                case 4:
                    lines.Insert(
                        at,
                        Pick(
                            random,
                            [
                                "",
                                "x",
                                ":",
                                ": x",
                                " x: y",
                                "\tx: y",
                                "@: y",
                                "x y: z",
                                "\xe4: x",
                                "(x): y",
                                "X:" + new string('y', 40_000),
                            ]
                        )
                    );
                    break;
                case 5:
                    lines.InsertRange(at, Enumerable.Range(0, random.Next(90, 200)).Select(i => Text($"X-{i}: y")));
                    break;
                case 6:
                    lines.Add($"Host: {Pick(random, Nasty)}");
                    break;
                case 7:
                    lines[1] =
                        $"Host: {Pick(random, ["", "a b", "a/b", "a@b", "a:b", "[", "a,b", "\xe4", "a\0", "localhost:99999999"])}";
                    break;
                case 8 or 9:
                    lines[0] = lines[0]
                        .Replace(
                            "HTTP/1.1",
                            Pick(
                                random,
                                [
                                    .. "HTTP/1.2|HTTP/2.0|HTTP/0.9|HTTP/3|HTTP/1.1.1|http/1.1|HTTP/11|HTTPS/1.1|HTTP /1.1|HTTP/1.1 x||HTTP|HTTP/-1.1|HTTP/1.0|\0".Split(
                                        '|'
                                    ),
                                ]
                            ),
                            StringComparison.Ordinal
                        );
                    break;
                case 10:
                    lines[0] =
                        $"{Pick(random, ["P\xd6ST", "PO ST", "PO\0ST", "", " POST", "(POST)", "\"POST\"", "POST,", new string('M', 9000), "CONNECT"])}{lines[0][4..]}";
                    break;
                case 11:
                    lines[0] = lines[0]
                        .Replace(" ", Pick(random, ["  ", "\t", "", "\v", " \r "]), StringComparison.Ordinal);
                    break;
                case 12:
                    newLine = "\n";
                    break;
                case 13:
                    newLine = Pick(random, ["\r", "\n\r", "\r\r\n", "\0\r\n"]);
                    break;
                case 14:
                    lines.Insert(0, Pick(random, ["", "\r\n\r\n", "\0", " ", "\r"]));
                    break;
                case 15:
                    lines.Add(
                        Pick(
                            random,
                            [
                                "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
                                "Upgrade: websocket\r\nConnection: Upgrade",
                                "Expect: 200-ok",
                                "Connection: \0",
                                "Connection: Client-Id, Signature",
                                "Keep-Alive: -1",
                                "TE: trailers, deflate;q=x",
                            ]
                        )
                    );
                    break;
                case 16:
                    lines.Add(
                        Pick(
                            random,
                            [
                                "Client-Id:",
                                "client-id: OTHER",
                                "Client_Id: OTHER",
                                "Request-Time: 0",
                                "SIGNATURE: signature=x",
                                "Signature:",
                            ]
                        )
                    );
                    break;
                default:
                    lines[at] = Bent(random, line);
                    break;
            }
            return string.Join(newLine, lines) + newLine + newLine + text[(end + 4)..];
        };
    }

    private static void OddTarget(FuzzDraft draft, Random random)
    {
        draft.IsForeign = true;
        draft.Method = random.Next(4) == 0 ? Pick(random, Methods) : "POST";
        draft.Bend = text => text;
        draft.Target = Pick(random, OddTargets);
        if (random.Next(3) == 0)
            draft.Target = Bent(random, draft.Target.Length == 0 ? CancelCall.Path : draft.Target);
    }

    // Two framings of one body: whatever the reading, the good request in it was never sent.
    private static void Hidden(FuzzDraft draft, Random random)
    {
        draft.Bend = hidden =>
        {
            var body = Pick(random, ["0\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", "0;a\r\n\r\n"]) + hidden;
            var both = Pick(
                random,
                [
                    Text($"Content-Length: {body.Length}\r\nTransfer-Encoding: chunked"),
                    Text($"Transfer-Encoding: chunked\r\nContent-Length: {body.Length}"),
                    Text($"Content-Length: {body.Length}\r\nContent-Length: 5"),
                    Text($"Content-Length: 5\r\nTransfer-Encoding: xchunked"),
                ]
            );
            return $"POST {CancelCall.Path} HTTP/1.1\r\nHost: localhost\r\n{both}\r\n\r\n{body}";
        };
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
            if (random.Next(3) == 0)
                return string.Concat(Enumerable.Repeat(Pick(random, Nasty), random.Next(1, 3000)));
            if (random.Next(3) == 0)
                return Pick(
                    random,
                    [
                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
                        "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
                        "GET /\r\n",
                        "GET / HTTP/1.1",
                        "SSH-2.0-x\r\n",
                    ]
                );
            var bytes = new byte[random.Next(1, 2000)];
            random.NextBytes(bytes);
            return Encoding.Latin1.GetString(bytes);
        };
    }

    // Flips bits, deletes, repeats, moves and inserts.
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

    // What may stand in one header.
    private static string Single(string value) => string.Concat(value.Where(c => c is >= ' ' and <= '~')).Trim(' ');

    private static T Pick<T>(Random random, IReadOnlyList<T> values) => values[random.Next(values.Count)];

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
