using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using CancelService.Api.Exchange;
using CancelService.Doctor;
using CancelService.Domain;
using Microsoft.AspNetCore.Http.Features;

namespace CancelService.Sandbox;

/// <summary>A request that came over the public port, with the code of its answer.</summary>
/// <param name="Number">Counts the requests since the start, from 1.</param>
/// <param name="CameAt">The time of its arrival (UTC).</param>
/// <param name="ClientId">Its Client-Id; empty when that is missing or malformed.</param>
/// <param name="IsVerified">True when its signature was verified.</param>
/// <param name="Code">The answer's result code; <c>503</c> when it was turned away.</param>
/// <param name="Request">The request, its body byte for byte.</param>
public sealed record RecentRequest(
    int Number,
    DateTimeOffset CameAt,
    string ClientId,
    bool IsVerified,
    string Code,
    PastedRequest Request
);

/// <summary>
/// Keeps recent requests in memory, so that a developer finds a refused one without pasting it. Verified requests,
/// unverified ones, and the pages' own have a shelf each: a flood of one kind evicts no other.
/// <see cref="Visitors"/> decides about access to them.
/// </summary>
internal sealed class RecentRequests(TimeProvider time)
{
    /// <summary>The most requests of one client, or of one visitor.</summary>
    public const int PerOwner = 100;

    private const int MaxBody = 1024 * 1024; // The port takes no longer ones.

    private readonly RequestShelf _verified = new(PerOwner);
    private readonly RequestShelf _unverified = new(PerOwner);
    private readonly RequestShelf _visitors = new(PerOwner);
    private readonly ConcurrentDictionary<(IPAddress, int), string> _expected = new();
    private int _last;

    /// <summary>Passes a request on, and keeps it.</summary>
    public async Task Keep(HttpContext http, RequestDelegate respond)
    {
        var cameAt = time.GetUtcNow();
        http.Request.EnableBuffering(MaxBody);
        var wire = http.Response.Body;
        await using var answer = new MemoryStream();
        http.Response.Body = answer;
        try
        {
            await respond(http);
        }
        finally
        {
            http.Response.Body = wire;
        }
        await Add(http, cameAt, answer); // Before the answer goes out: its receiver finds the request at once.
        await wire.WriteAsync(answer.GetBuffer().AsMemory(0, (int)answer.Length), CancellationToken.None);
    }

    /// <summary>Reserves the next request from a local endpoint for a visitor, until it is disposed.</summary>
    public IDisposable Expect(IPEndPoint from, string visitor)
    {
        var key = Key(from.Address, from.Port);
        _expected[key] = visitor;
        return new Expectation(() => _expected.TryRemove(key, out _));
    }

    /// <summary>The requests of a client, the newest first.</summary>
    public IReadOnlyList<RecentRequest> OfClient(string clientId, bool isVerified) =>
        (isVerified ? _verified : _unverified).Of(clientId);

    /// <summary>The requests that the pages sent for a visitor, the newest first.</summary>
    public IReadOnlyList<RecentRequest> OfVisitor(string visitor) => _visitors.Of(visitor);

    private async Task Add(HttpContext http, DateTimeOffset cameAt, MemoryStream answer)
    {
        // Only the part of the body that the service has read: the rest may never come.
        var body = new byte[http.Request.Body.Length];
        http.Request.Body.Position = 0;
        await http.Request.Body.ReadExactlyAsync(body, CancellationToken.None);
        var clientId = http.Request.Headers["Client-Id"].ToString();
        var kept = new RecentRequest(
            Interlocked.Increment(ref _last),
            cameAt,
            ClientId.IsWellFormed(clientId) ? clientId : "",
            http.Features.Get<ExchangeOutcome>() is { IsVerified: true },
            answer.Length == 0 ? http.Response.StatusCode.ToString(CultureInfo.InvariantCulture) : CodeOf(answer),
            new(
                http.Request.Method,
                http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
                [
                    .. http.Request.Headers.SelectMany(header =>
                        header.Value.Select(value => KeyValuePair.Create(header.Key, value ?? ""))
                    ),
                ],
                body,
                "request that came"
            )
        );
        if (
            http.Connection.RemoteIpAddress is { } address
            && _expected.TryGetValue(Key(address, http.Connection.RemotePort), out var visitor)
        )
            _visitors.Add(visitor, kept);
        else
            (kept.IsVerified ? _verified : _unverified).Add(kept.ClientId, kept);
    }

    private static (IPAddress, int) Key(IPAddress address, int port) =>
        (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, port);

    private static string CodeOf(MemoryStream answer)
    {
        using var document = JsonDocument.Parse(answer.GetBuffer().AsMemory(0, (int)answer.Length));
        return document.RootElement.GetProperty("result").GetProperty("resultCode").GetString() ?? "";
    }

    private sealed class Expectation(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}

/// <summary>Requests of many owners, bounded per owner and in bytes. The oldest are evicted first.</summary>
internal sealed class RequestShelf(int perOwner)
{
    private const long MaxBytes = 8 * 1024 * 1024;
    private const int OfRecord = 1024; // About the memory of a request without its body and headers.

    private readonly LinkedList<(string Owner, RecentRequest Request)> _kept = new();
    private long _bytes;

    /// <summary>Keeps a request of an owner.</summary>
    public void Add(string owner, RecentRequest request)
    {
        lock (_kept)
        {
            if (_kept.Count(kept => kept.Owner == owner) == perOwner)
                Remove(_kept.Last(kept => kept.Owner == owner));
            _kept.AddFirst((owner, request));
            _bytes += Size(request.Request);
            while (_bytes > MaxBytes)
                Remove(_kept.Last!.Value);
        }
    }

    /// <summary>The requests of an owner, the newest first.</summary>
    public IReadOnlyList<RecentRequest> Of(string owner)
    {
        lock (_kept)
            return [.. _kept.Where(kept => kept.Owner == owner).Select(kept => kept.Request)];
    }

    private void Remove((string Owner, RecentRequest Request) kept)
    {
        _kept.Remove(kept);
        _bytes -= Size(kept.Request.Request);
    }

    private static long Size(PastedRequest request) =>
        OfRecord
        + request.Body.Length
        + (sizeof(char) * (long)request.Target.Length)
        + request.Headers.Sum(header => sizeof(char) * (long)(header.Key.Length + header.Value.Length));
}
