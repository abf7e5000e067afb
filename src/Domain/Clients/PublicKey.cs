using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace CancelService.Domain.Clients;

/// <summary>
/// An RSA public key of 2048 bits or more, parsed once and used many times. It verifies SHA-256 signatures with
/// PKCS#1 v1.5, the only scheme of the protocol.
/// </summary>
public sealed class PublicKey
{
    /// <summary>The shortest key that is accepted, in bits.</summary>
    public const int MinBits = 2048;

    /// <summary>The longest key that is accepted, in bits: a longer one costs us more to verify than the client to send.</summary>
    public const int MaxBits = 8192;

    // RSA objects are not promised to be safe for concurrent use, so each verification borrows one of its own.
    private readonly ConcurrentBag<RSA> _idle = [];
    private readonly RSAParameters _parameters;

    private PublicKey(string pem, RSAParameters parameters) => (Pem, _parameters) = (pem, parameters);

    /// <summary>The key as SubjectPublicKeyInfo in PEM.</summary>
    public string Pem { get; }

    /// <summary>Reads a key that was accepted before.</summary>
    /// <exception cref="FormatException">The text is not a key that <see cref="TryParse"/> accepts.</exception>
    public static PublicKey Parse(string pem) =>
        TryParse(pem, out var key, out var problem) ? key : throw new FormatException(problem);

    /// <summary>
    /// Reads a public key from every text that is unambiguously one: PEM (SubjectPublicKeyInfo, PKCS#1, a certificate) or bare
    /// base64, on one line or many, with line breaks or the two characters <c>\n</c>. Says what is wrong with it when it is not
    /// accepted, and never quotes it.
    /// </summary>
    public static bool TryParse(
        string text,
        [NotNullWhen(true)] out PublicKey? key,
        [NotNullWhen(false)] out string? problem
    )
    {
        ArgumentNullException.ThrowIfNull(text);
        key = null;
        using var rsa = RSA.Create();
        if (!PublicKeyText.TryLoad(text, rsa, out problem))
            return false;

        var parameters = rsa.ExportParameters(includePrivateParameters: false);
        problem = (rsa.KeySize, parameters.Exponent) switch
        {
            (< MinBits, _) => $"The key has {rsa.KeySize} bits; at least {MinBits} are required.",
            (> MaxBits, _) => $"The key has {rsa.KeySize} bits; at most {MaxBits} are accepted.",
            (_, null or [] or [1]) => "The key's public exponent must be greater than 1.",
            (_, [.., var last]) when last % 2 == 0 => "The key's public exponent must be odd.",
            _ => null,
        };
        if (problem is not null)
            return false;

        key = new PublicKey(rsa.ExportSubjectPublicKeyInfoPem(), parameters);
        return true;
    }

    /// <summary>Verifies a signature over the SHA-256 <paramref name="hash"/>.</summary>
    public bool Verifies(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> signature)
    {
        if (!_idle.TryTake(out var rsa))
            rsa = RSA.Create(_parameters);
        var verified = rsa.VerifyHash(hash, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        _idle.Add(rsa);
        return verified;
    }
}
