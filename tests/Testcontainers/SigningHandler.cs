using System.Globalization;
using System.Security.Cryptography;
using CancelService.Harness;

namespace CancelService.Testcontainers;

/// <summary>Signs every request over the sent bytes, by the scheme in the API's documentation.</summary>
/// <param name="clientId">The client id of the merchant.</param>
/// <param name="keyVersion">The version under which the key is registered with the wallet.</param>
/// <param name="privateKey">The merchant's private key in PEM.</param>
/// <param name="time">The clock of Request-Time; the system clock by default.</param>
public sealed class SigningHandler(string clientId, int keyVersion, string privateKey, TimeProvider? time = null)
    : DelegatingHandler
{
    /// <inheritdoc/>
    protected override async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request,
        CancellationToken cancellationToken
    )
    {
        var body = request.Content is null ? [] : await request.Content.ReadAsByteArrayAsync(cancellationToken);
        var now = (time ?? TimeProvider.System)
            .GetUtcNow()
            .ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        using var key = RSA.Create();
        key.ImportFromPem(privateKey);
        var signature = Convert.ToBase64String(
            key.SignData(
                StringToSign.Of(request.Method.Method, request.RequestUri!.AbsolutePath, clientId, now, body),
                HashAlgorithmName.SHA256,
                RSASignaturePadding.Pkcs1
            )
        );
        request.Headers.Add("Client-Id", clientId);
        request.Headers.Add("Request-Time", now);
        request.Headers.Add("Signature", $"algorithm=RSA256, keyVersion={keyVersion}, signature={signature}");
        return await base.SendAsync(request, cancellationToken);
    }
}
