using System.Diagnostics;
using System.Security.Claims;
using CancelService.Application.Clients;
using CancelService.Application.Reading;
using CancelService.Domain;
using MediatR;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace CancelService.Api.Internal;

/// <summary>A client; a contract, or a term of it, that is left out takes its default.</summary>
public sealed record ClientBody(string? Name, bool? Enabled, ContractBody? Contract = null);

/// <summary>
/// A contract. The window is a cut-off (day, time, zone: <c>T+1 00:15 +08:00</c>) or a duration (<c>PT24H</c>, <c>P7D</c>).
/// </summary>
public sealed record ContractBody(
    bool? MayCancel = null,
    string? Window = null,
    int? RequestsPerSecond = null,
    int? Burst = null,
    bool? RememberUnknown = null
);

/// <summary>A public key in PEM, and when it is valid.</summary>
public sealed record KeyBody(string? PublicKey, DateTimeOffset? NotBefore = null, DateTimeOffset? NotAfter = null);

/// <summary>The operators' side: clients with their contracts and keys, and who changed them.</summary>
public static class ClientsApi
{
    /// <summary>Why a client or a key is changed; on record with the change.</summary>
    public const string ReasonHeader = "X-Reason";

    private const int MaxReason = 512;

    private static readonly DateTimeOffset Forever = new(9999, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapClients(this RouteGroupBuilder internalApi)
    {
        var clients = internalApi.MapGroup("/clients").WithTags("Clients");
        clients.MapGet("/", List).RequireAuthorization(Scopes.ClientsRead);
        clients.MapGet("/{clientId}", Get).RequireAuthorization(Scopes.ClientsRead);
        clients.MapPut("/{clientId}", Put).RequireAuthorization(Scopes.ClientsWrite);
        clients.MapGet("/{clientId}/keys", ListKeys).RequireAuthorization(Scopes.ClientsRead);
        clients.MapGet("/{clientId}/keys/{version:int}", GetKey).RequireAuthorization(Scopes.ClientsRead);
        clients.MapPut("/{clientId}/keys/{version:int}", PutKey).RequireAuthorization(Scopes.ClientsWrite);
        clients.MapDelete("/{clientId}/keys/{version:int}", RevokeKey).RequireAuthorization(Scopes.ClientsWrite);

        internalApi.MapGet("/changes", Changes).WithTags("Clients").RequireAuthorization(Scopes.ClientsRead);
    }

    /// <summary>The clients, in the order of their ids, paged by cursor.</summary>
    public static async Task<Results<Ok<Page<ClientView>>, ProblemHttpResult>> List(
        string? after,
        int? limit,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        return after is null || ClientId.IsWellFormed(after)
            ? TypedResults.Ok(await queries.Clients(after, size, cancellationToken))
            : Paging.BadCursor();
    }

    /// <summary>A client with its contract.</summary>
    public static async Task<Results<Ok<ClientView>, ProblemHttpResult>> Get(
        string clientId,
        IClientQueries queries,
        CancellationToken cancellationToken
    ) =>
        ClientId.IsWellFormed(clientId) && await queries.Client(new ClientId(clientId), cancellationToken) is { } client
            ? TypedResults.Ok(client)
            : Problems.NotFound("client");

    /// <summary>Creates a client, or replaces its name, state and contract. Other instances see it within the cache time.</summary>
    public static async Task<Results<Ok<ClientView>, ProblemHttpResult>> Put(
        string clientId,
        ClientBody body,
        [FromHeader(Name = ReasonHeader)] string? reason,
        ClaimsPrincipal caller,
        TimeProvider time,
        IMediator mediator,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (Author(caller, reason, time) is not { } author)
            return BadReason();
        var contract = body.Contract;
        var result = await mediator.Send(
            new PutClientCommand(
                clientId,
                body.Name,
                body.Enabled,
                contract?.MayCancel,
                contract?.Window,
                contract?.RequestsPerSecond,
                contract?.Burst,
                contract?.RememberUnknown,
                author
            ),
            cancellationToken
        );
        return Refusal(result) is { } refusal ? refusal : await Get(clientId, queries, cancellationToken);
    }

    /// <summary>The keys of a client, in the order of their versions, paged by cursor.</summary>
    public static async Task<Results<Ok<Page<ClientKeyView>>, ProblemHttpResult>> ListKeys(
        string clientId,
        int? after,
        int? limit,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        if (after < 0)
            return Paging.BadCursor();
        return
            ClientId.IsWellFormed(clientId)
            && await queries.Client(new ClientId(clientId), cancellationToken) is not null
            ? TypedResults.Ok(await queries.Keys(new ClientId(clientId), after ?? 0, size, cancellationToken))
            : Problems.NotFound("client");
    }

    /// <summary>A key of a client.</summary>
    public static async Task<Results<Ok<ClientKeyView>, ProblemHttpResult>> GetKey(
        string clientId,
        int version,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (!ClientId.IsWellFormed(clientId))
            return Problems.NotFound("client");
        var keys = await queries.Keys(new ClientId(clientId), version - 1, 1, cancellationToken);
        return keys.Items is [var key] && key.Version == version ? TypedResults.Ok(key) : Problems.NotFound("key");
    }

    /// <summary>Registers a key under a version, or changes the validity of the same key.</summary>
    public static async Task<Results<Ok<ClientKeyView>, ProblemHttpResult>> PutKey(
        string clientId,
        int version,
        KeyBody body,
        [FromHeader(Name = ReasonHeader)] string? reason,
        ClaimsPrincipal caller,
        TimeProvider time,
        IMediator mediator,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (Author(caller, reason, time) is not { } author)
            return BadReason();
        var result = await mediator.Send(
            new PutClientKeyCommand(clientId, version, body.PublicKey, body.NotBefore, body.NotAfter, author),
            cancellationToken
        );
        return Refusal(result) is { } refusal ? refusal : await GetKey(clientId, version, queries, cancellationToken);
    }

    /// <summary>Revokes a key for good: within the cache time no instance accepts it any more.</summary>
    public static async Task<Results<NoContent, ProblemHttpResult>> RevokeKey(
        string clientId,
        int version,
        [FromHeader(Name = ReasonHeader)] string? reason,
        ClaimsPrincipal caller,
        TimeProvider time,
        IMediator mediator,
        CancellationToken cancellationToken
    )
    {
        if (Author(caller, reason, time) is not { } author)
            return BadReason();
        var result = await mediator.Send(new RevokeClientKeyCommand(clientId, version, author), cancellationToken);
        return Refusal(result) is { } refusal ? refusal : TypedResults.NoContent();
    }

    /// <summary>
    /// Lists the changes of clients and keys in the order of their times: who made each, when, and why. Each parameter that is
    /// given narrows the list down.
    /// </summary>
    public static async Task<Results<Ok<Page<ClientChange>>, ProblemHttpResult>> Changes(
        string? clientId,
        string? actor,
        string? kind,
        OffsetTime? from,
        OffsetTime? to,
        string? after,
        int? limit,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        if (clientId is not null && !ClientId.IsWellFormed(clientId))
            return Problems.Invalid($"clientId {ClientId.Rule}.");
        if (actor?.Any(char.IsControl) is true)
            return Problems.Invalid("actor must be the subject of a token.");
        ChangeKind? wanted = null;
        if (kind is not null)
        {
            if (!Enum.TryParse<ChangeKind>(kind, ignoreCase: true, out var parsed) || !Enum.IsDefined(parsed))
                return Problems.Invalid("kind must be CLIENT or KEY.");
            wanted = parsed;
        }
        var filter = new ChangeFilter(
            clientId is null ? null : new ClientId(clientId),
            actor,
            wanted,
            (from?.Value ?? DateTimeOffset.UnixEpoch).ToUniversalTime(),
            (to?.Value ?? Forever).ToUniversalTime()
        );
        return await queries.Changes(filter, after, size, cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : Paging.BadCursor();
    }

    private static ChangeAuthor? Author(ClaimsPrincipal caller, string? reason, TimeProvider time) =>
        reason is { Length: > MaxReason } || reason?.Any(char.IsControl) is true
            ? null
            : new ChangeAuthor(caller.Actor(), reason ?? "", time.GetUtcNow());

    private static ProblemHttpResult BadReason() =>
        Problems.Invalid($"The header {ReasonHeader} must be at most {MaxReason} characters of text.");

    private static ProblemHttpResult? Refusal(ClientResult result) =>
        result switch
        {
            ClientResult.Done => null,
            ClientResult.Malformed malformed => Problems.Invalid(malformed.Message),
            ClientResult.NotFound => Problems.NotFound("client or key"),
            ClientResult.KeyNotAccepted refused => Problems.KeyNotAccepted(refused.Message),
            ClientResult.KeyDiffers => Problems.KeyDiffers(),
            _ => throw new UnreachableException($"{result} has no status."),
        };
}
