using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace CancelService.Protocol;

/// <summary>
/// The request header <c>Signature</c>: <c>algorithm=RSA256, keyVersion=1, signature=...</c>, in any order. It only
/// parses: an unknown algorithm or key is another step's refusal, with a code of its own.
/// </summary>
/// <param name="Algorithm">The algorithm as sent; null stands for RSA256.</param>
/// <param name="KeyVersion">The version as sent; null stands for the client's newest active key.</param>
/// <param name="Signature">The encoded text of the signature.</param>
public sealed record SignatureHeader(string? Algorithm, string? KeyVersion, string Signature)
{
    /// <summary>The longest accepted header; a signature by the longest key takes a quarter of it.</summary>
    public const int MaxLength = 8192;

    /// <summary>Whether the algorithm is the protocol's, under either of its names.</summary>
    public bool IsRsa256 =>
        Algorithm is null
        || Algorithm.Equals("RSA256", StringComparison.OrdinalIgnoreCase)
        || Algorithm.Equals("SHA256withRSA", StringComparison.OrdinalIgnoreCase);

    /// <summary>The key version as a number; null when it is absent, -1 when it is not a number.</summary>
    public int? KeyVersionNumber =>
        KeyVersion is null ? null
        : int.TryParse(KeyVersion, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : -1;

    /// <summary>Parses the header, and ignores unknown members.</summary>
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
    /// Decodes the signature from the forms that SDKs send: percent-encoded base64, plain base64 or base64url, with or
    /// without padding, also in lines, as the MIME encoders of Java and Ruby write it. A <c>+</c> is never a space.
    /// </summary>
    public bool TryDecode([NotNullWhen(true)] out byte[]? bytes)
    {
        // A header can't hold a line break, so these were percent-encoded.
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
