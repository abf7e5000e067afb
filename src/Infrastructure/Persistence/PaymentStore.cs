using System.Linq.Expressions;
using CancelService.Application;
using CancelService.Domain;
using CancelService.Domain.Payments;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// The payments in the database: one round trip to find one with all that a decision takes, one to write all that a
/// change brings.
/// </summary>
internal sealed class PaymentStore(Database database) : IPayments
{
    public Task<FoundPayment?> Find(ClientId clientId, PaymentId id, CancellationToken cancellationToken) =>
        Find(p => p.ClientId == clientId && p.Id == id, cancellationToken);

    public Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    ) => Find(p => p.ClientId == clientId && p.RequestId == requestId, cancellationToken);

    private async Task<FoundPayment?> Find(Expression<Func<Payment, bool>> which, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await db
            .Payments.AsNoTracking()
            .Include(p => p.Cancellation)
            .Where(which)
            .Select(p => new FoundPayment(
                p,
                db.Accounts.Where(a => a.ClientId == p.ClientId && a.Currency == p.Amount.Currency)
                    .Select(a => a.Balance)
                    .FirstOrDefault(),
                EF.Property<byte[]?>(p.Cancellation!, "Answer")
            ))
            .FirstOrDefaultAsync(cancellationToken);
    }

    public async Task<bool> Commit(PaymentWrite write, CancellationToken cancellationToken)
    {
        var (payment, change) = (write.Payment, write.Change);
        var (client, id, now) = (payment.ClientId.Value, payment.Id.Value, change.At);
        var batch = new AtomicBatch();

        if (change.Version == 1)
            batch.Add(
                """
                INSERT INTO payments (client_id, payment_id, payment_request_id, kind, amount_minor_units,
                    amount_currency, initiated_at, status, captured, refunded, version)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                """,
                client,
                id,
                payment.RequestId.Value,
                CancelDbContext.Stored(payment.Kind),
                payment.Amount.MinorUnits,
                payment.Amount.Currency.Code,
                payment.InitiatedAt,
                CancelDbContext.Stored(payment.Status),
                payment.Captured,
                payment.Refunded,
                change.Version
            );
        else
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

        // The arbiter. Where another writer was first, the update above found no row of the version that was read, and
        // the winner's line of the history stands in the way of this one: the key refuses it, and with it the batch.
        batch.Add(
            """
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                minor_units, remedy)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
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
            change.Remedy is { } remedy ? CancelDbContext.Stored(remedy) : null
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
                "INSERT INTO outbox (client_id, payment_id, event_id, created_at) VALUES ($1, $2, $3, $4)",
                client,
                id,
                Guid.CreateVersion7(now),
                now
            );
        }

        LedgerStatements.Add(batch, payment.ClientId, Guid.CreateVersion7(now), change.Entries, now, payment.Id);

        await using var db = database.CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        return await batch.Execute(db.Database.GetDbConnection(), cancellationToken);
    }
}
