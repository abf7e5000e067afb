using System.Globalization;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Payments;

/// <summary>A cancellation, as reconciliation reads it. Times are UTC.</summary>
public sealed record CancellationItem(
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    MoneyView Amount,
    CancelEffect Effect,
    DateTimeOffset CancelTime
);

/// <summary>An event of the core that was refused as late money. Times are UTC.</summary>
public sealed record RefusedEventItem(
    string ClientId,
    string PaymentId,
    int Version,
    PaymentAction Action,
    string? EventId,
    MoneyView Amount,
    LateMoney Remedy,
    string Actor,
    DateTimeOffset At
);

/// <summary>
/// The feeds for reconciliation. An order that never skips a row can't be given when a row is written, because rows
/// commit in another order than they are numbered. So a row gets its place when its client's feed is read: under a lock
/// on the client, after all that was placed before. A row that commits late gets a later place.
/// </summary>
public sealed class Feeds(Database database)
{
    /// <summary>The most rows that one read gives places to; the next read goes on.</summary>
    private const int Batch = 1000;

    /// <summary>A client's cancellations after a place, in the order of their places.</summary>
    public async Task<Page<CancellationItem>> Cancellations(
        ClientId clientId,
        long after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var unplaced = db.Cancellations.Where(c =>
            EF.Property<ClientId>(c, "ClientId") == clientId && EF.Property<long?>(c, "Position") == null
        );
        if (await unplaced.AnyAsync(cancellationToken))
            await Place(CancellationPlaces, clientId, cancellationToken);

        var rows = await db
            .Payments.AsNoTracking()
            .Where(p => p.ClientId == clientId && EF.Property<long?>(p.Cancellation!, "Position") > after)
            .OrderBy(p => EF.Property<long?>(p.Cancellation!, "Position"))
            .Take(limit + 1)
            .Select(p => new
            {
                Payment = p,
                p.Cancellation,
                Position = EF.Property<long?>(p.Cancellation!, "Position"),
            })
            .ToListAsync(cancellationToken);
        return Page(rows.ConvertAll(row => (row.Position!.Value, Item(row.Payment, row.Cancellation!))), limit);
    }

    /// <summary>A client's refused events after a place, in the order of their places.</summary>
    public async Task<Page<RefusedEventItem>> RefusedEvents(
        ClientId clientId,
        long after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        if (
            await db.History.AnyAsync(
                h => h.ClientId == clientId && h.Remedy != null && h.Position == null,
                cancellationToken
            )
        )
            await Place(RefusedEventPlaces, clientId, cancellationToken);

        var rows = await db
            .History.AsNoTracking()
            .Where(h => h.ClientId == clientId && h.Position > after)
            .OrderBy(h => h.Position)
            .Take(limit + 1)
            .Join(
                db.Payments,
                h => new { h.ClientId, h.PaymentId },
                p => new { p.ClientId, PaymentId = p.Id },
                (h, p) => new { History = h, p.Amount.Currency }
            )
            .OrderBy(row => row.History.Position)
            .ToListAsync(cancellationToken);
        return Page(
            rows.ConvertAll(row =>
                (
                    row.History.Position!.Value,
                    new RefusedEventItem(
                        row.History.ClientId.Value,
                        row.History.PaymentId.Value,
                        row.History.Version,
                        row.History.Action,
                        row.History.EventId,
                        new(row.History.MinorUnits!.Value, row.Currency.Code),
                        row.History.Remedy!.Value,
                        row.History.Actor,
                        row.History.At
                    )
                )
            ),
            limit
        );
    }

    /// <summary>
    /// The cancellations of all clients in a span of time, by time; null when <paramref name="after"/> is no cursor. A
    /// report, not a feed: what commits late into a span that was read already is not in it.
    /// </summary>
    public async Task<Page<CancellationItem>?> Report(
        DateTimeOffset from,
        DateTimeOffset to,
        string? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var (fromUtc, toUtc) = (from.ToUniversalTime(), to.ToUniversalTime());
        var skip = 0;
        if (after is not null)
        {
            // The cursor: the time of the last row, and how many rows of that very time have been read.
            if (
                after.Split('-') is not [var microseconds, var read]
                || !long.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out var time)
                || time < SqliteDbContext.Microseconds(fromUtc)
                || time > SqliteDbContext.Microseconds(toUtc)
                || !int.TryParse(read, NumberStyles.None, CultureInfo.InvariantCulture, out skip)
            )
                return null;
            fromUtc = SqliteDbContext.Time(time);
        }

        await using var db = database.CreateContext();
        var payments = await db
            .Payments.AsNoTracking()
            .Include(p => p.Cancellation)
            .Where(p => p.Cancellation!.CancelledAt >= fromUtc && p.Cancellation.CancelledAt < toUtc)
            .OrderBy(p => p.Cancellation!.CancelledAt)
            .ThenBy(p => p.ClientId)
            .ThenBy(p => p.Id)
            .Skip(skip)
            .Take(limit + 1)
            .ToListAsync(cancellationToken);

        var items = payments.Take(limit).Select(payment => Item(payment, payment.Cancellation!)).ToList();
        if (payments.Count <= limit)
            return new(items, null);
        var last = items[^1].CancelTime;
        var same = items.Count(item => item.CancelTime == last) + (last == fromUtc ? skip : 0);
        return new(items, $"{SqliteDbContext.Microseconds(last)}-{same}");
    }

    private const string CancellationPlaces = """
        UPDATE cancellations SET position = placed.position
        FROM (
            SELECT payment_id, row_number() OVER (ORDER BY cancelled_at, payment_id)
                + coalesce((SELECT max(position) FROM cancellations WHERE client_id = $1), 0) AS position
            FROM cancellations WHERE client_id = $1 AND position IS NULL
            ORDER BY cancelled_at, payment_id LIMIT $2
        ) AS placed
        WHERE cancellations.client_id = $1 AND cancellations.payment_id = placed.payment_id
        """;

    private const string RefusedEventPlaces = """
        UPDATE payment_history SET position = placed.position
        FROM (
            SELECT payment_id, version, row_number() OVER (ORDER BY at, payment_id, version)
                + coalesce((SELECT max(position) FROM payment_history WHERE client_id = $1), 0) AS position
            FROM payment_history WHERE client_id = $1 AND remedy IS NOT NULL AND position IS NULL
            ORDER BY at, payment_id, version LIMIT $2
        ) AS placed
        WHERE payment_history.client_id = $1 AND payment_history.payment_id = placed.payment_id
            AND payment_history.version = placed.version
        """;

    // The first statement changes nothing: it locks the client's row, so that places are given by one reader at a time.
    // The second takes its snapshot after that, and sees all places that were given before.
    private Task<int?> Place(string places, ClientId clientId, CancellationToken cancellationToken) =>
        database.Execute(
            new AtomicBatch()
                .Add("UPDATE clients SET enabled = enabled WHERE client_id = $1", clientId.Value)
                .Add(places, clientId.Value, Batch),
            cancellationToken
        );

    private static CancellationItem Item(Payment payment, Cancellation cancellation) =>
        new(
            payment.ClientId.Value,
            payment.Id.Value,
            payment.RequestId.Value,
            MoneyView.Of(payment.Amount),
            cancellation.Effect,
            cancellation.CancelledAt
        );

    // Next is the cursor to go on from, also on the last page: a feed has no end.
    private static Page<T> Page<T>(List<(long Position, T Item)> rows, int limit)
    {
        var page = rows.Take(limit).ToList();
        return new(
            page.ConvertAll(row => row.Item),
            page.Count == 0 ? null : page[^1].Position.ToString(CultureInfo.InvariantCulture)
        );
    }
}
