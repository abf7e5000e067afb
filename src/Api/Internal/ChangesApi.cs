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
    /// <summary>Whether a change of a client, a contract, a key or money is refused without a reason in <c>X-Reason</c>.</summary>
    public bool RequireReason { get; set; }
}

/// <summary>Why something is changed, as the caller says it in the header <c>X-Reason</c>; on record with the change.</summary>
public sealed record Reason
{
    /// <summary>At most 512 characters.</summary>
    [FromHeader(Name = Header)]
    public string? Text { get; init; }

    /// <summary>Whether there has to be one.</summary>
    [FromServices]
    public required IOptions<ChangesOptions> Options { get; init; }

    /// <summary>The header's name.</summary>
    public const string Header = "X-Reason";

    /// <summary>Says why the reason is not accepted; null when it is.</summary>
    /// <param name="isRequired">Whether the change is one for which a reason can be demanded.</param>
    public string? Mistake(bool isRequired) =>
        Text is { Length: > ChangeAuthor.MaxReason } || Text?.Any(char.IsControl) is true
            ? $"The header {Header} must be at most {ChangeAuthor.MaxReason} characters of text."
        : isRequired && Options.Value.RequireReason && string.IsNullOrWhiteSpace(Text)
            ? $"The header {Header} must say why this is changed, in at most {ChangeAuthor.MaxReason} characters."
        : null;

    /// <summary>The author of a change that is made now.</summary>
    public ChangeAuthor Author(ClaimsPrincipal caller, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        return new(caller.Actor(), Text ?? "", time.GetUtcNow());
    }
}

/// <summary>The operators' side: who changed what.</summary>
public static class ChangesApi
{
    private static readonly DateTimeOffset Forever = new(9999, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Maps the endpoint under <c>/internal/v1</c>.</summary>
    public static void MapChanges(this RouteGroupBuilder internalApi) =>
        internalApi.MapGet("/changes", List).WithTags("Changes").RequireAuthorization(Scopes.ClientsRead);

    /// <summary>
    /// Lists the changes of clients, keys and money, and the orders to queue events again, by time: who made each, when, and
    /// why. Each parameter that is given narrows the list down.
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
