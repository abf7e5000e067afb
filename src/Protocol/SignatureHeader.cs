using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace CancelService.Protocol;

/// <summary>
/// The request header <c>Signature</c>: <c>algorithm=RSA256, keyVersion=1, signature=...</c>, in any order. This only
/// parses. Policy (which algorithm, which key) and cryptography come later, each with its own code.
/// </summary>
/// <param name="Algorithm">As sent; null when absent, which means RSA256.</param>
/// <param name="KeyVersion">As sent; null when absent, which means the client's newest active key.</param>
/// <param name="Signature">The text of the signature, still encoded.</param>
public sealed record SignatureHeader(string? Algorithm, string? KeyVersion, string Signature)
{
    /// <summary>The longest header that is looked at; a signature of the longest key takes a quarter of it.</summary>
    public const int MaxLength = 8192;

    /// <summary>Whether the algorithm is the one of the protocol, under either of its names.</summary>
    public bool IsRsa256 =>
        Algorithm is null
        || Algorithm.Equals("RSA256", StringComparison.OrdinalIgnoreCase)
        || Algorithm.Equals("SHA256withRSA", StringComparison.OrdinalIgnoreCase);

    /// <summary>The key version as a number; null when none was given, -1 when it can't be one of ours.</summary>
    public int? KeyVersionNumber =>
        KeyVersion is null ? null
        : int.TryParse(KeyVersion, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : -1;

    /// <summary>Takes the header apart. Members that we do not know are passed over.</summary>
    public static bool TryParse(string header, [NotNullWhen(true)] out SignatureHeader? parsed)
    {
        ArgumentNullException.ThrowIfNull(header);
        parsed = null;
        if (header.Length > MaxLength)
            return false;

        string? algorithm = null;
        string? keyVersion = null;
        string? signature = null;
        foreach (var range in header.AsSpan().Split(','))
        {
            var member = header.AsSpan()[range];
            var equals = member.IndexOf('=');
            if (equals < 0)
                return false;
            var value = member[(equals + 1)..].Trim(' ').ToString();
            var first = member[..equals].Trim(' ') switch
            {
                var name when name.Equals("algorithm", StringComparison.OrdinalIgnoreCase) => SetOnce(
                    ref algorithm,
                    value
                ),
                var name when name.Equals("keyVersion", StringComparison.OrdinalIgnoreCase) => SetOnce(
                    ref keyVersion,
                    value
                ),
                var name when name.Equals("signature", StringComparison.OrdinalIgnoreCase) => SetOnce(
                    ref signature,
                    value
                ),
                _ => true,
            };
            if (!first)
                return false;
        }

        if (signature is null)
            return false;
        parsed = new SignatureHeader(algorithm, keyVersion, signature);
        return true;
    }

    /// <summary>
    /// Decodes the signature from every form that clients send: percent-encoded base64, plain base64 or base64url, with or
    /// without padding, and in lines, as the MIME encoders of Java and Ruby write it. A <c>+</c> is never a space.
    /// </summary>
    public bool TryDecode([NotNullWhen(true)] out byte[]? bytes)
    {
        // A header holds no line break, so those that are here were percent-encoded.
        var text = string.Concat(Uri.UnescapeDataString(Signature).Where(c => c is not ('\r' or '\n')))
            .Replace('-', '+')
            .Replace('_', '/')
            .TrimEnd('=');
        bytes = new byte[text.Length * 3 / 4];
        var padded = text.PadRight((text.Length + 3) / 4 * 4, '=');
        return text.Length > 0
            && !text.Any(char.IsWhiteSpace)
            && Convert.TryFromBase64String(padded, bytes, out var written)
            && written == bytes.Length;
    }

    private static bool SetOnce(ref string? member, string value)
    {
        if (member is not null)
            return false;
        member = value;
        return true;
    }
}
