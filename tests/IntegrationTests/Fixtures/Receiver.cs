using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>Request as the receiver got it, byte for byte.</summary>
/// <param name="Number">Position in the order of arrival, from 1.</param>
/// <param name="Target">Path and query as received.</param>
/// <param name="Headers">The headers.</param>
/// <param name="Body">The body.</param>
internal sealed record Received(int Number, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    public string Member(string name)
    {
        using var document = JsonDocument.Parse(Body);
        return document.RootElement.GetProperty(name).GetString()!;
    }

    /// <summary>
    /// Fails unless the request has the Standard Webhooks headers and a valid signature over its bytes.
    /// </summary>
    public void ShouldBeSigned()
    {
        Headers["Content-Type"].ShouldBe("application/json");
        Headers["webhook-id"].ShouldBe(Member("id"));
        Headers.ContainsKey("Signature").ShouldBeFalse();
        var timestamp = Headers["webhook-timestamp"];
        timestamp.ShouldAllBe(c => char.IsAsciiDigit(c));
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{Headers["webhook-id"]}.{timestamp}."), .. Body];
        var secret = Convert.FromBase64String(Receiver.Secret["whsec_".Length..]);
        var signature = Convert.ToBase64String(HMACSHA256.HashData(secret, signed));
        Headers["webhook-signature"].ShouldBe($"v1,{signature}");
    }
}

/// <summary>The core's webhook receiver on its own socket; the test decides each answer.</summary>
internal sealed class Receiver : IAsyncDisposable
{
    /// <summary>Secret that verifies the events.</summary>
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// <summary>Setting that makes a service sign with <see cref="Secret"/>.</summary>
    public const string SecretSetting = $"--Notifications:Secrets:0={Secret}";

    private readonly WebApplication _app;
    private int _number;

    private Receiver(WebApplication app) => _app = app;

    public ConcurrentQueue<Received> Received { get; } = new();

    /// <summary>Scheme, host and port of the receiver.</summary>
    public string Root => _app.Urls.Single();

    public Task<int> Count() => Task.FromResult(Received.Count);

    public static async Task<Receiver> Start(Func<Received, Task<int>> answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var receiver = new Receiver(builder.Build());
        receiver._app.Run(async http =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            var received = new Received(
                Interlocked.Increment(ref receiver._number),
                http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
                http.Request.Headers.ToDictionary(
                    h => h.Key,
                    h => h.Value.ToString(),
                    StringComparer.OrdinalIgnoreCase
                ),
                body.ToArray()
            );
            // Recorded before the answer, so an unexpected request is seen as well.
            receiver.Received.Enqueue(received);
            received.ShouldBeSigned();
            http.Response.StatusCode = await answer(received);
            if (http.Response.StatusCode == StatusCodes.Status302Found)
                http.Response.Headers.Location = "/elsewhere";
        });
        await receiver._app.StartAsync();
        return receiver;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(new CancellationToken(canceled: true));
        await _app.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1));
    }
}
