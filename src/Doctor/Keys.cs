using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>Describes public keys.</summary>
internal static class Keys
{
    public static RSAParameters Parameters(string publicKeyPem)
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(publicKeyPem);
        return rsa.ExportParameters(includePrivateParameters: false);
    }

    /// <summary>Returns the SHA-256 of the key in DER, in hexadecimal, as openssl dgst prints it.</summary>
    public static string Fingerprint(string publicKeyPem)
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(publicKeyPem);
        return Convert.ToHexStringLower(SHA256.HashData(rsa.ExportSubjectPublicKeyInfo()));
    }

    /// <summary>Describes a key by length, fingerprint and known owner, or names the mistake in the text.</summary>
    public static string Name(string text, ExaminedClient? client, Practice practice, DateTimeOffset now)
    {
        if (!PublicKeyText.TryRead(text, out var der, out var problem))
            return problem;
        var key = PemEncoding.WriteString("PUBLIC KEY", der);
        var fingerprint = Fingerprint(key);
        var (own, strange) = (
            client?.Keys.FirstOrDefault(own => Fingerprint(own.PublicKeyPem) == fingerprint),
            practice.StrangeKeys.FirstOrDefault(other => Fingerprint(other.PublicKeyPem) == fingerprint)
        );
        var parameters = Parameters(key);
        var exponent = new BigInteger(parameters.Exponent, isUnsigned: true, isBigEndian: true);
        var owner =
            own is not null
                ? $"It is registered as {client!.Id}'s key of version {own.Version}, which is "
                    + $"{SignatureStep.State(own, now)}."
            : strange is not null ? $"It is {strange.Owner}."
            : client is not null ? $"It is no key of {client.Id}, nor the wallet's."
            : "It is not the wallet's.";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"A public RSA key of {parameters.Modulus!.Length * 8} bits with the exponent {exponent}. Its "
                + $"fingerprint, SHA-256 of the key in DER, is {fingerprint}. {owner}"
        );
    }
}
