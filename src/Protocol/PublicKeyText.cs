using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace CancelService.Protocol;

/// <summary>
/// Reads public keys in merchants' formats: PEM of SubjectPublicKeyInfo, PKCS#1 or a certificate, or the same in bare
/// base64, as SDKs and configuration files have it. For any other text it names the format and the command that
/// converts it.
/// </summary>
public static class PublicKeyText
{
    private const int MaxLength = 16 * 1024;
    private const string Begin = "-----BEGIN ";
    private const string Dashes = "-----";
    private const string Rsa = "1.2.840.113549.1.1.1";
    private const string RsaPss = "1.2.840.113549.1.1.10";

    private const string NoKey =
        "The text is not an RSA public key: neither PEM nor base64. openssl pkey -in private.pem -pubout writes one.";
    private const string NoKeyInside =
        "The encoded bytes are not an RSA public key, or are cut short. openssl pkey -in private.pem -pubout "
        + "writes one.";
    private const string IsPrivate =
        "This is a private key, not a public key. Only its owner may have it, so don't use it any more. "
        + "Make a new pair with openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem, "
        + "and register what openssl pkey -in private.pem -pubout writes.";
    private const string IsRequest =
        "This is a certificate request, not an RSA public key. openssl req -in request.pem -pubkey -noout "
        + "writes its key.";
    private const string IsSsh =
        "This is a public key of SSH. If it is an RSA key, ssh-keygen -e -m PKCS8 -f key.pub writes it as PEM.";
    private const string IsPss =
        "This key is restricted to RSA-PSS, which the protocol does not use. Make an unrestricted key with "
        + "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem.";
    private const string IsOther =
        "This is a public key of another algorithm, such as an elliptic curve, not an RSA public key. Make a pair with "
        + "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem.";
    private const string IsTwo =
        "There are two keys in the text, not one RSA public key. Register each with a version of its own.";

    /// <summary>
    /// Reads a public key from PEM (SubjectPublicKeyInfo, PKCS#1, a certificate) or bare base64, on one line or many,
    /// with line breaks or the two characters <c>\n</c>.
    /// </summary>
    /// <param name="text">The text, in at most 16,384 characters.</param>
    /// <param name="subjectPublicKeyInfo">The key in DER: RSA, 2048 to 8192 bits, with an odd exponent above 1.</param>
    /// <param name="problem">The reason of a refusal with the command that helps; it never quotes the text.</param>
    public static bool TryRead(
        string text,
        [NotNullWhen(true)] out byte[]? subjectPublicKeyInfo,
        [NotNullWhen(false)] out string? problem
    )
    {
        ArgumentNullException.ThrowIfNull(text);
        using var rsa = RSA.Create();
        problem =
            text.Length > MaxLength ? $"The text has more than {MaxLength} characters, so it is not an RSA public key."
            : Encoded(text, out var der) is { } encoding ? encoding
            : Load(der, rsa) ?? Unusable(rsa);
        subjectPublicKeyInfo = problem is null ? rsa.ExportSubjectPublicKeyInfo() : null;
        return problem is null;
    }

    // Checks the limits of the scheme.
    private static string? Unusable(RSA rsa) =>
        (rsa.KeySize, rsa.ExportParameters(includePrivateParameters: false).Exponent) switch
        {
            (< SignatureScheme.MinKeyBits, _) =>
                $"The key has {rsa.KeySize} bits; at least {SignatureScheme.MinKeyBits} are required.",
            (> SignatureScheme.MaxKeyBits, _) =>
                $"The key has {rsa.KeySize} bits; at most {SignatureScheme.MaxKeyBits} are accepted.",
            (_, null or [] or [1]) => "The key's public exponent must be greater than 1.",
            (_, [.., var last]) when last % 2 == 0 => "The key's public exponent must be odd.",
            _ => null,
        };

    // Decodes the text, or names its format.
    private static string? Encoded(string text, out byte[] der)
    {
        der = [];
        text = text.Replace("\\r", "\r", StringComparison.Ordinal)
            .Replace("\\n", "\n", StringComparison.Ordinal)
            .Trim('\uFEFF', ' ', '\t', '\r', '\n', '"', '\'');
        if (text.StartsWith("ssh-", StringComparison.Ordinal) || text.StartsWith("ecdsa-", StringComparison.Ordinal))
            return IsSsh;
        if (text.StartsWith("---- BEGIN SSH2", StringComparison.Ordinal))
            return IsSsh;
        if (text.StartsWith('{'))
            return "This is JSON, such as a JWK, not an RSA public key in PEM or base64. Export the key as PEM.";

        var begin = text.IndexOf(Begin, StringComparison.Ordinal);
        if (begin < 0)
            return Decoded(text, out der) ? null : NoKey;
        var labelEnd = text.IndexOf(Dashes, begin + Begin.Length, StringComparison.Ordinal);
        if (labelEnd < 0)
            return NoKey;
        var label = text[(begin + Begin.Length)..labelEnd];
        if (text.Contains("PRIVATE KEY", StringComparison.Ordinal))
            return IsPrivate;
        if (label.EndsWith("CERTIFICATE REQUEST", StringComparison.Ordinal))
            return IsRequest;
        if (label.StartsWith("SSH2", StringComparison.Ordinal))
            return IsSsh;
        if (text.IndexOf(Begin, labelEnd, StringComparison.Ordinal) >= 0)
            return IsTwo;
        if (label is not ("PUBLIC KEY" or "RSA PUBLIC KEY" or "CERTIFICATE" or "X509 CERTIFICATE"))
            return $"This is no RSA public key: its PEM block says {Printable(label)}. openssl pkey -in private.pem "
                + "-pubout writes one.";
        var start = labelEnd + Dashes.Length;
        var end = text.IndexOf($"-----END {label}-----", start, StringComparison.Ordinal);
        if (end < 0)
            return $"The PEM block has no line -----END {label}-----, so the RSA public key is not an entire one.";
        return Decoded(text[start..end], out der) ? null : NoKeyInside;
    }

    // Accepts base64 and base64url, in lines of any length, with or without padding.
    private static bool Decoded(string text, out byte[] der)
    {
        var base64 = string.Concat(text.Where(c => !char.IsWhiteSpace(c)))
            .TrimEnd('=')
            .Replace('+', '-')
            .Replace('/', '_');
        der = Base64Url.IsValid(base64) ? Base64Url.DecodeFromChars(base64) : [];
        return der.Length > 0;
    }

    private static string? Load(byte[] der, RSA rsa)
    {
        try
        {
            var reader = new AsnReader(der, AsnEncodingRules.BER);
            var outer = reader.ReadSequence();
            if (reader.HasData)
                return IsTwo;
            if (outer.PeekTag() == Asn1Tag.Integer)
                return LoadPkcs1(der, outer, rsa);

            var first = outer.ReadSequence();
            if (!outer.HasData)
                return NoKeyInside;
            if (outer.PeekTag() == Asn1Tag.PrimitiveOctetString)
                return IsPrivate; // Encrypted.
            if (outer.PeekTag() == Asn1Tag.PrimitiveBitString)
                return LoadSubjectPublicKeyInfo(der, first.ReadObjectIdentifier(), rsa);
            // A certificate or a request; only a request begins with the version number 0.
            if (first.PeekTag() == Asn1Tag.Integer && first.ReadInteger().IsZero)
                return IsRequest;
            using var certificate = X509CertificateLoader.LoadCertificate(der);
            var info = certificate.PublicKey.ExportSubjectPublicKeyInfo();
            return LoadSubjectPublicKeyInfo(info, certificate.PublicKey.Oid.Value, rsa);
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            return NoKeyInside;
        }
    }

    // PKCS#1 has two numbers in a public key, and nine in a private key. PKCS#8 and SEC 1 have no number in second
    // place.
    private static string? LoadPkcs1(byte[] der, AsnReader key, RSA rsa)
    {
        key.ReadIntegerBytes();
        if (!key.HasData)
            return NoKeyInside;
        if (key.PeekTag() != Asn1Tag.Integer)
            return IsPrivate;
        key.ReadIntegerBytes();
        if (key.HasData)
            return IsPrivate;
        rsa.ImportRSAPublicKey(der, out _);
        return null;
    }

    private static string? LoadSubjectPublicKeyInfo(byte[] der, string? algorithm, RSA rsa)
    {
        if (algorithm == RsaPss)
            return IsPss;
        if (algorithm != Rsa)
            return IsOther;
        rsa.ImportSubjectPublicKeyInfo(der, out _);
        return null;
    }

    private static string Printable(string label) =>
        string.Concat(label.Take(40).Select(c => c is >= ' ' and <= '~' ? c : '?'));
}
