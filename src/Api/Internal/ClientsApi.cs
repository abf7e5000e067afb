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

/// <summary>A client.</summary>
/// <param name="Name">The client's name for operators, 1 to 256 characters.</param>
/// <param name="Enabled">Whether the client may call; false answers CLIENT_INVALID.</param>
/// <param name="Contract">The terms of the contract; missing terms take their defaults.</param>
public sealed record ClientBody(string? Name, bool? Enabled, ContractBody? Contract = null);

/// <summary>The terms of a contract. A missing term takes its default.</summary>
/// <param name="MayCancel">
/// Whether the contract includes cancelling (default true); false answers ACCESS_DENIED.
/// </param>
/// <param name="Window">
/// The cancel window: a cut-off (day, time, zone: T+1 00:15 +08:00, the default) or a duration (PT24H, P7D), at most
/// 366 days.
/// </param>
/// <param name="RequestsPerSecond">
/// The sustained rate on each instance, 1 to 100,000 requests a second (default 100).
/// </param>
/// <param name="Burst">The most requests at once on each instance, 1 to 100,000 (default 200).</param>
/// <param name="RememberUnknown">Whether an early cancel refuses its payment (default true).</param>
/// <param name="MayInquire">
/// Whether the contract includes inquiries (default true); false answers ACCESS_DENIED.
/// </param>
/// <param name="InquiriesPerSecond">
/// The sustained rate of inquiries on each instance, 1 to 100,000 a second (default 100).
/// </param>
/// <param name="InquiryBurst">The most inquiries at once on each instance, 1 to 100,000 (default 200).</param>
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

/// <summary>A public key with its validity.</summary>
/// <param name="PublicKey">The RSA public key, 2048 to 8192 bits: PEM (a key or a certificate) or bare base64.</param>
/// <param name="NotBefore">The first instant at which the key is valid; null for no lower limit.</param>
/// <param name="NotAfter">
/// The first instant at which the key is no longer valid, after notBefore; null for no end.
/// </param>
public sealed record KeyBody(string? PublicKey, DateTimeOffset? NotBefore = null, DateTimeOffset? NotAfter = null);

/// <summary>Endpoints for clients with their contracts and keys.</summary>
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

    /// <summary>Lists the clients in the order of their identifiers.</summary>
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

    /// <summary>Reads a client with its contract.</summary>
    public static async Task<Results<Ok<ClientView>, ProblemHttpResult>> Get(
        string clientId,
        IClientQueries queries,
        CancellationToken cancellationToken
    ) =>
        ClientId.IsWellFormed(clientId) && await queries.Client(new ClientId(clientId), cancellationToken) is { } client
            ? TypedResults.Ok(client)
            : Problems.NotFound("client");

    /// <summary>
    /// Creates a client, or replaces its name, state and contract; its keys stay. Other instances apply it within
    /// Clients:CacheTime.
    /// </summary>
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

    /// <summary>Lists the keys of a client in the order of their versions.</summary>
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

    /// <summary>Reads a key of a client.</summary>
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

    /// <summary>
    /// Registers a key under a version, or changes the validity of the same key. 409: the version belongs to another or
    /// a revoked key. 422: the key is not accepted.
    /// </summary>
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

    /// <summary>Revokes a key for good. Every instance refuses it within Clients:CacheTime.</summary>
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
