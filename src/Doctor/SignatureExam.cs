using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>A key to examine a signature with.</summary>
/// <param name="Owner">The owner, for a reader: "your key of version 1".</param>
/// <param name="Key">The public key.</param>
internal sealed record ExamKey(string Owner, RSAParameters Key);

/// <summary>An opened signature.</summary>
/// <param name="Key">The key that signed.</param>
/// <param name="Hash">The signed hash.</param>
/// <param name="Encoding">The mistakes in the encoding; empty for an accepted encoding.</param>
internal sealed record Opened(ExamKey Key, SignedHash Hash, IReadOnlyList<Mistake> Encoding);

/// <summary>
/// Finds the key of a signature, in the text as sent and with its usual corruptions undone.
/// </summary>
internal static class SignatureExam
{
    /// <summary>Lists the keys that fit the signature: several only if one key is registered twice.</summary>
    public static IEnumerable<Opened> Open(string signature, IReadOnlyList<ExamKey> keys)
    {
        foreach (var (mistake, bytes) in Readings(signature))
        foreach (var key in keys)
            if (SignedHash.Open(bytes, key.Key) is { } hash)
                yield return new(key, hash, mistake is null ? [] : [mistake]);
    }

    /// <summary>Describes a signature that fits no key.</summary>
    public static Mistake WhyNone(string signature, IReadOnlyList<ExamKey> keys)
    {
        if (!new SignatureHeader(null, null, signature).TryDecode(out var bytes))
            return new(
                "signature-encoding",
                "The signature is not base64: something has changed it, or cut it. Send it in base64, percent-encoded."
            );
        var expected = keys.Count > 0 ? keys[0].Key.Modulus!.Length : 256;
        return bytes.Length switch
        {
            32 or 20 or 64 or 48 or 16 => new(
                "signature-no-rsa",
                $"The signature has {bytes.Length} bytes: it is a hash or an HMAC. The scheme signs with RSA."
            ),
            >= 68 and <= 72 when bytes[0] == 0x30 => new(
                "signature-no-rsa",
                "The signature was made with a key of an elliptic curve. The scheme signs with RSA."
            ),
            var length when length < expected && !IsKeyLength(length) => new(
                "signature-cut",
                $"The signature has {length} of {expected} bytes: it was cut."
            ),
            var length when length != expected && IsKeyLength(length) => new(
                "key-unknown",
                $"The signature has {length * 8} bits, and was made with a key of that size. Your key here has "
                    + $"{expected * 8} bits, so it is another one."
            ),
            var length when length != expected => new(
                "signature-encoding",
                $"The signature has {length} bytes where {expected} are expected: something has changed it."
            ),
            _ => new(
                "key-unknown",
                "No key that is known here has made this signature: it was made with another private key, or "
                    + "changed on its way."
            ),
        };
    }

    private static bool IsKeyLength(int bytes) => bytes is 128 or 256 or 384 or 512 or 1024;

    private static IEnumerable<(Mistake? Mistake, byte[] Bytes)> Readings(string sent)
    {
        if (new SignatureHeader(null, null, sent).TryDecode(out var bytes))
        {
            yield return (null, bytes);
            foreach (var reading in OfBytes(bytes))
                yield return reading;
        }

        var once = Uri.UnescapeDataString(sent);
        (string Text, string Reading)[] repairs =
        [
            ("The signature is percent-encoded twice.", Uri.UnescapeDataString(once)),
            ("The signature is percent-encoded three times.", Uri.UnescapeDataString(Uri.UnescapeDataString(once))),
            (
                "The signature has a space for each plus sign. Percent-encode it, so that nothing changes it.",
                once.Trim().Replace(' ', '+')
            ),
            ("The signature is in quotes.", once.Trim('"', '\'', ' ')),
            (
                "The signature holds the two characters \\n.",
                once.Replace("\\r", "", StringComparison.Ordinal).Replace("\\n", "", StringComparison.Ordinal)
            ),
            ("The signature holds tabs or spaces.", string.Concat(once.Where(c => !char.IsWhiteSpace(c)))),
            ("The signature holds HTML entities.", WebUtility.HtmlDecode(once)),
            (
                "The signature holds \\u escapes of JSON.",
                once.Replace("\\u002B", "+", StringComparison.OrdinalIgnoreCase)
                    .Replace("\\u003D", "=", StringComparison.OrdinalIgnoreCase)
                    .Replace("\\u002F", "/", StringComparison.OrdinalIgnoreCase)
            ),
            ("The signature has \\/ for each slash.", once.Replace("\\/", "/", StringComparison.Ordinal)),
            ("The signature begins with the word that names it.", once[(once.LastIndexOf(':') + 1)..]),
        ];
        foreach (var (text, reading) in repairs.Where(repair => repair.Reading != once))
            if (new SignatureHeader(null, null, reading).TryDecode(out bytes))
                yield return (Encoding(text), bytes);
        var hex = once.Trim().Replace(":", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal);
        if (hex.Length % 2 == 0 && hex.Length > 0 && hex.All(char.IsAsciiHexDigit))
            yield return (Encoding("The signature is in hexadecimal. Send it in base64."), Convert.FromHexString(hex));
    }

    private static IEnumerable<(Mistake? Mistake, byte[] Bytes)> OfBytes(byte[] bytes)
    {
        if (bytes.All(b => b is >= 32 and < 127 or 10 or 13))
        {
            var text = System.Text.Encoding.ASCII.GetString(bytes).Trim();
            if (new SignatureHeader(null, null, text).TryDecode(out var inner))
                yield return (Encoding("The signature is base64 of base64."), inner);
            if (text.Length % 2 == 0 && text.All(char.IsAsciiHexDigit))
                yield return (
                    Encoding("The signature is base64 of its hexadecimal text."),
                    Convert.FromHexString(text)
                );
        }
        yield return (Encoding("The signature's bytes are in the reverse order."), [.. bytes.Reverse()]);
        if (bytes.Length % 2 == 1 && bytes[0] == 0)
            yield return (Encoding("The signature has a zero byte too many at its start."), bytes[1..]);
        if (bytes.Length % 8 == 7)
            yield return (Encoding("The signature lacks the zero byte at its start."), [0, .. bytes]);
        if (bytes is [0x04 or 0x03 or 0x30, ..])
            yield return (Encoding("The signature is wrapped in DER."), Unwrapped(bytes));
        // Undoes bytes that were taken for Latin-1 and encoded in UTF-8 before the base64.
        var latin1 = System.Text.Encoding.Latin1.GetBytes(System.Text.Encoding.UTF8.GetString(bytes));
        yield return (
            Encoding("The signature's bytes were treated as text, and written in UTF-8, before the base64."),
            latin1
        );
    }

    private static byte[] Unwrapped(byte[] bytes)
    {
        try
        {
            var reader = new AsnReader(bytes, AsnEncodingRules.BER);
            if (reader.PeekTag() == Asn1Tag.Sequence)
                reader = reader.ReadSequence();
            while (reader.HasData && reader.PeekTag() == Asn1Tag.Sequence)
                reader.ReadEncodedValue();
            return !reader.HasData ? []
                : reader.PeekTag() == Asn1Tag.PrimitiveBitString ? reader.ReadBitString(out _)
                : reader.PeekTag() == Asn1Tag.Integer ? [.. reader.ReadIntegerBytes().ToArray().SkipWhile(b => b == 0)]
                : reader.ReadOctetString();
        }
        catch (AsnContentException)
        {
            return [];
        }
    }

    private static Mistake Encoding(string text) => new("signature-encoding", text);
}
