using System.Security.Claims;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Internal;

/// <summary>The section <c>Changes</c> of the settings.</summary>
public sealed class ChangesOptions
{
    /// <summary>Whether a change of a client, contract, key or money needs a reason in <c>X-Reason</c>.</summary>
    public bool RequireReason { get; set; }
}

/// <summary>
/// The caller's reason for a change, from the header <c>X-Reason</c>; it is on record with the change.
/// </summary>
public sealed record Reason
{
    /// <summary>The reason for the change, for its record: at most 512 characters of text.</summary>
    [FromHeader(Name = Header)]
    public string? Text { get; init; }

    /// <summary>The settings, which can require a reason.</summary>
    [FromServices]
    public required IOptions<ChangesOptions> Options { get; init; }

    /// <summary>The header's name.</summary>
    public const string Header = "X-Reason";

    /// <summary>Names the mistake in the reason; null without one.</summary>
    /// <param name="isRequired">Whether the settings can require a reason for this kind of change.</param>
    public string? Mistake(bool isRequired) =>
        Text is { Length: > ChangeAuthor.MaxReason } || Text?.Any(char.IsControl) is true
            ? $"The header {Header} must be at most {ChangeAuthor.MaxReason} characters of text."
        : isRequired && Options.Value.RequireReason && string.IsNullOrWhiteSpace(Text)
            ? $"The header {Header} must give the reason for the change, in at most {ChangeAuthor.MaxReason} "
                + "characters."
        : null;

    /// <summary>Makes the author of a change at the current time.</summary>
    public ChangeAuthor Author(ClaimsPrincipal caller, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        return new(caller.Actor(), Text ?? "", time.GetUtcNow());
    }
}

/// <summary>The endpoint for the record of changes.</summary>
public static class ChangesApi
{
    private static readonly DateTimeOffset Forever = new(9999, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Maps the endpoint under <c>/internal/v1</c>.</summary>
    public static void MapChanges(this RouteGroupBuilder internalApi) =>
        internalApi.MapGet("/changes", List).WithTags("Changes").RequireAuthorization(Scopes.ClientsRead);

    /// <summary>
    /// Lists changes of clients, keys, money and events in the order of time, with actor and reason. Every given
    /// parameter restricts the list; from is inclusive, to exclusive.
    /// </summary>
    public static async Task<Results<Ok<Page<Change>>, ProblemHttpResult>> List(
        string? clientId,
        string? actor,
        string? kind,
        OffsetTime? from,
        OffsetTime? to,
        string? after,
        int? limit,
        IChangeQueries queries,
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
                return Problems.Invalid("kind must be CLIENT, KEY, TRANSFER or REQUEUE.");
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
}
