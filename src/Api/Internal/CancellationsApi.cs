using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>Endpoints for reconciliation.</summary>
public static class CancellationsApi
{
    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapCancellations(this RouteGroupBuilder internalApi)
    {
        var reads = internalApi.MapGroup("").WithTags("Reconciliation").RequireAuthorization(Scopes.PaymentsRead);
        reads.MapGet("/clients/{clientId}/cancellations", Feed).ProducesProblem(StatusCodes.Status410Gone);
        reads.MapGet("/clients/{clientId}/late-reports", LateReports).ProducesProblem(StatusCodes.Status410Gone);
        reads.MapGet("/cancellations", Report);
    }

    /// <summary>
    /// Reads a client's cancellations in a stable order that never skips one. Poll with the latest next as after.
    /// 410: the cursor is older than a restore of the database.
    /// </summary>
    public static Task<Results<Ok<Page<CancellationItem>>, ProblemHttpResult>> Feed(
        string clientId,
        string? after,
        int? limit,
        IFeeds feeds,
        CancellationToken cancellationToken
    ) => Read(clientId, after, limit, feeds, feeds.Cancellations, cancellationToken);

    /// <summary>
    /// Reads a client's late reports in a stable order that never skips one. Poll with the latest next as after.
    /// 410: the cursor is older than a restore of the database.
    /// </summary>
    public static Task<Results<Ok<Page<LateReport>>, ProblemHttpResult>> LateReports(
        string clientId,
        string? after,
        int? limit,
        IFeeds feeds,
        CancellationToken cancellationToken
    ) => Read(clientId, after, limit, feeds, feeds.LateReports, cancellationToken);

    private static async Task<Results<Ok<Page<T>>, ProblemHttpResult>> Read<T>(
        string clientId,
        string? after,
        int? limit,
        IFeeds feeds,
        Func<ClientId, FeedCursor, int, CancellationToken, Task<Page<T>>> read,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        if (FeedCursor.Parse(after ?? "0-0") is not { } cursor)
            return Paging.BadCursor();
        if (!ClientId.IsWellFormed(clientId))
            return Problems.NotFound("client");
        var epoch = await feeds.Epoch(cancellationToken);
        if (after is not null && cursor.Epoch != epoch)
            return Problems.DatabaseRestored(DateTimeOffset.FromUnixTimeSeconds(epoch), cursor with { Epoch = epoch });
        var page = await read(new ClientId(clientId), cursor with { Epoch = epoch }, size, cancellationToken);
        return TypedResults.Ok(page);
    }

    /// <summary>
    /// Lists the cancellations of all clients from a time (inclusive) to a time (exclusive), in the order of time. Use
    /// a client's feed to miss none.
    /// </summary>
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
