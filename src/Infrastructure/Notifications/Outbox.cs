using System.Linq.Expressions;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Notifications;

/// <summary>An event that this instance has claimed, with its content.</summary>
/// <param name="Attempt">The number of this attempt, from 1.</param>
/// <param name="ClaimedUntil">The end of the claim (UTC). In the database it also identifies the claim.</param>
/// <param name="Payment">The payment, with its cancellation.</param>
/// <param name="TraceId">The trace of the request that cancelled it, as in the log and in the history.</param>
internal sealed record ClaimedEvent(int Attempt, DateTimeOffset ClaimedUntil, Payment Payment, string TraceId)
{
    /// <summary>The event's identifier.</summary>
    public Guid EventId { get; } = EventIdentifier.Of(Payment.ClientId, Payment.Id);
}

/// <summary>
/// The operations that the relay needs: claim events, and record the outcome of each. The schedule tests have an
/// implementation in memory.
/// </summary>
internal interface IOutbox
{
    /// <summary>Returns some clients with due events, the longest waiting first.</summary>
    Task<List<ClientId>> ClientsWithWork(DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>Claims due events of a client until a time (UTC), at most <paramref name="limit"/>.</summary>
    Task<List<ClaimedEvent>> Claim(
        ClientId clientId,
        DateTimeOffset now,
        DateTimeOffset until,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Records that the receiver has confirmed an event. It does so even after the claim has expired, and ends another
    /// instance's claim. Returns false if the confirmation was recorded before.
    /// </summary>
    Task<bool> Delivered(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>Records a failed attempt and the time of the next; returns false if the claim has been lost.</summary>
    Task<bool> Failed(ClaimedEvent claimed, DateTimeOffset dueAt, string error, CancellationToken cancellationToken);

    /// <summary>Parks an event after its last attempt; returns false if the claim has been lost.</summary>
    Task<bool> Parked(ClaimedEvent claimed, DateTimeOffset now, string error, CancellationToken cancellationToken);

    /// <summary>Releases the claim of an unsent event: it is due at once, and the attempt does not count.</summary>
    Task<bool> HandBack(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>Deletes events delivered before the given time (UTC) in batches; returns the number deleted.</summary>
    Task<int> Prune(DateTimeOffset deliveredBefore, CancellationToken cancellationToken);
}

/// <summary>
/// The outbox in the database. One statement claims an event by moving its due time to the end of the claim. A claim
/// that is never settled expires, and the event is due again. Every write names one client, so that no transaction
/// spans two clients when PostgreSQL is distributed by client.
/// </summary>
internal sealed partial class Outbox(Database database, IPaymentQueries payments, DueClients due)
    : IOutbox,
        INotifications
{
    // The next poll continues with the other clients.
    private const int ClientsAtATime = INotifications.MaxClients;

    /// <summary>The number of polls on Citus of which one asks all shards.</summary>
    private const int QueryEvery = 15;

    private uint _calls;

    /// <summary>The most rows that one statement deletes.</summary>
    private const int PruneBatch = 1000;

    // SKIP LOCKED skips rows that another instance is claiming now. A CTE picks the rows, because PostgreSQL evaluates
    // it once.
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
    /// Returns some clients with due events, without locks. On Citus most calls return clients from memory, and one
    /// call in <see cref="QueryEvery"/> asks all shards.
    /// </summary>
    public Task<List<ClientId>> ClientsWithWork(DateTimeOffset now, CancellationToken cancellationToken) =>
        database.Nodes.ScatterQueries && _calls++ % QueryEvery != 0
            ? Task.FromResult(due.Take(now, ClientsAtATime))
            : ClientsOf(o => o.DueAt <= now, o => o.DueAt, cancellationToken);

    /// <inheritdoc/>
    public async Task<List<ClaimedEvent>> Claim(
        ClientId clientId,
        DateTimeOffset now,
        DateTimeOffset until,
        int limit,
        CancellationToken cancellationToken
    )
    {
        // The commit of the claim follows the cancellation's, so a standby that has the claim has the cancellation.
        var claimed = await database.Rows(
            new AtomicBatch().Add(
                database.IsPostgres ? PostgresClaims : SqliteClaims,
                clientId.Value,
                now,
                limit,
                until
            ),
            row => (PaymentId: new PaymentId(row.GetString(0)), Attempt: row.GetInt32(1)),
            cancellationToken
        );
        if (claimed.Count == 0)
            return [];
        if (claimed.Count == limit)
            due.Note(clientId, now);

        var cancelled = await payments.Cancelled(clientId, claimed.ConvertAll(row => row.PaymentId), cancellationToken);
        return claimed.ConvertAll(row =>
        {
            var (payment, traceId) = cancelled[row.PaymentId];
            return new ClaimedEvent(row.Attempt, until, payment, traceId);
        });
    }

    /// <inheritdoc/>
    public Task<bool> Delivered(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken) =>
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

    /// <inheritdoc/>
    public Task<bool> Failed(
        ClaimedEvent claimed,
        DateTimeOffset dueAt,
        string error,
        CancellationToken cancellationToken
    ) => SettleAsDue(claimed, "due_at = $4, last_error = $5", dueAt, cancellationToken, error);

    /// <inheritdoc/>
    public Task<bool> Parked(
        ClaimedEvent claimed,
        DateTimeOffset now,
        string error,
        CancellationToken cancellationToken
    ) => Settle(claimed, "due_at = NULL, parked_at = $4, last_error = $5", cancellationToken, now, error);

    /// <inheritdoc/>
    public Task<bool> HandBack(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken) =>
        SettleAsDue(claimed, "due_at = $4, attempts = attempts - 1", now, cancellationToken);

    /// <summary>Counts the events of all clients.</summary>
    public async Task<OutboxDepth> Depth(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        var events = db.Set<OutboxRow>().Where(o => o.DueAt != null);
        return new(
            await events.LongCountAsync(cancellationToken),
            await db.Set<OutboxRow>().LongCountAsync(o => o.ParkedAt != null, cancellationToken),
            await events.MinAsync(o => (DateTimeOffset?)o.CreatedAt, cancellationToken)
        );
    }

    /// <inheritdoc/>
    public async Task<int> Prune(DateTimeOffset deliveredBefore, CancellationToken cancellationToken)
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
            // The condition is repeated for an event that an operator requeues while this statement waits for its row:
            // it must stay.
            var batch = new AtomicBatch().Add(
                """
                DELETE FROM outbox WHERE client_id = $1 AND delivered_at < $2 AND payment_id IN (
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

    private async Task<bool> SettleAsDue(
        ClaimedEvent claimed,
        string change,
        DateTimeOffset dueAt,
        CancellationToken cancellationToken,
        params object?[] values
    )
    {
        var isSettled = await Settle(claimed, change, cancellationToken, [dueAt, .. values]);
        if (isSettled)
            due.Note(claimed.Payment.ClientId, dueAt);
        return isSettled;
    }

    // An instance that lost the claim must not touch the row; the due time tells, because it identifies the claim.
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
}
