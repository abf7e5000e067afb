using System.Text;

namespace CancelService.Harness;

/// <summary>
/// The scheme's string to sign, written from the documentation and independent of the service's code, so that tests
/// that sign and verify with it find a mistake in the service.
/// </summary>
public static class StringToSign
{
    /// <summary>Returns the bytes to sign for a request (with its Request-Time) or an answer (Response-Time).</summary>
    public static byte[] Of(string method, string path, string clientId, string time, ReadOnlySpan<byte> body) =>
        [.. Encoding.UTF8.GetBytes($"{method} {path}\n{clientId}.{time}."), .. body];

    /// <inheritdoc cref="Of(string, string, string, string, ReadOnlySpan{byte})"/>
    public static byte[] Of(string method, string path, string clientId, string time, string body) =>
        Of(method, path, clientId, time, Encoding.UTF8.GetBytes(body));
}
