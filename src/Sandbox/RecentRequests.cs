using System.Globalization;
using System.Text.Json;
using CancelService.Doctor;
using CancelService.Domain;
using Microsoft.AspNetCore.Http.Features;

namespace CancelService.Sandbox;

/// <summary>A request as it came over the public port, and what it was answered.</summary>
/// <param name="Number">Its number since the start, from 1.</param>
/// <param name="CameAt">When it came (UTC).</param>
/// <param name="ClientId">Its Client-Id; empty when that is malformed.</param>
/// <param name="Code">The answer's result code; <c>503</c> when it was turned away.</param>
/// <param name="Request">The request, its body byte for byte.</param>
internal sealed record RecentRequest(
    int Number,
    DateTimeOffset CameAt,
    string ClientId,
    string Code,
    PastedRequest Request
);

/// <summary>
/// What each client sent lately, so that a developer finds a refused request without pasting it. It stays in this process, and only
/// a sandbox keeps it. <see cref="PerClient"/> requests of a client are kept, and 16 MiB of all together; older ones go first.
/// </summary>
internal sealed class RecentRequests(TimeProvider time)
{
    /// <summary>The most requests of one client.</summary>
    public const int PerClient = 100;

    private const int MaxBody = 1024 * 1024; // The port takes no longer ones.
    private const long MaxBytes = 16 * 1024 * 1024;
    private const int OfRecord = 1024; // About what a request takes beside its body and its headers.

    private readonly LinkedList<RecentRequest> _kept = new();
    private long _bytes;
    private int _last;

    /// <summary>Has a request answered, and keeps it.</summary>
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
        // Before it is answered, so that who has the answer finds the request.
        await Add(http, cameAt, answer);
        await wire.WriteAsync(answer.GetBuffer().AsMemory(0, (int)answer.Length), CancellationToken.None);
    }

    private async Task Add(HttpContext http, DateTimeOffset cameAt, MemoryStream answer)
    {
        // What the service has read of the body, and no more: the rest may never come.
        var body = new byte[http.Request.Body.Length];
        http.Request.Body.Position = 0;
        await http.Request.Body.ReadExactlyAsync(body, CancellationToken.None);
        var clientId = http.Request.Headers["Client-Id"].ToString();
        Add(
            cameAt,
            ClientId.IsWellFormed(clientId) ? clientId : "",
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
    }

    /// <summary>The requests of a client, or with an empty one of all, the newest first.</summary>
    public IReadOnlyList<RecentRequest> Of(string clientId)
    {
        lock (_kept)
            return [.. _kept.Where(kept => clientId.Length == 0 || kept.ClientId == clientId).Take(PerClient)];
    }

    /// <summary>One request; absent when it is no longer kept.</summary>
    public RecentRequest? Find(int number)
    {
        lock (_kept)
            return _kept.FirstOrDefault(kept => kept.Number == number);
    }

    private void Add(DateTimeOffset cameAt, string clientId, string code, PastedRequest request)
    {
        lock (_kept)
        {
            if (_kept.Count(kept => kept.ClientId == clientId) == PerClient)
                Remove(_kept.Last(kept => kept.ClientId == clientId));
            _kept.AddFirst(new RecentRequest(++_last, cameAt, clientId, code, request));
            _bytes += Size(request);
            while (_bytes > MaxBytes)
                Remove(_kept.Last!.Value);
        }
    }

    private void Remove(RecentRequest kept)
    {
        _kept.Remove(kept);
        _bytes -= Size(kept.Request);
    }

    private static long Size(PastedRequest request) =>
        OfRecord
        + request.Body.Length
        + (sizeof(char) * (long)request.Target.Length)
        + request.Headers.Sum(header => sizeof(char) * (long)(header.Key.Length + header.Value.Length));

    private static string CodeOf(MemoryStream answer)
    {
        using var document = JsonDocument.Parse(answer.GetBuffer().AsMemory(0, (int)answer.Length));
        return document.RootElement.GetProperty("result").GetProperty("resultCode").GetString() ?? "";
    }
}
