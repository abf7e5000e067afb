using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace CancelService.Doctor;

// The wrong ways to sign a body, which has most of the mistakes.
internal static partial class Ways
{
    // The most characters of JSON that are serialised again.
    private const int MaxForms = 1024 * 1024;

    private static IEnumerable<Way<byte[]>> AllBodies(byte[] sent)
    {
        var text = Utf8(sent);
        Way<byte[]>[] right = [new("", "", sent)];
        return right
            .Concat(Edges(sent, text))
            .Concat(Wrapped(sent, text))
            .Concat(Charsets(sent, text))
            .Concat(Forms(text));
    }

    private static Way<byte[]> Body(string text, byte[] value, string id = "body") =>
        new(id, $"You signed the body {text}", value);

    private static IEnumerable<Way<byte[]>> Edges(byte[] sent, string text)
    {
        yield return Body("with a line feed at its end, and sent it without.", [.. sent, 10], "body-line-feed");
        yield return Body("with CR LF at its end, and sent it without.", [.. sent, 13, 10], "body-line-feed");
        yield return Body(
            "without the white space around it, and sent it with that.",
            [.. Encoding.UTF8.GetBytes(text.Trim(' ', '\t', '\r', '\n'))],
            "body-line-feed"
        );
        yield return Body(
            "without the byte order mark that you sent.",
            sent.AsSpan().StartsWith("\uFEFF"u8) ? sent[3..] : sent,
            "byte-order-mark"
        );
        yield return Body(
            "with a byte order mark, and sent it without.",
            [0xEF, 0xBB, 0xBF, .. sent],
            "byte-order-mark"
        );
        yield return Body(
            "with LF for each CR LF.",
            Encoding.UTF8.GetBytes(text.Replace("\r\n", "\n", StringComparison.Ordinal)),
            "body-line-break"
        );
        yield return Body(
            "with CR LF for each LF.",
            Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\r\n")),
            "body-line-break"
        );
    }

    private static IEnumerable<Way<byte[]>> Wrapped(byte[] sent, string text)
    {
        yield return Body("as nothing: the text ends behind the last dot.", [], "body-empty");
        yield return Body("as {}, and sent another one.", "{}"u8.ToArray(), "body-empty");
        yield return Body("as the word null.", "null"u8.ToArray(), "body-empty");
        yield return Body(
            "as [object Object], which is what JavaScript makes of an object.",
            "[object Object]"u8.ToArray()
        );
        yield return Body("as a string of JSON, encoded twice.", Encoding.UTF8.GetBytes(Quoted(text)), "body-twice");
        yield return Body("percent-encoded.", Ascii(Uri.EscapeDataString(text)), "body-encoded");
        yield return Body(
            "as a form's text, with + for each space.",
            Ascii(Uri.EscapeDataString(text).Replace("%20", "+", StringComparison.Ordinal)),
            "body-encoded"
        );
        yield return Body("in base64.", Ascii(Convert.ToBase64String(sent)), "body-encoded");
        yield return Body(
            "as its SHA-256 in hexadecimal.",
            Ascii(Convert.ToHexStringLower(SHA256.HashData(sent))),
            "body-hash"
        );
        yield return Body(
            "as its SHA-256 in hexadecimal, in capitals.",
            Ascii(Convert.ToHexString(SHA256.HashData(sent))),
            "body-hash"
        );
        yield return Body(
            "as its SHA-256 in base64.",
            Ascii(Convert.ToBase64String(SHA256.HashData(sent))),
            "body-hash"
        );
        yield return Body("as its SHA-256.", SHA256.HashData(sent), "body-hash");
        yield return Body("as its MD5 in hexadecimal.", Ascii(Md5Hex(sent)), "body-hash");
        yield return Body(
            "without any white space, also within its strings.",
            Encoding.UTF8.GetBytes(string.Concat(text.Where(c => !char.IsWhiteSpace(c)))),
            "body-json"
        );
        yield return Body(
            "with single quotes, as Python prints a dictionary.",
            Encoding.UTF8.GetBytes(text.Replace('"', '\'')),
            "body-json"
        );
    }

    private static IEnumerable<Way<byte[]>> Charsets(byte[] sent, string text)
    {
        yield return Body("in Latin-1, and sent it in UTF-8.", Encoding.Latin1.GetBytes(text), "charset");
        yield return Body("in GBK, and sent it in UTF-8.", Gbk.GetBytes(text), "charset");
        yield return Body(
            "in UTF-8, and sent it in Latin-1.",
            Encoding.UTF8.GetBytes(Encoding.Latin1.GetString(sent)),
            "charset"
        );
        yield return Body("in UTF-8, and sent it in GBK.", Encoding.UTF8.GetBytes(Gbk.GetString(sent)), "charset");
        yield return Body("in UTF-16, and sent it in UTF-8.", Encoding.Unicode.GetBytes(text), "charset");
        yield return Body(
            "in UTF-8, and sent it in UTF-16.",
            Encoding.UTF8.GetBytes(Encoding.Unicode.GetString(sent)),
            "charset"
        );
        yield return Body("in ASCII, with ? for other letters.", Ascii(text), "charset");
        yield return Body(
            "with its HTML entities.",
            Encoding.UTF8.GetBytes(WebUtility.HtmlEncode(text)),
            "body-encoded"
        );
        yield return Body(
            "with each space as a no-break space.",
            Encoding.UTF8.GetBytes(text.Replace(' ', '\u00A0')),
            "body-letters"
        );
        yield return Body(
            "with a space for each no-break space.",
            Encoding.UTF8.GetBytes(text.Replace('\u00A0', ' ')),
            "body-letters"
        );
        yield return Body("in small letters.", Encoding.UTF8.GetBytes(text.ToLowerInvariant()), "body-letters");
    }

    private static IEnumerable<Way<byte[]>> Forms(string text)
    {
        var written = 0;
        foreach (var (name, form) in JsonForms.Of(text))
        {
            if ((written += form.Length) > MaxForms)
                break;
            yield return Body(
                $"{name}; the sent text is written in another way.",
                Encoding.UTF8.GetBytes(form),
                "body-json"
            );
        }
        foreach (var (name, form) in text.Length < MaxForms / 64 ? JsonForms.Of(text).Take(16) : [])
        {
            yield return Body(
                $"{name}, with a line feed at its end.",
                Encoding.UTF8.GetBytes(form + "\n"),
                "body-json"
            );
            yield return Body(
                $"{name}, as its SHA-256 in hexadecimal.",
                Ascii(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(form)))),
                "body-hash"
            );
        }
    }

    private static string Quoted(string text) =>
        "\""
        + text.Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal)
        + "\"";
}
