using System.Numerics;
using System.Security.Cryptography;

namespace CancelService.Doctor;

/// <summary>The padding of a signature.</summary>
public enum SignaturePadding
{
    /// <summary>PKCS#1 v1.5 with the name of the hash, as the scheme requires.</summary>
    Pkcs1,

    /// <summary>PKCS#1 v1.5 around the bare hash or the bare text, without a name of the hash.</summary>
    Pkcs1WithoutHashName,

    /// <summary>RSA-PSS.</summary>
    Pss,
}

/// <summary>
/// The hash in a signature. RSA recovers the padded hash with the public key, and the padding proves the key: the
/// signer's key and hash are certain, and only a text with this hash can have been signed.
/// </summary>
internal sealed class SignedHash
{
    // The DER prefixes of DigestInfo (RFC 8017, 9.2).
    private static readonly (HashAlgorithmName Name, byte[] Prefix)[] DigestInfos =
    [
        (HashAlgorithmName.SHA256, Convert.FromHexString("3031300D060960864801650304020105000420")),
        (HashAlgorithmName.SHA1, Convert.FromHexString("3021300906052B0E03021A05000414")),
        (HashAlgorithmName.SHA512, Convert.FromHexString("3051300D060960864801650304020305000440")),
        (HashAlgorithmName.SHA384, Convert.FromHexString("3041300D060960864801650304020205000430")),
        (HashAlgorithmName.MD5, Convert.FromHexString("3020300C06082A864886F70D020505000410")),
        // Without the parameters NULL, as some libraries write it.
        (HashAlgorithmName.SHA256, Convert.FromHexString("302F300B0609608648016503040201" + "0420")),
        (HashAlgorithmName.SHA1, Convert.FromHexString("301F300706052B0E03021A" + "0414")),
    ];

    private static readonly HashAlgorithmName[] PssHashes =
    [
        HashAlgorithmName.SHA256,
        HashAlgorithmName.SHA1,
        HashAlgorithmName.SHA512,
        HashAlgorithmName.SHA384,
    ];

    private readonly byte[] _content;
    private readonly byte[] _salt;

    private SignedHash(
        SignaturePadding padding,
        HashAlgorithmName algorithm,
        byte[] content,
        byte[] salt,
        bool isCertain = true
    ) => (Padding, Algorithm, _content, _salt, IsCertain) = (padding, algorithm, content, salt, isCertain);

    public SignaturePadding Padding { get; }

    /// <summary>The hash algorithm; without a name in the signature, the algorithm of its length.</summary>
    public HashAlgorithmName Algorithm { get; }

    /// <summary>
    /// Whether the padding alone proves the key. With PSS and the longest salt only a matching text proves it.
    /// </summary>
    public bool IsCertain { get; }

    /// <summary>Opens a signature with a key; null when another key signed.</summary>
    public static SignedHash? Open(ReadOnlySpan<byte> signature, RSAParameters key)
    {
        var modulus = new BigInteger(key.Modulus, isUnsigned: true, isBigEndian: true);
        var number = new BigInteger(signature, isUnsigned: true, isBigEndian: true);
        if (signature.Length != key.Modulus!.Length || number >= modulus)
            return null;
        var exponent = new BigInteger(key.Exponent, isUnsigned: true, isBigEndian: true);
        var opened = BigInteger.ModPow(number, exponent, modulus).ToByteArray(isUnsigned: true, isBigEndian: true);
        var block = new byte[key.Modulus.Length];
        opened.CopyTo(block, block.Length - opened.Length);
        return OpenPkcs1(block) ?? OpenPss(block, (int)modulus.GetBitLength());
    }

    /// <summary>Wraps a SHA-256 that comes from no signature, to find its text.</summary>
    public static SignedHash Of(byte[] sha256) => new(SignaturePadding.Pkcs1, HashAlgorithmName.SHA256, sha256, []);

    /// <summary>
    /// Tells whether this text was signed; <paramref name="hashes"/> must use <see cref="Algorithm"/>.
    /// </summary>
    public bool IsOf(ReadOnlySpan<byte> text, IncrementalHash hashes)
    {
        Span<byte> hash = stackalloc byte[64];
        hashes.AppendData(text);
        hash = hash[..hashes.GetHashAndReset(hash)];
        if (Padding is SignaturePadding.Pss)
            return hash.Length == _content.Length && PssHash(hash).AsSpan().SequenceEqual(_content);
        return hash.SequenceEqual(_content)
            || (Padding is SignaturePadding.Pkcs1WithoutHashName && text.SequenceEqual(_content));
    }

    private static SignedHash? OpenPkcs1(ReadOnlySpan<byte> block)
    {
        if (block is not [0, 1, ..])
            return null;
        var end = block[2..].IndexOfAnyExcept((byte)0xFF);
        if (end < 8 || block[2 + end] != 0)
            return null;
        var content = block[(3 + end)..];
        foreach (var (name, prefix) in DigestInfos)
        {
            if (content.StartsWith(prefix) && content.Length == prefix.Length + prefix[^1])
                return new(SignaturePadding.Pkcs1, name, content[prefix.Length..].ToArray(), []);
        }
        var algorithm = content.Length switch
        {
            16 => HashAlgorithmName.MD5,
            20 => HashAlgorithmName.SHA1,
            48 => HashAlgorithmName.SHA384,
            64 => HashAlgorithmName.SHA512,
            _ => HashAlgorithmName.SHA256,
        };
        return new(SignaturePadding.Pkcs1WithoutHashName, algorithm, content.ToArray(), []);
    }

    // RFC 8017, 9.1.2. Java's default mask uses SHA-1 with every hash.
    private static SignedHash? OpenPss(byte[] block, int modulusBits)
    {
        if (block[^1] != 0xBC)
            return null;
        foreach (var name in PssHashes)
        {
            var length = HashLength(name);
            var masked = block.AsSpan(0, block.Length - length - 1);
            var hash = block.AsSpan(masked.Length, length);
            foreach (var maskHash in new[] { name, HashAlgorithmName.SHA1 })
            {
                var data = Mask(hash, masked.Length, maskHash);
                for (var i = 0; i < data.Length; i++)
                    data[i] ^= masked[i];
                data[0] &= (byte)(0xFF >> ((8 * block.Length) - modulusBits + 1));
                var one = data.AsSpan().IndexOfAnyExcept((byte)0);
                if (one >= 0 && data[one] == 1 && (one >= 16 || one == 0))
                    return new(SignaturePadding.Pss, name, hash.ToArray(), data[(one + 1)..], isCertain: one >= 16);
            }
        }
        return null;
    }

    private byte[] PssHash(ReadOnlySpan<byte> hash)
    {
        using var incremental = IncrementalHash.CreateHash(Algorithm);
        incremental.AppendData(new byte[8]);
        incremental.AppendData(hash);
        incremental.AppendData(_salt);
        return incremental.GetHashAndReset();
    }

    private static byte[] Mask(ReadOnlySpan<byte> seed, int length, HashAlgorithmName name)
    {
        var mask = new List<byte>(length + 64);
        using var incremental = IncrementalHash.CreateHash(name);
        for (byte i = 0; mask.Count < length; i++)
        {
            incremental.AppendData(seed);
            incremental.AppendData([0, 0, 0, i]);
            mask.AddRange(incremental.GetHashAndReset());
        }
        return [.. mask.Take(length)];
    }

    private static int HashLength(HashAlgorithmName name) => CryptographicOperations.HashData(name, []).Length;
}
