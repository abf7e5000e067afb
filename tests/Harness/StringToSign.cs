using System.Text;

namespace CancelService.Harness;

/// <summary>
/// The scheme's string to sign, written from its documentation and not from our code: what the tests sign and verify by. A
/// mistake in the service's own is seen against this one.
/// </summary>
public static class StringToSign
{
    /// <summary>The bytes that are signed, of a request (by its Request-Time) or an answer (by its Response-Time).</summary>
    public static byte[] Of(string method, string path, string clientId, string time, ReadOnlySpan<byte> body) =>
        [.. Encoding.UTF8.GetBytes($"{method} {path}\n{clientId}.{time}."), .. body];

    /// <inheritdoc cref="Of(string, string, string, string, ReadOnlySpan{byte})"/>
    public static byte[] Of(string method, string path, string clientId, string time, string body) =>
        Of(method, path, clientId, time, Encoding.UTF8.GetBytes(body));
}
