using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.DataProtection;

namespace CancelService.OperatorConsole;

/// <summary>
/// Seals what an operator's browser keeps (AES-256 in GCM), with a key that every instance knows, so that each instance opens what
/// another has sealed. The framework's own keys would have to be shared in a store.
/// </summary>
internal sealed class Sealer(byte[] secret) : IDataProtector
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    public IDataProtector CreateProtector(string purpose) =>
        new Sealer(
            HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, secret.Length, info: Encoding.UTF8.GetBytes(purpose))
        );

    public byte[] Protect(byte[] plaintext)
    {
        var @sealed = new byte[NonceBytes + TagBytes + plaintext.Length];
        var nonce = @sealed.AsSpan(0, NonceBytes);
        var rest = @sealed.AsSpan(NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(secret, TagBytes);
        aes.Encrypt(nonce, plaintext, rest[TagBytes..], rest[..TagBytes]);
        return @sealed;
    }

    /// <exception cref="CryptographicException">It was not sealed by an instance with this key for this purpose.</exception>
    public byte[] Unprotect(byte[] protectedData)
    {
        if (protectedData.Length < NonceBytes + TagBytes)
            throw new CryptographicException("It is too short.");
        var nonce = protectedData.AsSpan(0, NonceBytes);
        var rest = protectedData.AsSpan(NonceBytes);
        var plaintext = new byte[rest.Length - TagBytes];
        using var aes = new AesGcm(secret, TagBytes);
        aes.Decrypt(nonce, rest[TagBytes..], rest[..TagBytes], plaintext);
        return plaintext;
    }
}
