using CancelService.Application.Reading;
using CancelService.Domain;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>What reconciliation reads.</summary>
public static class CancellationsApi
{
    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapCancellations(this RouteGroupBuilder internalApi)
    {
        var reads = internalApi.MapGroup("").WithTags("Reconciliation").RequireAuthorization(Scopes.PaymentsRead);
        reads.MapGet("/clients/{clientId}/cancellations", Feed);
        reads.MapGet("/clients/{clientId}/late-reports", LateReports);
        reads.MapGet("/cancellations", Report);
    }

    /// <summary>A client's cancellations, in an order that is stable and skips none; next is the cursor to go on from.</summary>
    public static async Task<Results<Ok<Page<CancellationItem>>, ProblemHttpResult>> Feed(
        string clientId,
        long? after,
        int? limit,
        IFeeds feeds,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        if (after < 0)
            return Paging.BadCursor();
        return ClientId.IsWellFormed(clientId)
            ? TypedResults.Ok(await feeds.Cancellations(new ClientId(clientId), after ?? 0, size, cancellationToken))
            : Problems.NotFound("client");
    }

    /// <summary>A client's late reports, in such an order as well.</summary>
    public static async Task<Results<Ok<Page<LateReport>>, ProblemHttpResult>> LateReports(
        string clientId,
        long? after,
        int? limit,
        IFeeds feeds,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        if (after < 0)
            return Paging.BadCursor();
        return ClientId.IsWellFormed(clientId)
            ? TypedResults.Ok(await feeds.LateReports(new ClientId(clientId), after ?? 0, size, cancellationToken))
            : Problems.NotFound("client");
    }

    /// <summary>The cancellations of all clients from a time (inclusive) to a time (exclusive), by time.</summary>
    public static async Task<Results<Ok<Page<CancellationItem>>, ProblemHttpResult>> Report(
        OffsetTime? from,
        OffsetTime? to,
        string? after,
        int? limit,
        IFeeds feeds,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        if (from is not { Value: var first } || to is not { Value: var end } || first >= end)
            return Problems.Invalid("from and to must be given, from before to.");
        return await feeds.Report(first, end, after, size, cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : Paging.BadCursor();
    }
}
