using System.Linq.Expressions;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Notifications;

/// <summary>Where an event of the outbox stands.</summary>
public enum NotificationState
{
    /// <summary>It is to be delivered, now or at its next attempt.</summary>
    Due,

    /// <summary>The receiver has confirmed it.</summary>
    Delivered,

    /// <summary>Its attempts are used up; it waits for an operator.</summary>
    Parked,
}

/// <summary>An event of the outbox, as operators see it. Times are UTC; attempts count since it was last queued.</summary>
public sealed record NotificationView(
    Guid EventId,
    string ClientId,
    string PaymentId,
    int Attempts,
    DateTimeOffset CreatedAt,
    DateTimeOffset? DueAt,
    DateTimeOffset? DeliveredAt,
    DateTimeOffset? ParkedAt,
    string? LastError
);

/// <summary>An event that this instance has claimed, with its content.</summary>
/// <param name="Attempt">Which attempt this is, from 1.</param>
/// <param name="ClaimedUntil">The end of the claim (UTC), which also proves in the database whose claim it is.</param>
/// <param name="Payment">The payment, with its cancellation.</param>
internal sealed record ClaimedEvent(int Attempt, DateTimeOffset ClaimedUntil, Payment Payment)
{
    /// <summary>The event's identifier.</summary>
    public Guid EventId { get; } = EventIdentifier.Of(Payment.ClientId, Payment.Id);
}

/// <summary>
/// The outbox in the database. An event is claimed by moving its due time to the end of the claim, in one statement; a
/// claim that is never settled runs out, and the event is due again. Every write names one client, so that none spans
/// two when PostgreSQL is distributed by client.
/// </summary>
public sealed class Outbox(Database database)
{
    /// <summary>The most clients that are looked for at a time; the next look goes on with the others.</summary>
    private const int ClientsAtATime = 100;

    /// <summary>The most rows that one statement deletes.</summary>
    private const int PruneBatch = 1000;

    // SKIP LOCKED: what another instance is claiming at this moment is passed over, not waited for. The rows are picked
    // in an expression of their own, which PostgreSQL evaluates once.
    private static readonly string PostgresClaims = Claims("FOR UPDATE SKIP LOCKED");
    private static readonly string SqliteClaims = Claims("");

    private static string Claims(string locking) =>
        $"""
            WITH due AS (
                SELECT payment_id FROM outbox WHERE client_id = $1 AND due_at <= $2
                ORDER BY due_at LIMIT $3 {locking}
            )
            UPDATE outbox SET due_at = $4, attempts = attempts + 1
            WHERE client_id = $1 AND payment_id IN (SELECT payment_id FROM due)
            RETURNING payment_id, attempts
            """;

    /// <summary>
    /// A page of the events of all clients, in the order of client and payment; null when <paramref name="after"/> is no
    /// cursor.
    /// </summary>
    /// <param name="state">The state; null for all.</param>
    /// <param name="after">The cursor: what the page before gave as next.</param>
    /// <param name="limit">The size of the page.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<Page<NotificationView>?> List(
        NotificationState? state,
        string? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        // Identifiers hold no slash, so one can stand between the two of the cursor.
        var (client, payment) = ("", "");
        if (after is not null)
        {
            if (
                after.Split('/') is not [var lastClient, var lastPayment]
                || !ClientId.IsWellFormed(lastClient)
                || !Identifier.IsWellFormed(lastPayment)
            )
                return null;
            (client, payment) = (lastClient, lastPayment);
        }
        await using var db = database.CreateContext();
        var events = db.Set<OutboxRow>()
            .FromSql($"SELECT * FROM outbox WHERE (client_id, payment_id) > ({client}, {payment})");
        var wanted = state switch
        {
            NotificationState.Due => events.Where(o => o.DueAt != null),
            NotificationState.Delivered => events.Where(o => o.DeliveredAt != null),
            NotificationState.Parked => events.Where(o => o.ParkedAt != null),
            null => events,
        };
        var rows = await wanted
            .AsNoTracking()
            .OrderBy(o => o.ClientId)
            .ThenBy(o => o.PaymentId)
            .Take(limit + 1)
            .ToListAsync(cancellationToken);
        return Page.Of(rows.ConvertAll(View), limit, item => $"{item.ClientId}/{item.PaymentId}");
    }

    /// <summary>
    /// Queues a parked event again, with all its attempts; one that is not parked stays as it is. Null when there is no
    /// such event.
    /// </summary>
    public async Task<NotificationView?> Requeue(
        ClientId clientId,
        PaymentId paymentId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        await Write(
            "UPDATE outbox SET parked_at = NULL, due_at = $3, attempts = 0 WHERE client_id = $1 AND payment_id = $2 AND parked_at IS NOT NULL",
            cancellationToken,
            clientId.Value,
            paymentId.Value,
            now
        );
        await using var db = database.CreateContext();
        var row = await db.Set<OutboxRow>()
            .AsNoTracking()
            .SingleOrDefaultAsync(o => o.ClientId == clientId && o.PaymentId == paymentId, cancellationToken);
        return row is null ? null : View(row);
    }

    /// <summary>Some clients with due events, those that have waited longest; nothing is locked.</summary>
    internal Task<List<ClientId>> ClientsWithWork(DateTimeOffset now, CancellationToken cancellationToken) =>
        ClientsOf(o => o.DueAt <= now, o => o.DueAt, cancellationToken);

    /// <summary>Claims due events of a client, at most <paramref name="limit"/>.</summary>
    internal async Task<List<ClaimedEvent>> Claim(
        ClientId clientId,
        DateTimeOffset now,
        DateTimeOffset until,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        var claimed = await new AtomicBatch()
            .Add(db is PostgresDbContext ? PostgresClaims : SqliteClaims, clientId.Value, now, limit, until)
            .Read(
                db.Database.GetDbConnection(),
                row => (PaymentId: new PaymentId(row.GetString(0)), Attempt: row.GetInt32(1)),
                cancellationToken
            );
        if (claimed.Count == 0)
            return [];

        // What the event says never changes, so it need not be read by the same statement.
        var ids = claimed.ConvertAll(row => row.PaymentId);
        var payments = await StoredPayment
            .Of(db)
            .Where(p => p.Row.ClientId == clientId && ids.Contains(p.Row.PaymentId))
            .ToDictionaryAsync(p => p.Row.PaymentId, p => p.Restore(), cancellationToken);
        return claimed.ConvertAll(row => new ClaimedEvent(row.Attempt, until, payments[row.PaymentId]));
    }

    /// <summary>
    /// Records that the receiver has confirmed an event. That stays true when the claim has run out meanwhile, so it is
    /// recorded in any case; another instance's claim ends with it.
    /// </summary>
    internal Task<bool> Delivered(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken) =>
        Write(
            """
            UPDATE outbox SET delivered_at = $3, due_at = NULL, parked_at = NULL, last_error = NULL
            WHERE client_id = $1 AND payment_id = $2 AND delivered_at IS NULL
            """,
            cancellationToken,
            claimed.Payment.ClientId.Value,
            claimed.Payment.Id.Value,
            now
        );

    /// <summary>Records a failed attempt, and when the next one is due; false when the claim is no longer ours.</summary>
    internal Task<bool> Failed(
        ClaimedEvent claimed,
        DateTimeOffset dueAt,
        string error,
        CancellationToken cancellationToken
    ) => Settle(claimed, "due_at = $4, last_error = $5", cancellationToken, dueAt, error);

    /// <summary>Parks an event whose attempts are used up; false when the claim is no longer ours.</summary>
    internal Task<bool> Parked(
        ClaimedEvent claimed,
        DateTimeOffset now,
        string error,
        CancellationToken cancellationToken
    ) => Settle(claimed, "due_at = NULL, parked_at = $4, last_error = $5", cancellationToken, now, error);

    /// <summary>Gives back an event that was not sent: it is due at once, and the attempt does not count.</summary>
    internal Task<bool> HandBack(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken) =>
        Settle(claimed, "due_at = $4, attempts = attempts - 1", cancellationToken, now);

    /// <summary>Deletes the events that were delivered before a time, batch by batch: how many.</summary>
    internal async Task<int> Prune(DateTimeOffset deliveredBefore, CancellationToken cancellationToken)
    {
        var (pruned, before) = (0, 0);
        List<ClientId> clients;
        do
        {
            before = pruned;
            clients = await ClientsOf(o => o.DeliveredAt < deliveredBefore, o => o.DeliveredAt, cancellationToken);
            foreach (var clientId in clients)
                pruned += await Prune(clientId, deliveredBefore, cancellationToken);
        } while (clients.Count == ClientsAtATime && pruned > before);
        return pruned;
    }

    private async Task<int> Prune(
        ClientId clientId,
        DateTimeOffset deliveredBefore,
        CancellationToken cancellationToken
    )
    {
        var (pruned, deleted) = (0, 0);
        do
        {
            var batch = new AtomicBatch().Add(
                """
                DELETE FROM outbox WHERE client_id = $1 AND payment_id IN (
                    SELECT payment_id FROM outbox WHERE client_id = $1 AND delivered_at < $2 LIMIT $3)
                """,
                clientId.Value,
                deliveredBefore,
                PruneBatch
            );
            deleted = await database.Rows(batch, cancellationToken);
            pruned += deleted;
        } while (deleted == PruneBatch);
        return pruned;
    }

    private async Task<List<ClientId>> ClientsOf(
        Expression<Func<OutboxRow, bool>> which,
        Expression<Func<OutboxRow, DateTimeOffset?>> oldest,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        return await db.Set<OutboxRow>()
            .Where(which)
            .GroupBy(o => o.ClientId, oldest)
            .OrderBy(times => times.Min())
            .Select(times => times.Key)
            .Take(ClientsAtATime)
            .ToListAsync(cancellationToken);
    }

    // Who lost the claim must not touch the row: its due time is then the end of another's claim, or something later.
    private Task<bool> Settle(
        ClaimedEvent claimed,
        string change,
        CancellationToken cancellationToken,
        params object?[] values
    ) =>
        Write(
            $"UPDATE outbox SET {change} WHERE client_id = $1 AND payment_id = $2 AND due_at = $3",
            cancellationToken,
            [claimed.Payment.ClientId.Value, claimed.Payment.Id.Value, claimed.ClaimedUntil, .. values]
        );

    private async Task<bool> Write(string sql, CancellationToken cancellationToken, params object?[] values) =>
        await database.Rows(new AtomicBatch().Add(sql, values), cancellationToken) == 1;

    private static NotificationView View(OutboxRow row) =>
        new(
            row.EventId,
            row.ClientId.Value,
            row.PaymentId.Value,
            row.Attempts,
            row.CreatedAt,
            row.DueAt,
            row.DeliveredAt,
            row.ParkedAt,
            row.LastError
        );
}
