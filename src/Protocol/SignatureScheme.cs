using System.Security.Cryptography;
using System.Text;

namespace CancelService.Protocol;

/// <summary>
/// The scheme in which requests and answers are signed: SHA-256 with RSA, PKCS#1 v1.5, over
/// <c>METHOD path LF client-id . time . body</c>, every part byte for byte as it is sent.
/// </summary>
public static class SignatureScheme
{
    /// <summary>The shortest key, in bits, by the protocol.</summary>
    public const int MinKeyBits = 2048;

    /// <summary>The longest key, in bits. A longer key costs us more to verify than the client to send.</summary>
    public const int MaxKeyBits = 8192;

    /// <summary>The hash of the string to sign.</summary>
    public static byte[] Hash(string method, string path, string clientId, string time, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{method} {path}\n{clientId}.{time}."));
        hash.AppendData(body);
        return hash.GetHashAndReset();
    }

    /// <summary>
    /// The path that is signed of a request target: as it was sent, with its escapes and its query. Of an absolute-form target
    /// (<c>https://host/path</c>) only what follows the host counts.
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

    /// <summary>The header's value; the order and the missing spaces matter, because clients split it by position.</summary>
    public static string Header(int keyVersion, ReadOnlySpan<byte> signature) =>
        $"algorithm=RSA256,keyVersion={keyVersion},signature={Uri.EscapeDataString(Convert.ToBase64String(signature))}";
}
