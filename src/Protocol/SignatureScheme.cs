using System.Security.Cryptography;
using System.Text;

namespace CancelService.Protocol;

/// <summary>
/// The signature scheme of requests and answers: SHA-256 with RSA, PKCS#1 v1.5, over
/// <c>METHOD path LF client-id . time . body</c>, every part byte for byte as it is sent.
/// </summary>
public static class SignatureScheme
{
    /// <summary>The shortest key, in bits, by the protocol.</summary>
    public const int MinKeyBits = 2048;

    /// <summary>The longest key, in bits. A longer key costs us more to verify than the client to send.</summary>
    public const int MaxKeyBits = 8192;

    /// <summary>Hashes the string to sign.</summary>
    public static byte[] Hash(string method, string path, string clientId, string time, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{method} {path}\n{clientId}.{time}."));
        hash.AppendData(body);
        return hash.GetHashAndReset();
    }

    /// <summary>
    /// Extracts the signed path from a request target: raw, with escapes and query. An absolute-form target
    /// (<c>https://host/path</c>) loses scheme and host.
    /// </summary>
    public static string PathOf(string target)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (target.StartsWith('/') || target.IndexOf("://", StringComparison.Ordinal) is not (> 0 and var scheme))
            return target;
        var authority = target.AsSpan(scheme + 3).IndexOfAny('/', '?', '#');
        var path = authority < 0 ? "" : target[(scheme + 3 + authority)..];
        return path.StartsWith('/') ? path : $"/{path}";
    }

    /// <summary>
    /// Writes the header signature. Two SDKs split it by position, so the order is fixed and without spaces.
    /// </summary>
    public static string Header(int keyVersion, ReadOnlySpan<byte> signature) =>
        $"algorithm=RSA256,keyVersion={keyVersion},signature={Uri.EscapeDataString(Convert.ToBase64String(signature))}";
}
