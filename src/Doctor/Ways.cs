using System.Security.Cryptography;
using System.Text;

namespace CancelService.Doctor;

/// <summary>A mistake of a request or an answer.</summary>
/// <param name="Id">The mistake's identifier, which never changes, such as <c>line-break</c>.</param>
/// <param name="Text">The mistake, in a sentence.</param>
public sealed record Mistake(string Id, string Text);

/// <summary>The parts of a request's string to sign.</summary>
internal sealed record SignedParts(
    string Method,
    string Target,
    string Host,
    string ClientId,
    string Time,
    byte[] Body
);

/// <summary>A way to sign a part. The right way has an empty identifier.</summary>
internal sealed record Way<T>(string Id, string Text, T Value)
{
    public Mistake Mistake => new(Id, Text);
}

/// <summary>
/// The ways in which merchants sign each part: the right way, then distinct mistakes, likeliest first.
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

    public static readonly Way<byte[]>[] LineBreaks =
    [
        new("", "", "\n"u8.ToArray()),
        new("line-break", "You signed with CR LF where the scheme has LF.", "\r\n"u8.ToArray()),
        new("line-break", "You signed the two characters \\n where the scheme has a line feed.", "\\n"u8.ToArray()),
        new("line-break", "You signed without the line feed.", ""u8.ToArray()),
        new("line-break", "You signed with two line feeds where the scheme has one.", "\n\n"u8.ToArray()),
        new("line-break", "You signed with a space where the scheme has a line feed.", " "u8.ToArray()),
        new("line-break", "You signed with CR where the scheme has LF.", "\r"u8.ToArray()),
        new(
            "line-break",
            "You signed the four characters \\r\\n where the scheme has a line feed.",
            "\\r\\n"u8.ToArray()
        ),
        new("line-break", "You signed with a dot where the scheme has a line feed.", "."u8.ToArray()),
        new("line-break", "You signed %0A where the scheme has a line feed.", "%0A"u8.ToArray()),
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

    public static Way<byte[]> Sent(string text) => Of("", "", text);

    private static Way<byte[]> Of(string id, string text, string value) => new(id, text, Encoding.UTF8.GetBytes(value));

    // Keeps the first way to each value.
    private static Way<byte[]>[] Distinct(IEnumerable<Way<byte[]>> ways)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return [.. ways.Where(way => seen.Add(Convert.ToBase64String(way.Value)))];
    }

    private static string Utf8(byte[] text) => Encoding.UTF8.GetString(text);

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

#pragma warning disable CA5350, CA5351 // Weak hashes, only to recognise merchants' mistakes.
    private static string Sha1Hex(byte[] text) => Convert.ToHexStringLower(SHA1.HashData(text));

    private static string Md5Hex(byte[] text) => Convert.ToHexStringLower(MD5.HashData(text));
#pragma warning restore CA5350, CA5351
}
