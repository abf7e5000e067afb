using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Sql;

namespace CancelService.Infrastructure.Payments;

// The three changes of a payment. Each is one batch: the payment, a row of its history, and the effects of the change.
internal sealed partial class PaymentStore
{
    public Task<WriteResult> Register(
        Payment payment,
        PaymentChange change,
        string actor,
        bool despiteEarlyCancel,
        CancellationToken cancellationToken
    )
    {
        var batch = new AtomicBatch()
            .Add(
                """
                INSERT INTO payments (client_id, payment_id, kind, amount_minor_units, amount_currency, initiated_at,
                    payer, status, captured, refunded, version)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                """,
                payment.ClientId.Value,
                payment.Id.Value,
                CancelDbContext.Stored(payment.Kind),
                payment.Amount.MinorUnits,
                payment.Amount.Currency.Code,
                payment.InitiatedAt,
                payment.Payer,
                CancelDbContext.Stored(payment.Status),
                payment.Captured,
                payment.Refunded,
                change.Version
            )
            // Deletes an early cancel that has expired. A current one stays, so the INSERT fails on its primary key.
            .Add(
                """
                DELETE FROM payment_requests
                WHERE client_id = $1 AND payment_request_id = $2 AND refused_at <= $3
                """,
                payment.ClientId.Value,
                payment.RequestId.Value,
                despiteEarlyCancel ? change.At.AddYears(1) : change.At - unknown.Value.RememberFor
            )
            .Add(
                "INSERT INTO payment_requests (client_id, payment_request_id, payment_id) VALUES ($1, $2, $3)",
                payment.ClientId.Value,
                payment.RequestId.Value,
                payment.Id.Value
            );
        AddHistory(batch, payment, change, actor, null, null, null, null);
        return database.Write(batch, cancellationToken);
    }

    public Task<WriteResult> Report(
        Payment payment,
        PaymentChange change,
        string actor,
        string eventId,
        CancellationToken cancellationToken
    )
    {
        var batch = new AtomicBatch().Add(
            """
            UPDATE payments SET status = $1, captured = $2, refunded = $3, version = $4
            WHERE client_id = $5 AND payment_id = $6 AND version = $4 - 1
            """,
            CancelDbContext.Stored(payment.Status),
            payment.Captured,
            payment.Refunded,
            change.Version,
            payment.ClientId.Value,
            payment.Id.Value
        );
        AddHistory(batch, payment, change, actor, eventId, null, null, null);
        return Commit(batch, payment, change, cancellationToken);
    }

    public async Task<WriteResult> Cancel(
        Payment payment,
        PaymentChange change,
        Canceller canceller,
        byte[] answer,
        CancellationToken cancellationToken
    )
    {
        var batch = new AtomicBatch().Add(
            """
            UPDATE payments SET status = $1, version = $2, fence = CASE WHEN fence = $3 THEN fence ELSE -1 END
            WHERE client_id = $4 AND payment_id = $5 AND version = $2 - 1
            """,
            CancelDbContext.Stored(payment.Status),
            change.Version,
            payment.Fence,
            payment.ClientId.Value,
            payment.Id.Value
        );
        AddHistory(batch, payment, change, Canceller.Actor, null, canceller.KeyVersion, canceller.TraceId, answer);
        batch.AddEvent(payment.ClientId, payment.Id, change.At);
        var result = await Commit(batch, payment, change, cancellationToken);
        if (result is WriteResult.Written)
            due.Note(payment.ClientId, change.At);
        return result;
    }

    // The arbiter. For the loser of a race the UPDATE above matches no row, and this INSERT fails on the winner's key.
    // The whole batch fails with it.
    private static void AddHistory(
        AtomicBatch batch,
        Payment payment,
        PaymentChange change,
        string actor,
        string? eventId,
        int? keyVersion,
        string? traceId,
        byte[]? answer
    ) =>
        batch.Add(
            """
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                minor_units, currency, remedy, event_id, key_version, trace_id, answer)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            """,
            payment.ClientId.Value,
            payment.Id.Value,
            change.Version,
            CancelDbContext.Stored(change.Action),
            actor,
            change.At,
            change.From is { } from ? CancelDbContext.Stored(from) : null,
            CancelDbContext.Stored(change.To),
            change.Amount?.MinorUnits,
            change.Amount?.Currency.Code,
            change.Remedy is { } remedy ? CancelDbContext.Stored(remedy) : null,
            eventId,
            keyVersion,
            traceId,
            answer
        );

    // A change that moves money joins the merchant's other changes, because all of them lock the merchant's account.
    private Task<WriteResult> Commit(
        AtomicBatch batch,
        Payment payment,
        PaymentChange change,
        CancellationToken cancellationToken
    )
    {
        if (change.Transfer is not { } transfer)
            return database.Write(batch, cancellationToken);
        var row = new TransferRow
        {
            ClientId = payment.ClientId,
            TransferId = Guid.CreateVersion7(change.At),
            Debit = transfer.Debit,
            Credit = transfer.Credit,
            MinorUnits = transfer.Amount.MinorUnits,
            Currency = transfer.Amount.Currency,
            At = change.At,
            PaymentId = payment.Id,
            PaymentVersion = change.Version,
        };
        return commits.Commit(payment.ClientId, new(batch, payment.Id, row), cancellationToken);
    }
}
