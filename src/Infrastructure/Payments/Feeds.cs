using System.Linq.Expressions;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The feeds for reconciliation. Rows commit in another order than they are written, so with a number from the write a
/// reader would skip rows. Instead a row gets its position when its client's feed is read: under a lock on the client,
/// after all earlier positions. A row that commits late gets a later position.
/// </summary>
internal sealed class Feeds(Database database, Restores restores) : IFeeds
{
    /// <summary>The most rows that get a position in one read; the next read continues.</summary>
    private const int Batch = 1000;

    private const string CancellationFilter = "action = 'CANCEL'";

    private const string LateReportFilter = "remedy IS NOT NULL";

    public Task<long> Epoch(CancellationToken cancellationToken) => restores.Epoch(cancellationToken);

    public async Task<Page<CancellationItem>> Cancellations(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await AssignPositions(h => h.Action == PaymentAction.Cancel, CancellationFilter, clientId, cancellationToken);
        var rows = await database.Read(
            db =>
                Items(
                        db,
                        db.Set<HistoryRow>()
                            .Where(h => h.ClientId == clientId && h.Action == PaymentAction.Cancel)
                            .Where(h => h.Position > after.Position)
                            .OrderBy(h => h.Position)
                            .Take(limit + 1)
                    )
                    .OrderBy(row => row.History.Position)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return FeedPage(rows.ConvertAll(row => (row.History.Position!.Value, row.Item())), after.Epoch, limit);
    }

    public async Task<Page<LateReport>> LateReports(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await AssignPositions(h => h.Remedy != null, LateReportFilter, clientId, cancellationToken);
        var rows = await database.Read(
            db =>
                db.Set<HistoryRow>()
                    .AsNoTracking()
                    .Where(h => h.ClientId == clientId && h.Remedy != null)
                    .Where(h => h.Position > after.Position)
                    .OrderBy(h => h.Position)
                    .Take(limit + 1)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return FeedPage(
            rows.ConvertAll(h =>
                (
                    h.Position!.Value,
                    new LateReport(
                        h.ClientId.Value,
                        h.PaymentId.Value,
                        h.Version,
                        h.Action,
                        h.EventId,
                        new(h.MinorUnits!.Value, h.Currency!.Value.Code),
                        h.Remedy!.Value,
                        h.Actor,
                        h.At
                    )
                )
            ),
            after.Epoch,
            limit
        );
    }

    public async Task<Page<CancellationItem>?> Report(
        DateTimeOffset from,
        DateTimeOffset to,
        string? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var (fromUtc, toUtc) = (from.ToUniversalTime(), to.ToUniversalTime());
        if (TimeCursor.Parse(after, fromUtc, toUtc) is not { } cursor)
            return null;

        var rows = await database.Read(
            db =>
                Items(
                        db,
                        db.Set<HistoryRow>()
                            .Where(h => h.Answer != null && h.At >= cursor.From && h.At < toUtc)
                            .OrderBy(h => h.At)
                            .ThenBy(h => h.ClientId)
                            .ThenBy(h => h.PaymentId)
                            .Skip(cursor.Read)
                            .Take(limit + 1)
                    )
                    .OrderBy(row => row.History.At)
                    .ThenBy(row => row.History.ClientId)
                    .ThenBy(row => row.History.PaymentId)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );

        var items = rows.Take(limit).Select(row => row.Item()).ToList();
        return new(items, rows.Count <= limit ? null : cursor.Behind(items.ConvertAll(item => item.CancelTime)));
    }

    // The first statement only locks the client's row, so that one reader at a time assigns positions. The second takes
    // its snapshot after the lock, so it sees all earlier positions. After a restore, new positions are above all
    // earlier ones, including those undone by the restore.
    private async Task AssignPositions(
        Expression<Func<HistoryRow, bool>> which,
        string filter,
        ClientId clientId,
        CancellationToken cancellationToken
    )
    {
        await using (var db = database.CreateContext())
        {
            var pending = db.Set<HistoryRow>().Where(h => h.ClientId == clientId && h.Position == null).Where(which);
            if (!await pending.AnyAsync(cancellationToken))
                return;
        }
        await database.Rows(
            new AtomicBatch()
                .LockClient(clientId)
                .Add(
                    $"""
                    UPDATE payment_history SET position = placed.position
                    FROM (
                        SELECT payment_id, version, row_number() OVER (ORDER BY at, payment_id, version)
                            + (SELECT max(position) FROM (
                                SELECT position FROM payment_history
                                WHERE client_id = $1 AND {filter} AND position IS NOT NULL
                                UNION ALL SELECT {Restores.LastEpoch} * 1000000000 FROM restores
                            ) AS given) AS position
                        FROM payment_history WHERE client_id = $1 AND {filter} AND position IS NULL
                        ORDER BY at, payment_id, version LIMIT $2
                    ) AS placed
                    WHERE payment_history.client_id = $1 AND payment_history.payment_id = placed.payment_id
                        AND payment_history.version = placed.version
                    """,
                    clientId.Value,
                    Batch
                ),
            cancellationToken
        );
    }

    private static IQueryable<Row> Items(CancelDbContext db, IQueryable<HistoryRow> rows) =>
        rows.AsNoTracking()
            .Join(
                db.Set<PaymentRequestRow>(),
                history => new { history.ClientId, PaymentId = (PaymentId?)history.PaymentId },
                request => new { request.ClientId, request.PaymentId },
                (history, request) => new Row { History = history, RequestId = request.PaymentRequestId }
            );

    // The last page has a cursor as well, because a feed has no end.
    private static Page<T> FeedPage<T>(List<(long Position, T Item)> rows, long epoch, int limit)
    {
        var page = rows.Take(limit).ToList();
        return new(
            page.ConvertAll(row => row.Item),
            page.Count == 0 ? null : new FeedCursor(epoch, page[^1].Position).ToString()
        );
    }

    private sealed class Row
    {
        public required HistoryRow History { get; init; }

        public required PaymentRequestId RequestId { get; init; }

        public CancellationItem Item() =>
            new(
                History.ClientId.Value,
                History.PaymentId.Value,
                RequestId.Value,
                new(History.MinorUnits!.Value, History.Currency!.Value.Code),
                new Cancellation(History.FromStatus!.Value, History.At).Effect,
                History.At
            );
    }
}
