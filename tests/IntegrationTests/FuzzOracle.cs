using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests;

/// <summary>Whether a step of the protocol lets a request through. Where the protocol is silent, either is right.</summary>
internal enum Verdict
{
    Pass,
    Unsure,
    Fail,
}

/// <summary>
/// The protocol as the fuzzer reads it: strict, small, and without any code of the service. Texts are Latin-1, one character
/// a byte, as they go over the wire.
/// </summary>
internal static partial class FuzzOracle
{
    /// <summary>The client that nearly all requests come from.</summary>
    public const string Client = "FUZZED";

    private const string Illegal = "PARAM_ILLEGAL";
    private const string Success = "SUCCESS";

    /// <summary>The codes of the table, but for U, which only a failure of ours explains.</summary>
    public static readonly string[] Refusals =
    [
        "INVALID_API",
        "METHOD_NOT_SUPPORTED",
        "MEDIA_TYPE_NOT_ACCEPTABLE",
        Illegal,
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

    /// <summary>What a cancel of each payment of <see cref="Client"/> answers, once and for ever.</summary>
    public static readonly Dictionary<string, string> Payments = new(
        Enumerable
            .Range(0, 64)
            .Select(i => KeyValuePair.Create($"pay{i}", Success))
            .Append(KeyValuePair.Create("late", "CANCEL_WINDOW_EXCEED"))
            .Append(KeyValuePair.Create("captured", "PROCESS_FAIL"))
            .Append(KeyValuePair.Create("poor", "MERCHANT_BALANCE_NOT_ENOUGH")),
        StringComparer.Ordinal
    );

    /// <summary>The codes that may answer a draft: the first step that fails decides.</summary>
    public static IEnumerable<string> Allowed(FuzzDraft draft)
    {
        var answers = new List<string>();
        var (form, key, signature) = Signature(draft.Signatures, draft.RightSignature);
        _ =
            Stops(draft.Api, "INVALID_API")
            || Stops(When(draft.Method == "POST"), "METHOD_NOT_SUPPORTED")
            || Stops(draft.Accept, "MEDIA_TYPE_NOT_ACCEPTABLE")
            || Stops(draft.ContentType, "MEDIA_TYPE_NOT_ACCEPTABLE")
            || Stops(When(draft.ClientIds is [var id] && IsId(id)), Illegal)
            || Stops(Time(draft.Times, draft.Now), Illegal)
            || Stops(form, Illegal)
            || Stops(When(draft.ClientIds[0] is Client or "OTHER" or "BARRED" or "HASTY"), "CLIENT_INVALID")
            || Stops(key, "KEY_NOT_FOUND")
            || Stops(When(draft.Body.Length <= 64 * 1024), Illegal)
            || Stops(signature, "INVALID_SIGNATURE")
            || Stops(draft.ClientIds[0] == "HASTY" ? Verdict.Unsure : Verdict.Pass, "REQUEST_TRAFFIC_EXCEED_LIMIT")
            || Carried();
        return answers;

        bool Carried()
        {
            var (sure, problem, payment) = Body(draft.Body);
            if (!sure || problem)
                answers.Add(Illegal);
            if (!problem)
            {
                answers.Add(
                    (draft.ClientIds[0], payment) switch
                    {
                        ("BARRED", _) => "ACCESS_DENIED",
                        ("OTHER", "theirs") => "PROCESS_FAIL",
                        (Client, not null) when Payments.TryGetValue(payment, out var code) => code,
                        _ => "ORDER_NOT_EXIST",
                    }
                );
            }
            return true;
        }

        bool Stops(Verdict verdict, string code)
        {
            if (verdict is not Verdict.Pass)
                answers.Add(code);
            return verdict is Verdict.Fail;
        }
    }

    /// <summary>Whether the signature does not matter, because a step before it fails whatever it is.</summary>
    public static bool FailsBeforeSignature(FuzzDraft draft) =>
        draft.Api is Verdict.Fail
        || draft.Method != "POST"
        || draft.Accept is Verdict.Fail
        || draft.ContentType is Verdict.Fail
        || draft.ClientIds is not [var id]
        || !IsId(id)
        || Time(draft.Times, draft.Now) is Verdict.Fail
        || draft.Body.Length > 64 * 1024;

    /// <summary>
    /// Whether bytes that began as a draft, and were bent then, still hold all that was signed: whatever else they hold,
    /// an S is theirs by right.
    /// </summary>
    public static bool KeepsWhatWasSigned(FuzzDraft draft, string text)
    {
        var start = text.Length - text.TrimStart('\r', '\n').Length;
        var lines = new List<string>();
        while (text.IndexOf('\n', start) is >= 0 and var end)
        {
            lines.Add(text[start..end].TrimEnd('\r'));
            start = end + 1;
            if (lines[^1].Length == 0)
                break;
        }
        if (lines.Count == 0 || !lines[0].StartsWith($"{draft.Method} {draft.Target} ", StringComparison.Ordinal))
            return false;
        var body = Encoding.Latin1.GetString(draft.Body);
        return All("Client-Id") is [var id]
            && id == draft.ClientIds[0]
            && All("Request-Time") is [var time]
            && time == draft.Times[0]
            && Signature(All("Signature"), draft.RightSignature)
                is (not Verdict.Fail, not Verdict.Fail, not Verdict.Fail)
            && (
                All("Content-Length").SelectMany(value => value.Split(',')).ToList() is { Count: > 0 } lengths
                && All("Transfer-Encoding").Count == 0
                    ? lengths.TrueForAll(l =>
                        int.TryParse(l, CultureInfo.InvariantCulture, out var n) && n == body.Length
                    ) && text.AsSpan(start).StartsWith(body, StringComparison.Ordinal)
                    : Holds(text.AsSpan(start), body)
            );

        List<string> All(string name) =>
            [
                .. lines
                    .Skip(1)
                    .Select(line => line.Split(':', 2))
                    .Where(h => h.Length == 2 && h[0].Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
                    .Select(h => h[1].Trim(' ', '\t')),
            ];

        // In this order, whatever chunks lie in between.
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

    private static bool IsId(string text) => Id().IsMatch(text);

    private static Verdict Time(IReadOnlyList<string> values, DateTimeOffset now)
    {
        if (values is not [var text])
            return Verdict.Fail;
        text = text.Trim(' ', '\t');
        double minutes;
        var offset = 0;
        if (text.Length is > 0 and <= 14 && text.All(char.IsAsciiDigit))
            minutes = (double.Parse(text, CultureInfo.InvariantCulture) - now.ToUnixTimeMilliseconds()) / 60_000;
        else if (Iso8601().Match(text) is not { Success: true } match)
            return Verdict.Fail;
        else
        {
            var n = Enumerable.Range(1, 6).Select(i => int.Parse(match.Groups[i].Value, null)).ToArray();
            if (n is [0, ..] || n[1] is < 1 or > 12 || n[2] < 1 || n[2] > DateTime.DaysInMonth(n[0], n[1]))
                return Verdict.Fail;
            if (n[3] > 23 || n[4] > 59 || n[5] > 59)
                return Verdict.Fail;
            if (match.Groups[8].Success)
            {
                if (int.Parse(match.Groups[9].Value, null) > 59)
                    return Verdict.Fail;
                offset = (int.Parse(match.Groups[8].Value, null) * 60) + int.Parse(match.Groups[9].Value, null);
            }
            var local = new DateTime(n[0], n[1], n[2], n[3], n[4], n[5], DateTimeKind.Utc);
            minutes = (local - now.UtcDateTime).TotalMinutes - (match.Groups[7].Value == "-" ? -offset : offset);
        }
        // The tolerance of the run is an hour; near its edges the clocks decide.
        return Math.Abs(minutes) switch
        {
            > 75 => Verdict.Fail,
            > 45 => Verdict.Unsure,
            _ => offset > 14 * 60 ? Verdict.Unsure : Verdict.Pass,
        };
    }

    private static (Verdict Form, Verdict Key, Verdict Signature) Signature(IReadOnlyList<string> values, byte[] right)
    {
        if (values is not [var text])
            return (Verdict.Fail, default, default);
        var members = text.Trim(' ', '\t').Split(',').Select(member => member.Split('=', 2)).ToList();
        if (members.Exists(member => member.Length < 2))
            return (Verdict.Fail, default, default);
        var named = members.ToLookup(
            member => member[0].Trim(' ').ToLowerInvariant(),
            member => member[1].Trim(' '),
            StringComparer.Ordinal
        );
        if (!named.Contains("signature"))
            return (Verdict.Fail, default, default);

        var odd =
            text.Length > 8192
            || named.Any(n => n.Key is not ("algorithm" or "keyversion" or "signature") || n.Count() > 1);
        var key = Worst(
            named["keyversion"]
                .Select(version =>
                    version == "1" ? Verdict.Pass
                    : int.TryParse(version, CultureInfo.InvariantCulture, out var n) && n == 1 ? Verdict.Unsure
                    : Verdict.Fail
                )
        );
        var algorithm = Worst(
            named["algorithm"].Select(name => When(name.ToUpperInvariant() is "RSA256" or "SHA256WITHRSA"))
        );
        var signature = Worst([algorithm, .. named["signature"].Select(value => Encoded(value, right))]);
        return odd ? (Verdict.Unsure, Lenient(key), Lenient(signature)) : (Verdict.Pass, key, signature);

        // Of a doubled member it is not said which one counts, so a good one can't save a bad one from its code.
        static Verdict Lenient(Verdict verdict) => verdict is Verdict.Pass ? Verdict.Unsure : verdict;
    }

    private static Verdict Worst(IEnumerable<Verdict> verdicts) => verdicts.DefaultIfEmpty().Max();

    private static Verdict Encoded(string text, byte[] right)
    {
        if (!Escaped().IsMatch(text))
            return Verdict.Fail;
        var plain = Uri.UnescapeDataString(text);
        if (plain.Any(char.IsWhiteSpace))
            return Verdict.Fail;
        var base64 = Convert.ToBase64String(right);
        var url = base64.Replace('+', '-').Replace('/', '_');
        if (plain == base64 || plain == base64.TrimEnd('=') || plain == url || plain == url.TrimEnd('='))
            return Verdict.Pass;
        // Mixed alphabets, odd padding, or bits behind the end: the same signature, in a form that nobody promised.
        var bytes = new byte[plain.Length + 4];
        var unpadded = plain.Replace('-', '+').Replace('_', '/').TrimEnd('=');
        var padded = unpadded + new string('=', (4 - (unpadded.Length % 4)) % 4);
        return
            Convert.TryFromBase64String(padded, bytes, out var length) && bytes.AsSpan(0, length).SequenceEqual(right)
            ? Verdict.Unsure
            : Verdict.Fail;
    }

    /// <summary>The payment that a body names; null when it names none, or is none.</summary>
    public static string? PaymentOf(byte[] body) => Body(body).Payment;

    // Whether it is sure what the body is, whether it breaks a rule, and which payment it names.
    private static (bool Sure, bool Problem, string? Payment) Body(byte[] body)
    {
        var json = FuzzJson.Read(body);
        if (json is null || json.Members.Values.Any(value => value is FuzzJson.NoText))
            return (true, true, null);
        var id = json.Members.GetValueOrDefault("paymentId");
        var requestId = json.Members.GetValueOrDefault("paymentRequestId");
        if (
            (id ?? requestId) is null
            || (id is not null && !IsId(id))
            || (requestId is not null && !IsId(requestId))
            || json.Members.GetValueOrDefault("extendInfo") is { Length: > 4096 }
        )
            return (true, true, null);
        const string prefix = "req-"; // So the test makes them.
        if (id is null && requestId!.StartsWith(prefix, StringComparison.Ordinal))
            id = requestId[prefix.Length..];
        return (json.IsSure, false, id);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_.-]{1,64}\z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Id();

    [GeneratedRegex(
        @"\A(?<1>[0-9]{4})-(?<2>[0-9]{2})-(?<3>[0-9]{2})T(?<4>[0-9]{2}):(?<5>[0-9]{2}):(?<6>[0-9]{2})(\.[0-9]{1,9})?(Z|(?<7>[+-])(?<8>[0-9]{2}):?(?<9>[0-9]{2}))\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Iso8601();

    [GeneratedRegex(@"\A(?>[A-Za-z0-9+/_=-]+|%[0-9A-Fa-f]{2})*\z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Escaped();
}

/// <summary>A reader of JSON objects as RFC 8259 has them, after the letter.</summary>
internal sealed class FuzzJson
{
    /// <summary>Stands for the value of a member that is neither text nor null.</summary>
    public const string NoText = "\ud800";

    private readonly string _text;
    private int _at;
    private bool _isJson = true;

    private FuzzJson(string text) => _text = text;

    /// <summary>The texts of the members that the protocol knows.</summary>
    public Dictionary<string, string?> Members { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether there is nothing in it that readers may differ about: depth, half surrogates, repeats deep inside.</summary>
    public bool IsSure { get; private set; } = true;

    /// <summary>Reads a body; null when it is no JSON object in UTF-8, or has a member twice.</summary>
    public static FuzzJson? Read(byte[] body)
    {
        FuzzJson json;
        try
        {
            json = new(new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(body));
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
        json.Blank();
        json._isJson &= json._at < json._text.Length && json._text[json._at] == '{';
        json.Value(0);
        json.Blank();
        return json._isJson && json._at == json._text.Length ? json : null;
    }

    private char Peek => _at < _text.Length ? _text[_at] : '\uffff';

    private void Blank()
    {
        while (Peek is ' ' or '\t' or '\r' or '\n')
            _at++;
    }

    private void Expect(char c) => _isJson &= Peek == c && _at++ >= 0;

    // The text of a string, and null for null.
    private string? Value(int depth)
    {
        if (depth >= 60)
            IsSure = false;
        if (depth > 1000 || !_isJson)
        {
            _isJson = false; // Nothing that deep is generated but what is never closed.
            return NoText;
        }
        switch (Peek)
        {
            case '"':
                return Text();
            case '{':
                Object(depth);
                return NoText;
            case '[':
                Array(depth);
                return NoText;
        }
        var start = _at;
        while (Peek is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '+' or '-' or '.' or 'E')
            _at++;
        var word = _text[start.._at];
        _isJson &= word is "null" or "true" or "false" || IsNumber(word);
        return word == "null" ? null : NoText;
    }

    private void Object(int depth)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        Expect('{');
        Blank();
        while (_isJson && Peek != '}')
        {
            if (names.Count > 0)
            {
                Expect(',');
                Blank();
            }
            var name = Text();
            Blank();
            Expect(':');
            Blank();
            var value = Value(depth + 1);
            Blank();
            if (!names.Add(name))
                (_isJson, IsSure) = (_isJson && depth > 0, false);
            else if (depth == 0 && (name is "paymentId" or "paymentRequestId" or "extendInfo"))
                Members[name] = value is null || IsWhole(value) ? value : NoText;
        }
        Expect('}');
    }

    private void Array(int depth)
    {
        var isFirst = true;
        Expect('[');
        Blank();
        for (; _isJson && Peek != ']'; isFirst = false)
        {
            if (!isFirst)
                Expect(',');
            Blank();
            Value(depth + 1);
            Blank();
        }
        Expect(']');
    }

    private string Text()
    {
        var text = new StringBuilder();
        Expect('"');
        while (_isJson && Peek != '"')
        {
            var c = Peek;
            _isJson &= c >= ' ' && _at++ < _text.Length;
            if (c != '\\')
            {
                text.Append(c);
                continue;
            }
            const string escapes = "\"\\/bfnrt";
            c = Peek;
            _at++;
            if (escapes.IndexOf(c, StringComparison.Ordinal) is >= 0 and var i)
                text.Append("\"\\/\b\f\n\r\t"[i]);
            else if (c == 'u' && _at + 4 <= _text.Length && _text.AsSpan(_at, 4).ToString().All(char.IsAsciiHexDigit))
            {
                text.Append((char)Convert.ToInt32(_text.Substring(_at, 4), 16));
                _at += 4;
            }
            else
                _isJson = false;
        }
        Expect('"');
        IsSure &= IsWhole(text.ToString());
        return text.ToString();
    }

    private static bool IsNumber(string word)
    {
        var digits = word.StartsWith('-') ? word[1..] : word;
        var parts = digits.Split('e', 'E');
        var number = parts[0].Split('.');
        return parts.Length <= 2
            && number.Length <= 2
            && number.All(IsDigits)
            && (number[0].Length == 1 || number[0][0] != '0')
            && (
                parts.Length == 1
                || IsDigits(parts[1].Length > 1 && (parts[1][0] is '+' or '-') ? parts[1][1..] : parts[1])
            );
    }

    private static bool IsDigits(string text) => text.Length > 0 && text.All(char.IsAsciiDigit);

    // No half of a surrogate pair stands alone.
    private static bool IsWhole(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[++i])))
                return false;
        }
        return true;
    }
}
