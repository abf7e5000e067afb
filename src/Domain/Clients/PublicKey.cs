using System.Collections.Concurrent;
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

    /// <summary>
    /// The longest accepted key, in bits. Verifying with a longer key costs more than sending a request.
    /// </summary>
    public const int MaxBits = 8192;

    // RSA objects are not documented as thread-safe, so each verification borrows its own.
    private readonly ConcurrentBag<RSA> _idle = [];
    private readonly RSAParameters _parameters;

    private PublicKey(string pem, RSAParameters parameters) => (Pem, _parameters) = (pem, parameters);

    /// <summary>The key as SubjectPublicKeyInfo in PEM.</summary>
    public string Pem { get; }

    /// <summary>Reads a SubjectPublicKeyInfo in PEM, such as <see cref="Pem"/>.</summary>
    /// <exception cref="FormatException">The text is not an RSA public key within the limits.</exception>
    public static PublicKey Parse(string pem)
    {
        ArgumentNullException.ThrowIfNull(pem);
        using var rsa = RSA.Create();
        try
        {
            rsa.ImportFromPem(pem);
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            throw new FormatException("The text is not an RSA public key in PEM.", e);
        }
        return Of(rsa);
    }

    /// <summary>Reads a SubjectPublicKeyInfo in DER.</summary>
    /// <exception cref="FormatException">The bytes are not an RSA public key within the limits.</exception>
    public static PublicKey Of(ReadOnlySpan<byte> subjectPublicKeyInfo)
    {
        using var rsa = RSA.Create();
        try
        {
            rsa.ImportSubjectPublicKeyInfo(subjectPublicKeyInfo, out _);
        }
        catch (CryptographicException e)
        {
            throw new FormatException("The bytes are not an RSA public key in DER.", e);
        }
        return Of(rsa);
    }

    private static PublicKey Of(RSA rsa) =>
        rsa.KeySize is >= MinBits and <= MaxBits
            ? new(rsa.ExportSubjectPublicKeyInfoPem(), rsa.ExportParameters(includePrivateParameters: false))
            : throw new FormatException($"The key has {rsa.KeySize} bits, not {MinBits} to {MaxBits}.");

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
