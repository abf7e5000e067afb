using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Payments;

/// <summary>Reads payments by plain queries that bypass the domain.</summary>
internal sealed class PaymentQueries(Database database) : IPaymentQueries
{
    public Task<PaymentDetailView?> Payment(
        ClientId clientId,
        PaymentId paymentId,
        CancellationToken cancellationToken
    ) => database.Read(db => Read(db, clientId, paymentId, cancellationToken), cancellationToken);

    private static async Task<PaymentDetailView?> Read(
        CancelDbContext db,
        ClientId clientId,
        PaymentId paymentId,
        CancellationToken cancellationToken
    )
    {
        // One snapshot keeps payment and history consistent.
        await db.Database.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await Database.Snapshot(db.Database.GetDbConnection(), cancellationToken);
        await db.Database.UseTransactionAsync(snapshot, cancellationToken);
        var payment = await StoredPayment
            .Of(db, clientId)
            .SingleOrDefaultAsync(p => p.Row.PaymentId == paymentId, cancellationToken);
        if (payment is null)
            return null;
        var history = await db.Set<HistoryRow>()
            .Where(h => h.ClientId == clientId && h.PaymentId == paymentId)
            .OrderBy(h => h.Version)
            .Select(h => new HistoryView(
                h.Version,
                h.Action,
                h.Actor,
                h.At,
                h.FromStatus,
                h.ToStatus,
                h.MinorUnits == null ? null : new MoneyView(h.MinorUnits.Value, h.Currency!.Value.Code),
                h.EventId,
                h.Remedy,
                h.KeyVersion,
                h.TraceId
            ))
            .ToListAsync(cancellationToken);
        var transfers = await db.Set<TransferRow>()
            .AsNoTracking()
            .Where(t => t.ClientId == clientId && t.PaymentId == paymentId)
            .OrderBy(t => t.PaymentVersion)
            .ToListAsync(cancellationToken);
        var requestId = payment.RequestId.Value;
        var refused = await db.Set<RefusedCancelRow>()
            .Where(r => r.ClientId == clientId && (r.PaymentId == paymentId.Value || r.PaymentRequestId == requestId))
            .OrderByDescending(r => r.LastAt)
            .Take(IPaymentQueries.MaxRefused)
            .Select(r => new RefusedCancelView(
                r.PaymentId,
                r.PaymentRequestId,
                r.Code,
                r.Times,
                r.FirstAt,
                r.LastAt,
                r.KeyVersion,
                r.TraceId
            ))
            .ToListAsync(cancellationToken);
        var notification = await db.Set<OutboxRow>()
            .AsNoTracking()
            .SingleOrDefaultAsync(o => o.ClientId == clientId && o.PaymentId == paymentId, cancellationToken);
        return new(
            PaymentView.Of(payment.Restore()),
            history,
            transfers.ConvertAll(AccountQueries.View),
            refused,
            notification is null ? null : Outbox.View(notification)
        );
    }

    public async Task<IReadOnlyDictionary<PaymentId, CancelledPayment>> Cancelled(
        ClientId clientId,
        IReadOnlyList<PaymentId> paymentIds,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var stored = await StoredPayment
            .Of(db, clientId)
            .Where(p => paymentIds.Contains(p.Row.PaymentId))
            .ToListAsync(cancellationToken);
        return stored.ToDictionary(
            p => p.Row.PaymentId,
            p => new CancelledPayment(p.Restore(), p.Cancellation?.TraceId ?? "")
        );
    }

    public async Task<IReadOnlyList<PaymentView>> Payments(string id, CancellationToken cancellationToken)
    {
        var found = await database.Read(
            async db =>
            {
                // Start from the clients, so that each look-up uses a key, and every key begins with the client.
                var keys = await db
                    .Database.SqlQuery<Key>(
                        $"""
                        SELECT p.client_id AS client_id, p.payment_id AS payment_id FROM clients c
                        JOIN payments p ON p.client_id = c.client_id AND p.payment_id = {id}
                        UNION
                        SELECT r.client_id, r.payment_id FROM clients c
                        JOIN payment_requests r ON r.client_id = c.client_id AND r.payment_request_id = {id}
                        WHERE r.payment_id IS NOT NULL
                        ORDER BY client_id, payment_id LIMIT {IPaymentQueries.MaxFound}
                        """
                    )
                    .ToListAsync(cancellationToken);
                var payments = new List<StoredPayment>();
                foreach (var key in keys)
                {
                    var paymentId = new PaymentId(key.PaymentId);
                    payments.AddRange(
                        await StoredPayment
                            .Of(db, new ClientId(key.ClientId))
                            .Where(p => p.Row.PaymentId == paymentId)
                            .ToListAsync(cancellationToken)
                    );
                }
                return payments;
            },
            cancellationToken
        );
        return found.ConvertAll(payment => PaymentView.Of(payment.Restore()));
    }

    public Task<PaymentId?> PaymentIdOf(
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    ) =>
        database.Read(
            db =>
                db.Set<PaymentRequestRow>()
                    .Where(r => r.ClientId == clientId && r.PaymentRequestId == requestId)
                    .Select(r => r.PaymentId)
                    .SingleOrDefaultAsync(cancellationToken),
            cancellationToken
        );

    private sealed class Key
    {
        public required string ClientId { get; init; }

        public required string PaymentId { get; init; }
    }
}
