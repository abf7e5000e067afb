using CancelService.Application.Payments;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The payments in the database: one round trip to find one with all that a decision takes, one to write all that a
/// change brings.
/// </summary>
internal sealed class PaymentStore(Database database, GroupCommit commits, IOptions<UnknownPaymentsOptions> unknown)
    : IPayments
{
    private readonly WritesUnderWay _underWay = new();

    // Compiled once: finding a payment is the hot path, and translating the query each time cost more than running it.
    private readonly Func<CancelDbContext, ClientId, PaymentId, IAsyncEnumerable<FoundPayment>> _findById =
        EF.CompileAsyncQuery(
            (CancelDbContext db, ClientId clientId, PaymentId id) =>
                db
                    .Payments.AsNoTracking()
                    .Include(p => p.Cancellation)
                    .Where(p => p.ClientId == clientId && p.Id == id)
                    .Select(p => new FoundPayment(
                        p,
                        db.Accounts.Where(a => a.ClientId == clientId && a.Currency == p.Amount.Currency)
                            .Select(a => a.Balance)
                            .FirstOrDefault(),
                        EF.Property<byte[]?>(p.Cancellation!, "Answer")
                    ))
        );

    private readonly Func<CancelDbContext, ClientId, PaymentRequestId, IAsyncEnumerable<FoundPayment>> _findByRequest =
        EF.CompileAsyncQuery(
            (CancelDbContext db, ClientId clientId, PaymentRequestId requestId) =>
                db
                    .Payments.AsNoTracking()
                    .Include(p => p.Cancellation)
                    .Where(p => p.ClientId == clientId && p.RequestId == requestId)
                    .Select(p => new FoundPayment(
                        p,
                        db.Accounts.Where(a => a.ClientId == clientId && a.Currency == p.Amount.Currency)
                            .Select(a => a.Balance)
                            .FirstOrDefault(),
                        EF.Property<byte[]?>(p.Cancellation!, "Answer")
                    ))
        );

    private readonly Func<
        CancelDbContext,
        ClientId,
        PaymentId,
        string,
        CancellationToken,
        Task<RecordedEvent?>
    > _findEvent = EF.CompileAsyncQuery(
        (CancelDbContext db, ClientId clientId, PaymentId id, string eventId, CancellationToken cancellationToken) =>
            db
                .History.Where(h => h.ClientId == clientId && h.PaymentId == id && h.EventId == eventId)
                .Select(h => new RecordedEvent(h.Action, h.MinorUnits, h.Remedy))
                .SingleOrDefault()
    );

    public async Task<FoundPayment?> Find(ClientId clientId, PaymentId id, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await _findById(db, clientId, id).FirstOrDefaultAsync(cancellationToken);
    }

    public async Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        return await _findByRequest(db, clientId, requestId).FirstOrDefaultAsync(cancellationToken);
    }

    public async Task<RecordedEvent?> FindEvent(
        ClientId clientId,
        PaymentId id,
        string eventId,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        return await _findEvent(db, clientId, id, eventId, cancellationToken);
    }

    public async Task<EarlierRegistration?> FindRegistration(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var payment = await db
            .Payments.AsNoTracking()
            .Include(p => p.Cancellation)
            .Where(p => p.ClientId == clientId && (p.Id == id || p.RequestId == requestId))
            .OrderBy(p => p.Id == id ? 0 : 1)
            .FirstOrDefaultAsync(cancellationToken);
        if (payment is not null)
            return new EarlierRegistration(payment, null);

        var since = now - unknown.Value.RememberFor;
        var refusedAt = await db
            .PaymentRequests.Where(r =>
                r.ClientId == clientId && r.PaymentRequestId == requestId && r.RefusedAt > since
            )
            .Select(r => r.RefusedAt)
            .SingleOrDefaultAsync(cancellationToken);
        return refusedAt is null ? null : new EarlierRegistration(null, refusedAt);
    }

    public async Task<bool> RememberUnknown(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        // One statement, which the key arbitrates: a refusal is renewed, a payment is left alone.
        var remembered = await database.Execute(
            new AtomicBatch().Add(
                """
                INSERT INTO payment_requests (client_id, payment_request_id, refused_at) VALUES ($1, $2, $3)
                ON CONFLICT (client_id, payment_request_id) DO UPDATE SET refused_at = excluded.refused_at
                WHERE payment_requests.payment_id IS NULL
                """,
                clientId.Value,
                requestId.Value,
                now
            ),
            cancellationToken
        );
        if (remembered is not 1)
            return false;

        // Bounded in number: the oldest refusals of the client make room.
        await database.Execute(
            new AtomicBatch().Add(
                """
                DELETE FROM payment_requests
                WHERE client_id = $1 AND refused_at < (
                    SELECT refused_at FROM payment_requests
                    WHERE client_id = $1 AND refused_at IS NOT NULL
                    ORDER BY refused_at DESC LIMIT 1 OFFSET $2)
                """,
                clientId.Value,
                unknown.Value.MaxPerClient - 1
            ),
            cancellationToken
        );
        return true;
    }

    public async Task<bool> AwaitEarlierWrites(Payment payment, CancellationToken cancellationToken)
    {
        // First those that this instance has not sent yet.
        await _underWay.Ended(payment.ClientId, payment.Id).WaitAsync(cancellationToken);

        // Then those that the database has: each holds the payment's row until it has ended, and this statement, which
        // changes nothing, waits for the row. It fails when that takes longer than Database:Timeout.
        var unchanged = await database.Execute(
            new AtomicBatch().Add(
                """
                UPDATE payments SET version = version
                WHERE client_id = $1 AND payment_id = $2 AND version = $3
                """,
                payment.ClientId.Value,
                payment.Id.Value,
                payment.Version
            ),
            cancellationToken
        );
        return unchanged is 1;
    }

    public Task<bool> Commit(PaymentWrite write, CancellationToken cancellationToken) =>
        _underWay.Track(write.Payment.ClientId, write.Payment.Id, () => Write(write, cancellationToken));

    private async Task<bool> Write(PaymentWrite write, CancellationToken cancellationToken)
    {
        var (payment, change) = (write.Payment, write.Change);
        var (client, id, now) = (payment.ClientId.Value, payment.Id.Value, change.At);
        var batch = new AtomicBatch();

        if (change.Version == 1)
        {
            batch.Add(
                """
                INSERT INTO payments (client_id, payment_id, payment_request_id, kind, amount_minor_units,
                    amount_currency, initiated_at, payer, status, captured, refunded, version)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                """,
                client,
                id,
                payment.RequestId.Value,
                CancelDbContext.Stored(payment.Kind),
                payment.Amount.MinorUnits,
                payment.Amount.Currency.Code,
                payment.InitiatedAt,
                payment.Payer,
                CancelDbContext.Stored(payment.Status),
                payment.Captured,
                payment.Refunded,
                change.Version
            );
            // A refusal whose time is over makes room; one that still holds stands in the way, and the key decides.
            batch.Add(
                """
                DELETE FROM payment_requests
                WHERE client_id = $1 AND payment_request_id = $2 AND refused_at <= $3
                """,
                client,
                payment.RequestId.Value,
                write.DespiteRefusal ? now.AddYears(1) : now - unknown.Value.RememberFor
            );
            batch.Add(
                "INSERT INTO payment_requests (client_id, payment_request_id, payment_id) VALUES ($1, $2, $3)",
                client,
                payment.RequestId.Value,
                id
            );
        }
        else
        {
            batch.Add(
                """
                UPDATE payments SET status = $1, captured = $2, refunded = $3, version = $4
                WHERE client_id = $5 AND payment_id = $6 AND version = $4 - 1
                """,
                CancelDbContext.Stored(payment.Status),
                payment.Captured,
                payment.Refunded,
                change.Version,
                client,
                id
            );
        }

        // The arbiter. Where another writer was first, the update above found no row of the version that was read, and
        // the winner's line of the history stands in the way of this one: the key refuses it, and with it the batch.
        batch.Add(
            """
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                minor_units, remedy, event_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            client,
            id,
            change.Version,
            CancelDbContext.Stored(change.Action),
            write.Actor,
            now,
            change.From is { } from ? CancelDbContext.Stored(from) : null,
            CancelDbContext.Stored(change.To),
            change.Amount?.MinorUnits,
            change.Remedy is { } remedy ? CancelDbContext.Stored(remedy) : null,
            write.EventId
        );

        if (change.Action is PaymentAction.Cancel)
        {
            batch.Add(
                "INSERT INTO cancellations (client_id, payment_id, effect, cancelled_at, answer) VALUES ($1, $2, $3, $4, $5)",
                client,
                id,
                CancelDbContext.Stored(payment.Cancellation!.Effect),
                payment.Cancellation.CancelledAt,
                write.Answer
            );
            batch.Add(
                "INSERT INTO outbox (client_id, payment_id, event_id, created_at, due_at, attempts) VALUES ($1, $2, $3, $4, $4, 0)",
                client,
                id,
                Guid.CreateVersion7(now),
                now
            );
        }

        if (change.Entries is [])
            return await database.Execute(batch, cancellationToken) is not null;

        var posting = new Posting(Guid.CreateVersion7(now), change.Entries, now, payment.Id);
        return await commits.Commit(payment.ClientId, new(batch, payment.Id, posting), cancellationToken);
    }
}
