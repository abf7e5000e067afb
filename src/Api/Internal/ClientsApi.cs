using System.Diagnostics;
using System.Globalization;
using System.Security.Claims;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using MediatR;
using Microsoft.AspNetCore.Http.HttpResults;

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
    bool? RememberUnknown = null,
    bool? MayInquire = null,
    int? InquiriesPerSecond = null,
    int? InquiryBurst = null
);

/// <summary>A public key in PEM, and when it is valid.</summary>
public sealed record KeyBody(string? PublicKey, DateTimeOffset? NotBefore = null, DateTimeOffset? NotAfter = null);

/// <summary>The operators' side: clients with their contracts and keys.</summary>
public static class ClientsApi
{
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
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        TimeProvider time,
        ILoggerFactory logs,
        IMediator mediator,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (reason.Mistake(isRequired: true) is { } mistake)
            return Problems.Invalid(mistake);
        var author = reason.Author(caller, time);
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
            )
            {
                MayInquire = contract?.MayInquire,
                InquiriesPerSecond = contract?.InquiriesPerSecond,
                InquiryBurst = contract?.InquiryBurst,
            },
            cancellationToken
        );
        if (Refusal(result) is { } refusal)
            return refusal;
        Log(logs, author, ChangeKind.Client, "", clientId);
        return await Get(clientId, queries, cancellationToken);
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
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        TimeProvider time,
        ILoggerFactory logs,
        IMediator mediator,
        IClientQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (reason.Mistake(isRequired: true) is { } mistake)
            return Problems.Invalid(mistake);
        var author = reason.Author(caller, time);
        var result = await mediator.Send(
            new PutClientKeyCommand(clientId, version, body.PublicKey, body.NotBefore, body.NotAfter, author),
            cancellationToken
        );
        if (Refusal(result) is { } refusal)
            return refusal;
        Log(logs, author, ChangeKind.Key, Text(version), clientId);
        return await GetKey(clientId, version, queries, cancellationToken);
    }

    /// <summary>Revokes a key for good: within the cache time no instance accepts it any more.</summary>
    public static async Task<Results<NoContent, ProblemHttpResult>> RevokeKey(
        string clientId,
        int version,
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        TimeProvider time,
        ILoggerFactory logs,
        IMediator mediator,
        CancellationToken cancellationToken
    )
    {
        if (reason.Mistake(isRequired: true) is { } mistake)
            return Problems.Invalid(mistake);
        var author = reason.Author(caller, time);
        var result = await mediator.Send(new RevokeClientKeyCommand(clientId, version, author), cancellationToken);
        if (Refusal(result) is { } refusal)
            return refusal;
        Log(logs, author, ChangeKind.Key, Text(version), clientId);
        return TypedResults.NoContent();
    }

    private static void Log(
        ILoggerFactory logs,
        ChangeAuthor author,
        ChangeKind kind,
        string subject,
        string clientId
    ) => logs.CreateLogger(typeof(ClientsApi)).Changed(author.Actor, kind, subject, clientId, author.Reason);

    private static string Text(int version) => version.ToString(CultureInfo.InvariantCulture);

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
