using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace CancelService.Simulation;

/// <summary>The content of an event about a cancellation.</summary>
internal sealed record Told(Guid Id, string Effect, long MinorUnits);

/// <summary>
/// The webhook of the core. It refuses one event in ten and records the rest. At the end it must have received every
/// cancellation, each under one identifier, with the effect and the amount in the database.
/// </summary>
internal sealed class Core : IAsyncDisposable
{
    private static readonly byte[] Secret = RandomNumberGenerator.GetBytes(32);

    private readonly ConcurrentDictionary<string, ConcurrentBag<Told>> _told = new(StringComparer.Ordinal);
    private readonly WebApplication _app;
    private int _number;
    private volatile string _mistake = "";

    private Core(WebApplication app) => _app = app;

    /// <summary>The settings that make an instance send its events to this core.</summary>
    public string[] Settings =>
        [
            $"--Notifications:Url={_app.Urls.Single()}/told",
            $"--Notifications:Secrets:0=whsec_{Convert.ToBase64String(Secret)}",
            "--Notifications:MaxAttempts=100",
            "--Notifications:BackOffMaximum=00:00:02",
            "--Notifications:AttemptTimeout=00:00:02",
            "--Notifications:ClaimTime=00:00:05",
        ];

    /// <summary>The number of received events including repeats.</summary>
    public int Received => _number;

    public static async Task<Core> Start()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var core = new Core(builder.Build());
        core._app.Run(core.Hear);
        await core._app.StartAsync();
        return core;
    }

    /// <summary>Compares the received events with the cancellations in the database; null when they agree.</summary>
    /// <param name="cancelled">Effect and amount by client and payment (<c>W1/p0</c>).</param>
    public string? Differs(IReadOnlyDictionary<string, (string Effect, long MinorUnits)> cancelled)
    {
        if (_mistake.Length > 0)
            return _mistake;
        foreach (var (payment, (effect, minorUnits)) in cancelled)
        {
            if (!_told.TryGetValue(payment, out var events))
                return $"The core received no event about the cancelled payment {payment}.";
            if (events.Distinct().ToList() is not [var told])
                return $"The core received different events about {payment}: {string.Join(", ", events.Distinct())}";
            if (told.Effect != effect || told.MinorUnits != minorUnits)
                return $"The core received {told} about {payment}; the database has {effect} {minorUnits}.";
        }
        return _told.Keys.FirstOrDefault(payment => !cancelled.ContainsKey(payment)) is { } lost
            ? $"The core received an event about {lost}, but the database has no such cancellation."
            : null;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task Hear(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        var headers = http.Request.Headers;
        var (id, timestamp) = ($"{headers["webhook-id"]}", $"{headers["webhook-timestamp"]}");
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body.ToArray()];
        using var json = JsonDocument.Parse(body.ToArray());
        var told = json.RootElement;
        if (
            headers["webhook-signature"] != $"v1,{Convert.ToBase64String(HMACSHA256.HashData(Secret, signed))}"
            || told.GetProperty("id").GetString() != id
        )
            _mistake = $"The signature of an event does not verify with the secret: {told}";
        _told
            .GetOrAdd($"{told.GetProperty("clientId")}/{told.GetProperty("paymentId")}", _ => [])
            .Add(
                new(
                    told.GetProperty("id").GetGuid(),
                    told.GetProperty("effect").GetString()!,
                    told.GetProperty("amount").GetProperty("minorUnits").GetInt64()
                )
            );
        http.Response.StatusCode = Interlocked.Increment(ref _number) % 10 == 0 ? 503 : 200;
    }
}
