using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CancelService.Application.Protocol;

namespace CancelService.Application.Doctor;

/// <summary>A mistake in what was signed.</summary>
/// <param name="Id">Its name, stable: <c>line-break</c>.</param>
/// <param name="Text">What was done, in a sentence.</param>
public sealed record Mistake(string Id, string Text);

/// <summary>The parts of a string to sign, as the request has them.</summary>
internal sealed record SignedParts(
    string Method,
    string Target,
    string Host,
    string ClientId,
    string Time,
    byte[] Body
);

/// <summary>One way in which a part may have been signed; without an identifier, the right one.</summary>
internal sealed record Way<T>(string Id, string Text, T Value)
{
    public Mistake Mistake => new(Id, Text);
}

/// <summary>
/// The ways in which merchants sign each part of the text: the right one first, then the mistakes, the likeliest first, each
/// value once.
/// </summary>
internal static partial class Ways
{
    private static readonly Encoding Gbk = CodePagesEncodingProvider.Instance.GetEncoding(936)!;

    // M: method, P: path, L: line feed, C: client, T: time, B: body.
    public static readonly Way<string>[] Layouts =
    [
        new("", "", "M PLC.T.B"),
        new("first-line", "You signed without the first line (method and path).", "C.T.B"),
        new("body-only", "You signed the body alone.", "B"),
        new("time-left-out", "You signed without the time.", "M PLC.B"),
        new("client-left-out", "You signed without the Client-Id.", "M PLT.B"),
        new("body-left-out", "You signed without the body.", "M PLC.T"),
        new("order", "You signed the time before the Client-Id.", "M PLT.C.B"),
        new("separators", "You signed with commas in place of the dots.", "M PLC,T,B"),
        new("separators", "You signed with line feeds in place of the dots.", "M PLCLTLB"),
        new("separators", "You signed without the dots.", "M PLCTB"),
        new("separators", "You signed with a line feed between time and body in place of the dot.", "M PLC.TLB"),
        new("separators", "You signed without the dot between time and body.", "M PLC.TB"),
        new("separators", "You signed with spaces in place of the dots.", "M PLC T B"),
        new("separators", "You signed without the space between method and path.", "MPLC.T.B"),
        new("separators", "You signed with a line feed between method and path.", "MLPLC.T.B"),
        new("method", "You signed without the method.", "PLC.T.B"),
        new("order", "You signed the body before the client and the time.", "M PLB.C.T"),
    ];

    public static readonly Way<string>[] LineBreaks =
    [
        new("", "", "\n"),
        new("line-break", "You signed with CR LF where the scheme has LF.", "\r\n"),
        new("line-break", "You signed the two characters \\n where the scheme has a line feed.", "\\n"),
        new("line-break", "You signed without the line feed.", ""),
        new("line-break", "You signed with two line feeds where the scheme has one.", "\n\n"),
        new("line-break", "You signed with a space where the scheme has a line feed.", " "),
        new("line-break", "You signed with CR where the scheme has LF.", "\r"),
        new("line-break", "You signed the four characters \\r\\n where the scheme has a line feed.", "\\r\\n"),
        new("line-break", "You signed with a dot where the scheme has a line feed.", "."),
        new("line-break", "You signed %0A where the scheme has a line feed.", "%0A"),
    ];

    public static readonly Way<Func<byte[], byte[]>>[] Wholes =
    [
        new("", "", text => text),
        new("hashed-twice", "You hashed the text before you gave it to a function that hashes.", SHA256.HashData),
        new(
            "hashed-twice",
            "You signed the hexadecimal text of the hash, not the text.",
            text => Ascii(Convert.ToHexStringLower(SHA256.HashData(text)))
        ),
        new(
            "hashed-twice",
            "You signed the hexadecimal text of the hash, in capitals, not the text.",
            text => Ascii(Convert.ToHexString(SHA256.HashData(text)))
        ),
        new(
            "hashed-twice",
            "You signed the base64 of the hash, not the text.",
            text => Ascii(Convert.ToBase64String(SHA256.HashData(text)))
        ),
        new("encoded", "You signed the base64 of the text.", text => Ascii(Convert.ToBase64String(text))),
        new("encoded", "You signed the text in hexadecimal.", text => Ascii(Convert.ToHexStringLower(text))),
        new("encoded", "You signed the text in hexadecimal, in capitals.", text => Ascii(Convert.ToHexString(text))),
        new("body-line-feed", "You signed a line feed at the end of the text.", text => [.. text, 10]),
        new("body-line-feed", "You signed CR LF at the end of the text.", text => [.. text, 13, 10]),
        new("charset", "You signed the text in Latin-1, not in UTF-8.", text => Encoding.Latin1.GetBytes(Utf8(text))),
        new("charset", "You signed the text in GBK, not in UTF-8.", text => Gbk.GetBytes(Utf8(text))),
        new("charset", "You signed the text in UTF-16.", text => Encoding.Unicode.GetBytes(Utf8(text))),
        new(
            "charset",
            "You signed the text in UTF-16 (big-endian).",
            text => Encoding.BigEndianUnicode.GetBytes(Utf8(text))
        ),
        new(
            "charset",
            "You signed the text in UTF-16 with a byte order mark.",
            text => [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(Utf8(text))]
        ),
        new(
            "charset",
            "You signed the text in UTF-16 (big-endian) with a byte order mark.",
            text => [0xFE, 0xFF, .. Encoding.BigEndianUnicode.GetBytes(Utf8(text))]
        ),
        new("charset", "You signed the text in ASCII, with ? for other letters.", text => Ascii(Utf8(text))),
        new(
            "charset",
            "You signed the text encoded in UTF-8 twice.",
            text => Encoding.UTF8.GetBytes(Encoding.Latin1.GetString(text))
        ),
        new("byte-order-mark", "You signed a byte order mark at the start.", text => [0xEF, 0xBB, 0xBF, .. text]),
        new("encoded", "You signed the text percent-encoded.", text => Ascii(Uri.EscapeDataString(Utf8(text)))),
        new("hashed-twice", "You signed the hexadecimal text of the SHA-1.", text => Ascii(Sha1Hex(text))),
        new("hashed-twice", "You signed the hexadecimal text of the MD5.", text => Ascii(Md5Hex(text))),
        new("body-line-feed", "You signed a space at the end of the text.", text => [.. text, 32]),
        new("body-line-feed", "You signed a NUL at the end of the text.", text => [.. text, 0]),
    ];

    public static Way<byte[]>[] Methods(string sent) => Distinct(AllMethods(sent));

    public static Way<byte[]>[] Paths(SignedParts parts, IReadOnlyList<string> prefixes, string route) =>
        Distinct(AllPaths(parts, prefixes, route));

    public static Way<byte[]>[] Clients(string sent) => Distinct(AllClients(sent));

    public static Way<byte[]>[] Times(string sent) => Distinct(AllTimes(sent));

    public static Way<byte[]>[] Bodies(byte[] sent) => Distinct(AllBodies(sent));

    private static IEnumerable<Way<byte[]>> AllMethods(string sent)
    {
        yield return Sent(sent);
        foreach (var method in (string[])["POST", "post", "Post", "GET", "PUT"])
            yield return Of("method", $"You signed the method as {method}, and sent {sent}.", method);
        yield return Of("method", "You signed with nothing in the method's place.", "");
    }

    private static IEnumerable<Way<byte[]>> AllPaths(SignedParts parts, IReadOnlyList<string> prefixes, string route)
    {
        var path = SignatureScheme.PathOf(parts.Target);
        yield return Sent(path);
        var query = path.IndexOf('?', StringComparison.Ordinal);
        var bare = query < 0 ? path : path[..query];
        if (query >= 0)
            yield return Of("path-query", "You signed the path without its query.", bare);
        foreach (
            var host in parts.Host.Length == 0
                ? []
                : (string[])["https://" + parts.Host, "http://" + parts.Host, parts.Host]
        )
            yield return Of("path-host", "You signed the URL with its host; only the path is signed.", host + path);
        if (parts.Target != path)
            yield return Of("path-host", "You signed the URL with its host; only the path is signed.", parts.Target);
        foreach (
            var prefix in prefixes
                .Concat(["/api", "/api/open", "/ams/api", "/open"])
                .Where(p => p.Length > 0)
                .Distinct(StringComparer.Ordinal)
        )
        {
            yield return Of(
                "path-prefix",
                $"You signed the path with {prefix} before it, and sent it without.",
                prefix + path
            );
            if (path.StartsWith(prefix + "/", StringComparison.Ordinal))
                yield return Of(
                    "path-prefix",
                    $"You signed the path without {prefix}, and sent it with it.",
                    path[prefix.Length..]
                );
        }
        yield return Of("path-slash", "You signed the path with a slash at its end.", bare + "/" + path[bare.Length..]);
        yield return Of(
            "path-slash",
            "You signed the path without the slash at its end.",
            bare.TrimEnd('/') + path[bare.Length..]
        );
        yield return Of("path-slash", "You signed the path without the slash at its start.", path.TrimStart('/'));
        yield return Of("path-slash", "You signed the path with two slashes at its start.", "/" + path);
        yield return Of(
            "path-slash",
            "You signed the path with one slash, and sent more.",
            path.Replace("//", "/", StringComparison.Ordinal)
        );
        yield return Of(
            "path-escapes",
            "You signed the path without its percent-escapes.",
            Uri.UnescapeDataString(path)
        );
        yield return Of("path-escapes", "You signed the path percent-encoded.", Uri.EscapeDataString(path));
        yield return Of(
            "path-escapes",
            "You signed the path with its percent-escapes in other letters.",
            string.Concat(path.Select((c, i) => IsInEscape(path, i) ? char.ToUpperInvariant(c) : c))
        );
        yield return Of(
            "path-escapes",
            "You signed the path with its percent-escapes in other letters.",
            string.Concat(path.Select((c, i) => IsInEscape(path, i) ? char.ToLowerInvariant(c) : c))
        );
        for (var slash = bare.IndexOf('/', Math.Min(1, bare.Length)); slash > 0; slash = bare.IndexOf('/', slash + 1))
            yield return Of("path-prefix", $"You signed the path from {path[slash..]} on.", path[slash..]);
        yield return Of("path", $"You signed the path {route}.", route);
        yield return Of("path", "You signed the path in small letters.", path.ToLowerInvariant());
        yield return Of("path", "You signed the path and the version of HTTP.", path + " HTTP/1.1");
        yield return Of("path", "You signed with nothing in the path's place.", "");
        if (query < 0)
            yield return Of("path-query", "You signed the path with a question mark at its end.", path + "?");
        foreach (var version in (string[])["/v1", "/v3"])
            yield return Of(
                "path",
                $"You signed the path of another version, {version}.",
                path.Replace("/v2", version, StringComparison.Ordinal)
            );
        yield return Of(
            "path",
            "You signed the path of another operation.",
            path.Replace("cancel", "pay", StringComparison.Ordinal)
        );
        yield return Of("path", "You signed the path with a space at its end.", path + " ");
    }

    private static bool IsInEscape(string path, int index) =>
        (index >= 1 && path[index - 1] == '%') || (index >= 2 && path[index - 2] == '%');

    private static IEnumerable<Way<byte[]>> AllClients(string sent)
    {
        yield return Sent(sent);
        yield return Of("client", "You signed the Client-Id in small letters.", sent.ToLowerInvariant());
        yield return Of("client", "You signed the Client-Id in capitals.", sent.ToUpperInvariant());
        yield return Of("client", "You signed the Client-Id with a space behind it.", sent + " ");
        yield return Of("client", "You signed the Client-Id with a space before it.", " " + sent);
        yield return Of("client", "You signed the Client-Id with a line feed behind it.", sent + "\n");
        yield return Of("client", "You signed the Client-Id with CR LF behind it.", sent + "\r\n");
        yield return Of("client", "You signed the Client-Id in double quotes.", $"\"{sent}\"");
        yield return Of("client", "You signed with nothing in the Client-Id's place.", "");
        yield return Of("client", "You signed the word null in the Client-Id's place.", "null");
        yield return Of("client", "You signed the word undefined in the Client-Id's place.", "undefined");
        yield return Of("client", "You signed the header's name with the Client-Id.", $"Client-Id: {sent}");
        yield return Of("client", "You signed the Client-Id without its blanks.", sent.Trim());
        yield return Of("client", "You signed the Client-Id with a byte order mark before it.", "\uFEFF" + sent);
        yield return Of(
            "client",
            "You signed the Client-Id with a hyphen for each underscore.",
            sent.Replace('_', '-')
        );
        yield return Of(
            "client",
            "You signed the Client-Id with an underscore for each hyphen.",
            sent.Replace('-', '_')
        );
    }

    private static IEnumerable<Way<byte[]>> AllTimes(string sent)
    {
        yield return Sent(sent);
        Way<byte[]> Format(string text) => Of("time-format", $"You signed the time as {text}, and sent {sent}.", text);
        if (RequestTime.Read(sent) is RequestTime.At { Time: { Year: > 1 and < 9999 } time })
        {
            var utc = time.ToUniversalTime();
            yield return Format(utc.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture));
            yield return Format(utc.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
            // The likeliest first: the zone that was sent, UTC, that of the scheme's wallets; whole seconds and milliseconds.
            double[] likely = [time.Offset.TotalHours, 0, 8];
            double[] others = [7, 9, 5.5, 1, 2, -5, -8, 3, 4, 5, 6, 6.5, 10, -3, -4, -6, -7];
            string[] brief = ["", ".fff"];
            string[] fine = [".ffffff", ".fffffff"];
            foreach (
                var (zones, fractions) in new[] { (likely, brief), (likely, fine), (others, brief), (others, fine) }
            )
            foreach (var zone in zones)
            foreach (var fraction in fractions)
            {
                var local = utc.ToOffset(TimeSpan.FromHours(zone));
                var text = local.ToString("yyyy-MM-dd'T'HH:mm:ss" + fraction, CultureInfo.InvariantCulture);
                if (zone == 0)
                    yield return Format(text + "Z");
                var offset = local.ToString("zzz", CultureInfo.InvariantCulture);
                yield return Format(text + offset);
                yield return Format(text + offset.Replace(":", "", StringComparison.Ordinal));
                yield return Format(text);
            }
            yield return Format(utc.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture));
            yield return Format(time.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture));
            yield return Format(utc.ToString("R", CultureInfo.InvariantCulture));
            yield return Format(utc.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture));
            yield return Format(time.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture));
            yield return Format(utc.ToString("yyyy-MM-dd'T'HH:mm", CultureInfo.InvariantCulture) + "Z");
        }
        yield return Of("time-format", "You signed the time percent-encoded.", Uri.EscapeDataString(sent));
        yield return Of("time-format", "You signed the time with a space for its plus sign.", sent.Replace('+', ' '));
        yield return Of("time-format", "You signed the time in small letters.", sent.ToLowerInvariant());
        yield return Of("time-format", "You signed the time with a space before it.", " " + sent);
        yield return Of("time-format", "You signed the time with a space behind it.", sent + " ");
        yield return Of("time-format", "You signed the time with a line feed behind it.", sent + "\n");
        yield return Of("time-format", "You signed with nothing in the time's place.", "");
        yield return Of("time-format", "You signed the word null in the time's place.", "null");
        yield return Of("time-format", "You signed the word undefined in the time's place.", "undefined");
        yield return Of("time-format", "You signed the time in double quotes.", $"\"{sent}\"");
    }

    // Who asks the clock twice signs another moment than is sent, a little earlier or later, in the same form.
    public static IEnumerable<Way<byte[]>> Moments(string sent)
    {
        if (RequestTime.Read(sent) is not RequestTime.At { Time: { Year: > 1 and < 9999 } time })
            yield break;
        var isNumber = sent.All(char.IsAsciiDigit);
        var dot = sent.IndexOf('.', StringComparison.Ordinal);
        var digits = dot < 0 ? 0 : sent.AsSpan(dot + 1).IndexOfAnyExceptInRange('0', '9');
        var (step, count) =
            isNumber || digits == 3 ? (TimeSpan.FromMilliseconds(1), 1500)
            : digits <= 0 ? (TimeSpan.FromSeconds(1), 400)
            : (TimeSpan.FromMicroseconds(1), digits >= 6 ? 2000 : 0);
        var zone = sent.IndexOfAny(['Z', '+', '-'], Math.Min(sent.Length, 11)) is > 0 and var at ? sent[at..] : "";
        for (var i = 1; i <= count; i++)
            foreach (var moment in (DateTimeOffset[])[time - (step * i), time + (step * i)])
            {
                var text = isNumber
                    ? moment.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture)
                    : moment.ToString(
                        "yyyy-MM-dd'T'HH:mm:ss" + (digits > 0 ? "." + new string('f', Math.Min(digits, 7)) : ""),
                        CultureInfo.InvariantCulture
                    ) + zone;
                yield return Of("time-moment", $"You signed another moment, {text}, than you sent, {sent}.", text);
            }
    }

    private static Way<byte[]> Sent(string text) => Of("", "", text);

    private static Way<byte[]> Of(string id, string text, string value) => new(id, text, Encoding.UTF8.GetBytes(value));

    // Each value once: as it was sent, or by the first mistake that makes it.
    private static Way<byte[]>[] Distinct(IEnumerable<Way<byte[]>> ways)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return [.. ways.Where(way => seen.Add(Convert.ToBase64String(way.Value)))];
    }

    private static string Utf8(byte[] text) => Encoding.UTF8.GetString(text);

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

#pragma warning disable CA5350, CA5351 // What merchants have signed by mistake; nothing rests on it.
    private static string Sha1Hex(byte[] text) => Convert.ToHexStringLower(SHA1.HashData(text));

    private static string Md5Hex(byte[] text) => Convert.ToHexStringLower(MD5.HashData(text));
#pragma warning restore CA5350, CA5351
}
