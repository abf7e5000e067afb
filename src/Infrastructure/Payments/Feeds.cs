using System.Linq.Expressions;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The feeds for reconciliation. Rows commit in another order than they are written, so a number that is given at the write
/// would let a reader skip rows. Instead a row gets its place when its client's feed is read: under a lock on the client,
/// after all earlier places. A row that commits late gets a later place.
/// </summary>
internal sealed class Feeds(Database database, Restores restores) : IFeeds
{
    /// <summary>The most rows that one read gives places to; the next read goes on.</summary>
    private const int Batch = 1000;

    private const string CancellationLines = "action = 'CANCEL'";

    private const string LateReportLines = "remedy IS NOT NULL";

    public Task<long> Epoch(CancellationToken cancellationToken) => restores.Epoch(cancellationToken);

    public async Task<Page<CancellationItem>> Cancellations(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await Place(h => h.Action == PaymentAction.Cancel, CancellationLines, clientId, cancellationToken);
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
                    .OrderBy(row => row.Line.Position)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return FeedPage(rows.ConvertAll(row => (row.Line.Position!.Value, row.Item())), after.Epoch, limit);
    }

    public async Task<Page<LateReport>> LateReports(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await Place(h => h.Remedy != null, LateReportLines, clientId, cancellationToken);
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
                    .OrderBy(row => row.Line.At)
                    .ThenBy(row => row.Line.ClientId)
                    .ThenBy(row => row.Line.PaymentId)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );

        var items = rows.Take(limit).Select(row => row.Item()).ToList();
        return new(items, rows.Count <= limit ? null : cursor.Behind(items.ConvertAll(item => item.CancelTime)));
    }

    // The first statement only locks the client's row, so that one reader at a time gives places. The second takes its
    // snapshot after that, so it sees all earlier places. After a restore, new places are above all earlier ones, including
    // those that the restore has undone.
    private async Task Place(
        Expression<Func<HistoryRow, bool>> which,
        string lines,
        ClientId clientId,
        CancellationToken cancellationToken
    )
    {
        await using (var db = database.CreateContext())
        {
            var unplaced = db.Set<HistoryRow>().Where(h => h.ClientId == clientId && h.Position == null).Where(which);
            if (!await unplaced.AnyAsync(cancellationToken))
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
                                WHERE client_id = $1 AND {lines} AND position IS NOT NULL
                                UNION ALL SELECT {Restores.LastEpoch} * 1000000000 FROM restores
                            ) AS given) AS position
                        FROM payment_history WHERE client_id = $1 AND {lines} AND position IS NULL
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

    private static IQueryable<Row> Items(CancelDbContext db, IQueryable<HistoryRow> lines) =>
        lines
            .AsNoTracking()
            .Join(
                db.Set<PaymentRequestRow>(),
                line => new { line.ClientId, PaymentId = (PaymentId?)line.PaymentId },
                request => new { request.ClientId, request.PaymentId },
                (line, request) => new Row { Line = line, RequestId = request.PaymentRequestId }
            );

    // Next is the cursor to go on from, also on the last page: a feed has no end.
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
        public required HistoryRow Line { get; init; }

        public required PaymentRequestId RequestId { get; init; }

        public CancellationItem Item() =>
            new(
                Line.ClientId.Value,
                Line.PaymentId.Value,
                RequestId.Value,
                new(Line.MinorUnits!.Value, Line.Currency!.Value.Code),
                new Cancellation(Line.FromStatus!.Value, Line.At).Effect,
                Line.At
            );
    }
}
