using System.Collections.Concurrent;
using System.Security.Cryptography;
using CancelService.Domain.Clients;
using CancelService.Protocol;

namespace CancelService.Infrastructure.Signing;

/// <summary>The wallet's own private key. It signs answers to merchants and nothing else.</summary>
public sealed class WalletKey
{
    // RSA objects are not thread-safe, so each signature borrows its own.
    private readonly ConcurrentBag<RSA> _idle = [];
    private readonly RSAParameters _parameters;

    private WalletKey(int version, RSAParameters parameters, PublicKey publicKey) =>
        (Version, _parameters, PublicKey) = (version, parameters, publicKey);

    /// <summary>The version of the key, which receivers use to look up the public key.</summary>
    public int Version { get; }

    /// <summary>The public key, which verifies answers.</summary>
    public PublicKey PublicKey { get; }

    /// <summary>Reads an RSA private key of 2048 to 8192 bits from a PEM file.</summary>
    /// <exception cref="CryptographicException">
    /// The file is missing, unreadable, or holds no such key; the message says which.
    /// </exception>
    public static WalletKey Load(string path, int version)
    {
        using var rsa = RSA.Create();
        try
        {
            rsa.ImportFromPem(File.ReadAllText(path));
            return rsa.KeySize is >= PublicKey.MinBits and <= PublicKey.MaxBits
                ? new(
                    version,
                    rsa.ExportParameters(includePrivateParameters: true),
                    PublicKey.Of(rsa.ExportSubjectPublicKeyInfo())
                )
                : throw new CryptographicException(
                    $"the key has {rsa.KeySize} bits, not {PublicKey.MinBits} to {PublicKey.MaxBits}"
                );
        }
        catch (ArgumentException e)
        {
            throw new CryptographicException("the file holds no RSA private key in PEM", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CryptographicException("the file cannot be read", e);
        }
    }

    /// <summary>Signs a hash, and writes the header that carries the signature.</summary>
    public string Sign(byte[] hash) => SignatureScheme.Header(Version, SignHash(hash));

    /// <summary>Signs a SHA-256 hash.</summary>
    public byte[] SignHash(byte[] hash)
    {
        if (!_idle.TryTake(out var rsa))
            rsa = RSA.Create(_parameters);
        var signature = rsa.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        _idle.Add(rsa);
        return signature;
    }
}
