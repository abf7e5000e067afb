using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Domain.Clients;

namespace CancelService.Harness;

/// <summary>An RSA key pair. RSA objects are not thread-safe, so every signature takes one from a pool.</summary>
public sealed class KeyPair
{
    /// <summary>The key of ordinary test clients.</summary>
    public static readonly KeyPair Merchant = Generate();

    /// <summary>A second key, either unregistered or registered as another version.</summary>
    public static readonly KeyPair Other = Generate();

    /// <summary>The key that the wallet signs with.</summary>
    public static readonly KeyPair Wallet = Generate();

    private readonly ConcurrentBag<RSA> _idle = [];
    private readonly RSAParameters _parameters;

    private KeyPair(RSA rsa)
    {
        _parameters = rsa.ExportParameters(includePrivateParameters: true);
        PrivatePem = rsa.ExportPkcs8PrivateKeyPem();
        PublicKey = PublicKey.Parse(rsa.ExportSubjectPublicKeyInfoPem());
    }

    public string PrivatePem { get; }

    public PublicKey PublicKey { get; }

    public static KeyPair Generate()
    {
        using var rsa = RSA.Create(2048);
        return new KeyPair(rsa);
    }

    public static KeyPair Read(string pem)
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(pem);
        return new KeyPair(rsa);
    }

    /// <summary>Creates an RSA object that the caller must dispose of.</summary>
    public RSA Signer() => RSA.Create(_parameters);

    public byte[] Sign(byte[] data)
    {
        if (!_idle.TryTake(out var rsa))
            rsa = Signer();
        var signature = rsa.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        _idle.Add(rsa);
        return signature;
    }
}

/// <summary>Bearer tokens of a static signing key that every test host trusts.</summary>
public static class Bearer
{
    public const string Issuer = "tests";
    public const string Audience = "cancelservice";

    /// <summary>The subject of the tokens; the record of changes has it as the actor.</summary>
    public const string Subject = "wallet-core";

    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    public static string[] Settings =>
        [
            $"--Authentication:Schemes:Bearer:ValidIssuer={Issuer}",
            $"--Authentication:Schemes:Bearer:ValidAudience={Audience}",
            $"--Authentication:Schemes:Bearer:SigningKeys:0:Issuer={Issuer}",
            $"--Authentication:Schemes:Bearer:SigningKeys:0:Value={Convert.ToBase64String(Key)}",
        ];

    /// <summary>A token with every scope.</summary>
    public static string All { get; } = Token(string.Join(' ', Scopes.All));

    /// <summary>Creates a token whose scopes are in a claim of the given name and form.</summary>
    public static string TokenWith(string claim, object value) =>
        Signed(
            "HS256",
            Key,
            new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["iss"] = Issuer,
                ["aud"] = Audience,
                ["sub"] = Subject,
                ["exp"] = TimeProvider.System.GetUtcNow().AddDays(1).ToUnixTimeSeconds(),
                [claim] = value,
            }
        );

    public static string Token(
        string scope,
        string issuer = Issuer,
        string audience = Audience,
        int expiresInDays = 365,
        string algorithm = "HS256",
        byte[]? key = null,
        string subject = Subject
    )
    {
        var expires = TimeProvider.System.GetUtcNow().AddDays(expiresInDays).ToUnixTimeSeconds();
        return Signed(
            algorithm,
            key ?? Key,
            new
            {
                iss = issuer,
                aud = audience,
                sub = subject,
                exp = expires,
                scope,
            }
        );
    }

    private static string Signed<T>(string algorithm, byte[] key, T claims)
    {
        var unsigned = Encoded(new { alg = algorithm, typ = "JWT" }) + "." + Encoded(claims);
        return algorithm == "none"
            ? $"{unsigned}."
            : $"{unsigned}.{Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes(unsigned)))}";

        static string Encoded<TPart>(TPart json) => Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(json));
    }
}
