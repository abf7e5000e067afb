using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests.Public;

/// <summary>Result of one protocol step for a request; Unsure where the protocol leaves it open.</summary>
internal enum Verdict
{
    Pass,
    Unsure,
    Fail,
}

/// <summary>Mutation with its own seed, so its effect does not depend on other mutations.</summary>
internal sealed record FuzzMutation(string Name, int Seed, Action<FuzzDraft, Random> Apply);

/// <summary>Request in parts, for mutations to change. Texts are Latin-1, one character per byte.</summary>
internal sealed class FuzzDraft(DateTimeOffset now)
{
    public DateTimeOffset Now { get; } = now;
    public string Method { get; set; } = "POST";
    public string Target { get; set; } = CancelCall.Path;
    public Verdict Api { get; set; }
    public Verdict Accept { get; set; }
    public Verdict ContentType { get; set; }
    public List<string> ClientIds { get; set; } = [FuzzOracle.Client];
    public List<string> Times { get; set; } = [now.ToString("O", CultureInfo.InvariantCulture)];

    /// <summary>Builds the values of the Signature header from the valid base64 signature.</summary>
    public Func<string, List<string>> Sign { get; set; } = FuzzCorpus.Usual;
    public byte[] RightSignature { get; set; } = [];
    public List<string> Signatures { get; set; } = [];
    public byte[] Body { get; set; } = [];
    public List<string> Lines { get; } = [];

    /// <summary>Adds the framing headers and frames the body.</summary>
    public Func<List<string>, string, string> Frame { get; set; } = FuzzCorpus.WithLength;

    /// <summary>Rewrites the header lines without changing their meaning.</summary>
    public Func<List<string>, List<string>> Layout { get; set; } = lines => lines;

    /// <summary>Bends the finished request text.</summary>
    public Func<string, string>? Bend { get; set; }

    /// <summary>
    /// True when its parts have no defined meaning; it carries a worthless signature and must never get an S.
    /// </summary>
    public bool IsForeign { get; set; }

    /// <summary>True when the request is truncated and the sender closes the connection.</summary>
    public bool IsCut { get; set; }

    /// <summary>True when it speaks another protocol and may be answered in that.</summary>
    public bool IsNotHttp { get; set; }

    /// <summary>Path to sign for the target.</summary>
    public string Path => IsForeign ? Target : FuzzOracle.PathOf(Target);
}

/// <summary>Request on the wire, with the answers that the protocol allows.</summary>
internal sealed class FuzzRequest
{
    private const int MaxHead = 30 * 1024; // The server accepts 32 KiB of headers.

    public FuzzRequest(IReadOnlyList<FuzzMutation> mutations, DateTimeOffset now)
    {
        Mutations = mutations;
        Draft = new FuzzDraft(now);
        foreach (var mutation in mutations)
            mutation.Apply(Draft, new Random(mutation.Seed));
        if (IsBent && Draft.Method == "HEAD")
            Draft.Method = "GET"; // The end of an answer to a bent HEAD would be unknown.
        var text = Written(Draft);
        Bytes = Encoding.Latin1.GetBytes(text);
        Allowed = IsBent ? [.. FuzzOracle.Refusals] : [.. FuzzOracle.Allowed(Draft)];
        if (IsBent && !Draft.IsForeign && FuzzOracle.KeepsWhatWasSigned(Draft, text))
            Allowed.UnionWith(FuzzOracle.Outcomes(Draft));
        MayBePlain = IsBent || text.IndexOf("\r\n\r\n", StringComparison.Ordinal) > MaxHead;
    }

    public IReadOnlyList<FuzzMutation> Mutations { get; }
    public FuzzDraft Draft { get; }
    public byte[] Bytes { get; }
    public HashSet<string> Allowed { get; }

    /// <summary>True when its bytes were bent, so the server may not see where it ends.</summary>
    public bool IsBent => Draft.Bend is not null;

    /// <summary>True when the HTTP server itself may refuse it.</summary>
    public bool MayBePlain { get; }

    /// <summary>Client-Id that the answer echoes.</summary>
    public string EchoedClientId => Draft.ClientIds is [var id] && FuzzOracle.ClientId().IsMatch(id) ? id : "";

    private static string Written(FuzzDraft draft)
    {
        // Where an earlier step must fail, no valid signature is computed: it would be wasted.
        (draft.RightSignature, draft.Signatures) = ([0], ["signature="]);
        var isLookedAt =
            !draft.IsForeign && FuzzOracle.Allowed(draft).Contains("INVALID_SIGNATURE", StringComparer.Ordinal);
        draft.RightSignature = isLookedAt
            ? FuzzCorpus.Signed(draft.Path, draft.ClientIds[0], draft.Times[0], draft.Body)
            : FuzzCorpus.Signed("/nothing", "", "", []);
        draft.Signatures = draft.Sign(Convert.ToBase64String(draft.RightSignature));
        List<string> lines =
        [
            "Host: localhost",
            .. draft.ClientIds.Select(id => $"Client-Id: {id}"),
            .. draft.Times.Select(time => $"Request-Time: {time}"),
            .. draft.Signatures.Select(signature => $"Signature: {signature}"),
            .. draft.Lines,
        ];
        var body = draft.Frame(lines, Encoding.Latin1.GetString(draft.Body));
        var head = string.Join("\r\n", draft.Layout(lines));
        var text = $"{draft.Method} {draft.Target} HTTP/1.1\r\n{head}\r\n\r\n{body}";
        return draft.Bend is { } bend ? bend(text) : text;
    }
}

/// <summary>The protocol as the fuzzer reads it: strict, small and independent of the service's code.</summary>
internal static partial class FuzzOracle
{
    /// <summary>Client of nearly all requests.</summary>
    public const string Client = "FUZZED";
    private const string Illegal = "PARAM_ILLEGAL";
    private const string NoText = "\ud800"; // Stands for a value that is not a string.

    /// <summary>All result codes except S, and except U, which would mean a failure of the service.</summary>
    public static readonly string[] Refusals =
    [
        "INVALID_API",
        "METHOD_NOT_SUPPORTED",
        "MEDIA_TYPE_NOT_ACCEPTABLE",
        "PARAM_ILLEGAL",
        "CLIENT_INVALID",
        "KEY_NOT_FOUND",
        "INVALID_SIGNATURE",
        "REQUEST_TRAFFIC_EXCEED_LIMIT",
        "ACCESS_DENIED",
        "ORDER_NOT_EXIST",
        "CANCEL_WINDOW_EXCEED",
        "PROCESS_FAIL",
        "MERCHANT_BALANCE_NOT_ENOUGH",
    ];

    /// <summary>Final code of a cancel of each payment of <see cref="Client"/>.</summary>
    public static readonly Dictionary<string, string> Payments = new(
        Enumerable.Range(0, 64).Select(i => KeyValuePair.Create($"pay{i}", "SUCCESS")),
        StringComparer.Ordinal
    )
    {
        ["late"] = "CANCEL_WINDOW_EXCEED",
        ["captured"] = "PROCESS_FAIL",
        ["poor"] = "MERCHANT_BALANCE_NOT_ENOUGH",
    };

    /// <summary>Codes that may answer a draft: the first failing step decides.</summary>
    public static List<string> Allowed(FuzzDraft draft)
    {
        var answers = new List<string>();
        var (form, key, signature) = Signature(draft.Signatures, draft.RightSignature);
        _ =
            Stops(draft.Api, "INVALID_API")
            || Stops(When(draft.Method == "POST"), "METHOD_NOT_SUPPORTED")
            || Stops((Verdict)Math.Max((int)draft.Accept, (int)draft.ContentType), "MEDIA_TYPE_NOT_ACCEPTABLE")
            || Stops(When(draft.ClientIds is [var id] && ClientId().IsMatch(id)), Illegal)
            || Stops(Time(draft.Times, draft.Now), Illegal)
            || Stops(form, Illegal)
            || Stops(When(draft.ClientIds[0] is Client or "OTHER" or "BARRED" or "HASTY"), "CLIENT_INVALID")
            || Stops(key, "KEY_NOT_FOUND")
            || Stops(When(draft.Body.Length <= 64 * 1024), Illegal)
            || Stops(signature, "INVALID_SIGNATURE")
            || Stops(draft.ClientIds[0] == "HASTY" ? Verdict.Unsure : Verdict.Pass, "REQUEST_TRAFFIC_EXCEED_LIMIT")
            || Stops(Verdict.Fail, Outcomes(draft));
        return answers;

        bool Stops(Verdict verdict, params string[] codes)
        {
            if (verdict is not Verdict.Pass)
                answers.AddRange(codes);
            return verdict is Verdict.Fail;
        }
    }

    /// <summary>Codes that may answer a draft when every step before the body passes.</summary>
    public static string[] Outcomes(FuzzDraft draft)
    {
        var (sure, problem, payment) = Read(draft.Body);
        var outcome = (draft.ClientIds[0], payment) switch
        {
            ("BARRED", _) => "ACCESS_DENIED",
            ("OTHER", "theirs") => "PROCESS_FAIL",
            (Client, not null) => Payments.GetValueOrDefault(payment, "ORDER_NOT_EXIST"),
            _ => "ORDER_NOT_EXIST",
        };
        return problem ? [Illegal]
            : sure ? [outcome]
            : [Illegal, outcome];
    }

    /// <summary>Signed part of a target: all of it, without the scheme and host of the absolute form.</summary>
    public static string PathOf(string target) =>
        target.IndexOf("://", StringComparison.Ordinal) is > 0 and var scheme
        && target[0] != '/'
        && target.IndexOf('/', scheme + 3) is > 0 and var path
            ? target[path..]
            : target;

    /// <summary>Payment named by a body; null when the body is invalid or names none.</summary>
    public static string? PaymentOf(byte[] body) => Read(body).Payment;

    /// <summary>True when the bent bytes still contain everything that was signed, so an S is legitimate.</summary>
    public static bool KeepsWhatWasSigned(FuzzDraft draft, string text)
    {
        text = text.TrimStart('\r', '\n').Replace("\r\n", "\n", StringComparison.Ordinal);
        var end = text.IndexOf("\n\n", StringComparison.Ordinal);
        var lines = text[..Math.Max(0, end)].Split('\n');
        // An absolute target is signed by its path only, so its scheme and host may be bent. The parts of the request
        // line may also be further apart.
        if (end < 0 || lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var method, var target, _])
            return false;
        if (method != draft.Method || PathOf(target) != draft.Path)
            return false;
        var headers = lines
            .Skip(1)
            .Select(line => line.Split(':', 2))
            .Where(header => header.Length == 2)
            .ToLookup(
                header => header[0].Trim(),
                header => header[1].Trim(' ', '\t'),
                StringComparer.OrdinalIgnoreCase
            );
        var isSigned =
            draft is { ClientIds.Count: 1, Times.Count: 1 }
            && headers["Client-Id"].SequenceEqual(draft.ClientIds, StringComparer.Ordinal)
            && headers["Request-Time"].SequenceEqual(draft.Times, StringComparer.Ordinal)
            && Signature([.. headers["Signature"]], draft.RightSignature)
                is (not Verdict.Fail, not Verdict.Fail, not Verdict.Fail);
        // The complete body in order, across chunks; with Content-Length, at the start and of that length.
        var body = Encoding.Latin1.GetString(draft.Body).Replace("\r\n", "\n", StringComparison.Ordinal);
        var rest = text.AsSpan(end + 2);
        if (!headers.Contains("Transfer-Encoding"))
            return isSigned
                && rest.StartsWith(body, StringComparison.Ordinal)
                && headers["Content-Length"]
                    .Any(length => int.TryParse(length, null, out var n) && n == draft.Body.Length);
        return isSigned && Holds(rest, body);

        static bool Holds(ReadOnlySpan<char> text, string body)
        {
            foreach (var c in body)
            {
                var at = text.IndexOf(c);
                if (at < 0)
                    return false;
                text = text[(at + 1)..];
            }
            return true;
        }
    }

    private static Verdict When(bool passes) => passes ? Verdict.Pass : Verdict.Fail;

    private static Verdict Time(List<string> values, DateTimeOffset now)
    {
        if (values is not [var text])
            return Verdict.Fail;
        var offset = 0;
        double minutes;
        if (text.Length is > 0 and <= 14 && text.All(char.IsAsciiDigit))
            minutes = (double.Parse(text, CultureInfo.InvariantCulture) - now.ToUnixTimeMilliseconds()) / 60_000;
        else
        {
            var match = Iso8601().Match(text);
            var n = match
                .Groups.Values.Select(g => int.TryParse(g.Value, NumberStyles.None, null, out var i) ? i : 0)
                .ToArray();
            if (
                !match.Success
                || n[1] == 0
                || n[2] is < 1 or > 12
                || n[3] < 1
                || n[3] > DateTime.DaysInMonth(n[1], n[2])
            )
                return Verdict.Fail;
            if (n[4] > 23 || n[5] > 59 || n[6] > 59 || n[9] > 59)
                return Verdict.Fail;
            offset = (n[8] * 60) + n[9];
            var local = new DateTime(n[1], n[2], n[3], n[4], n[5], n[6], DateTimeKind.Utc);
            minutes = (local - now.UtcDateTime).TotalMinutes + (match.Groups[7].Value == "-" ? offset : -offset);
        }
        // The run uses a tolerance of one hour; near its edges the clocks decide.
        return Math.Abs(minutes) > 75 ? Verdict.Fail
            : Math.Abs(minutes) > 45 || offset > 14 * 60 ? Verdict.Unsure
            : Verdict.Pass;
    }

    private static (Verdict Form, Verdict Key, Verdict Signature) Signature(List<string> values, byte[] right)
    {
        var members =
            values.Count == 1
                ? values[0].Split(',').Select(member => member.Split('=', 2)).ToList()
                :
                [
                    [],
                ];
        if (members.Exists(member => member.Length < 2))
            return (Verdict.Fail, default, default);
        var named = members.ToLookup(
            m => m[0].Trim(' ').ToUpperInvariant(),
            m => m[1].Trim(' '),
            StringComparer.Ordinal
        );
        if (!named.Contains("SIGNATURE"))
            return (Verdict.Fail, default, default);
        var isOdd =
            values[0].Length > 8192
            || named.Any(n => n.Key is not ("ALGORITHM" or "KEYVERSION" or "SIGNATURE") || n.Count() > 1);
        var key = named["KEYVERSION"].Select(Version).DefaultIfEmpty().Max();
        var signature = named["ALGORITHM"]
            .Select(name => When(name.ToUpperInvariant() is "RSA256" or "SHA256WITHRSA"))
            .Concat(named["SIGNATURE"].Select(value => Encoded(value, right)))
            .Max();
        // The protocol does not define which of two repeated members counts, or whether unknown members are allowed.
        return isOdd ? (Verdict.Unsure, Lenient(key), Lenient(signature)) : (Verdict.Pass, key, signature);

        static Verdict Lenient(Verdict verdict) => verdict is Verdict.Pass ? Verdict.Unsure : verdict;

        static Verdict Version(string text) =>
            text == "1" ? Verdict.Pass
            : int.TryParse(text, null, out var n) && n == 1 ? Verdict.Unsure
            : Verdict.Fail;
    }

    private static Verdict Encoded(string text, byte[] right)
    {
        var plain = Uri.UnescapeDataString(text)
            .Replace("\r", "", StringComparison.Ordinal)
            .Replace("\n", "", StringComparison.Ordinal);
        if (!Escaped().IsMatch(text) || plain.Any(char.IsWhiteSpace))
            return Verdict.Fail;
        var base64 = Convert.ToBase64String(right);
        var url = base64.Replace('+', '-').Replace('/', '_');
        if (plain == base64 || plain == base64.TrimEnd('=') || plain == url || plain == url.TrimEnd('='))
            return Verdict.Pass;
        // Mixed alphabets, odd padding or surplus bits: the same signature in an undocumented encoding.
        var unpadded = plain.Replace('-', '+').Replace('_', '/').TrimEnd('=');
        var bytes = new byte[plain.Length + 4];
        var isSame =
            Convert.TryFromBase64String(unpadded + new string('=', -unpadded.Length & 3), bytes, out var length)
            && bytes.AsSpan(0, length).SequenceEqual(right);
        return isSame ? Verdict.Unsure : Verdict.Fail;
    }

    // Returns whether the reading is certain, whether the body breaks a rule, and the payment that it names. The
    // protocol does not define nesting depth, lone surrogates, or repeats among ignored members.
    private static (bool Sure, bool Problem, string? Payment) Read(byte[] body)
    {
        if (body is [0xEF, 0xBB, 0xBF, .. var rest])
            body = rest; // A byte order mark is skipped.
        var (sure, name, names) = (true, "", new Stack<HashSet<string>>());
        var fields = new Dictionary<string, string?>(StringComparer.Ordinal);
        try
        {
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(body);
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 1000 });
            while (reader.Read())
            {
                var (depth, token) = (reader.CurrentDepth, reader.TokenType);
                sure &= depth < 60;
                var text = token is JsonTokenType.PropertyName or JsonTokenType.String ? Text(reader) : "";
                sure &= text is not null;
                if (depth == 0 && token is not (JsonTokenType.StartObject or JsonTokenType.EndObject))
                    return (true, true, null);
                if (token is JsonTokenType.StartObject)
                    names.Push(new(StringComparer.Ordinal));
                else if (token is JsonTokenType.EndObject)
                    names.Pop();
                else if (token is JsonTokenType.PropertyName)
                {
                    name = text ?? "";
                    if (!names.Peek().Add(name))
                        (sure, fields[depth == 1 ? "twice" : "deep inside"]) = (false, null);
                    continue;
                }
                if (depth == 1 && (name is "paymentId" or "paymentRequestId" or "extendInfo"))
                    fields.TryAdd(
                        name,
                        token is JsonTokenType.Null ? null
                            : token is JsonTokenType.String ? text ?? NoText
                            : NoText
                    );
            }
        }
        catch (Exception e) when (e is JsonException or DecoderFallbackException)
        {
            return (true, true, null);
        }
        var (id, requestId) = (fields.GetValueOrDefault("paymentId"), fields.GetValueOrDefault("paymentRequestId"));
        var isIllegal =
            fields.ContainsKey("twice")
            || (id ?? requestId) is null
            || (id is not null && !Id().IsMatch(id))
            || (requestId is not null && !Id().IsMatch(requestId))
            || fields.GetValueOrDefault("extendInfo") is NoText or { Length: > 4096 };
        // The test's naming convention.
        id ??= requestId?.StartsWith("req-", StringComparison.Ordinal) is true ? requestId[4..] : null;
        return (sure || isIllegal, isIllegal, isIllegal ? null : id);

        static string? Text(Utf8JsonReader reader)
        {
            try
            {
                return reader.GetString();
            }
            catch (InvalidOperationException) // Lone surrogate.
            {
                return null;
            }
        }
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    internal static partial Regex ClientId();

    [GeneratedRegex(@"\A[A-Za-z0-9_.-]{1,64}\z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Id();

    [GeneratedRegex(
        @"\A(?<1>[0-9]{4})-(?<2>[0-9]{2})-(?<3>[0-9]{2})T(?<4>[0-9]{2}):(?<5>[0-9]{2})(:(?<6>[0-9]{2})(\.[0-9]{1,9})?)?"
            + @"(Z|(?<7>[+-])(?<8>[0-9]{2}):?(?<9>[0-9]{2}))\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Iso8601();

    [GeneratedRegex(
        @"\A([A-Za-z0-9+/_=-]|%[0-9A-Fa-f]{2})*\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Escaped();
}
