using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// Stores the payments: one round trip reads everything that a decision needs, and one writes everything that a change
/// brings.
/// </summary>
internal sealed partial class PaymentStore(
    Database database,
    GroupCommit commits,
    DueClients due,
    IOptions<UnknownPaymentsOptions> unknown
) : IPayments
{
    private readonly PaymentFinder _finder = new();

    // Compiled once, because translating the query costs more than running it.
    private readonly Func<
        CancelDbContext,
        ClientId,
        PaymentId,
        string,
        CancellationToken,
        Task<RecordedReport?>
    > _findReport = EF.CompileAsyncQuery(
        (CancelDbContext db, ClientId clientId, PaymentId id, string eventId, CancellationToken cancellationToken) =>
            db.Set<HistoryRow>()
                .Where(h => h.ClientId == clientId && h.PaymentId == id && h.EventId == eventId)
                .Select(h => new RecordedReport(
                    h.Action,
                    h.MinorUnits == null ? null : new Money(h.MinorUnits.Value, h.Currency!.Value),
                    h.Remedy
                ))
                .SingleOrDefault()
    );

    public Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentId id,
        Telling telling,
        CancellationToken cancellationToken
    ) =>
        database.Read(
            db => _finder.Find(db, clientId, id, cancellationToken),
            found => IsTold(found, telling),
            cancellationToken
        );

    public Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        Telling telling,
        CancellationToken cancellationToken
    ) =>
        database.Read(
            db => _finder.Find(db, clientId, requestId, cancellationToken),
            found => IsTold(found, telling),
            cancellationToken
        );

    private static bool IsTold(FoundPayment? found, Telling telling) =>
        found is not null
        && telling switch
        {
            Telling.Cancellation => found.Payment.Cancellation is not null,
            Telling.Anything => true,
        };

    public Task<RecordedReport?> FindReport(
        ClientId clientId,
        PaymentId id,
        string eventId,
        CancellationToken cancellationToken
    ) =>
        database.Read(
            db => _findReport(db, clientId, id, eventId, cancellationToken),
            recorded => recorded is not null,
            cancellationToken
        );

    public Task<EarlierRegistration?> FindRegistration(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    ) =>
        database.Read(
            db => FindRegistration(db, clientId, id, requestId, now, cancellationToken),
            found => found is EarlierRegistration.Known,
            cancellationToken
        );

    private async Task<EarlierRegistration?> FindRegistration(
        CancelDbContext db,
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        var known = await StoredPayment
            .Of(db, clientId)
            .Where(p => p.Row.PaymentId == id || p.RequestId == requestId)
            .OrderBy(p => p.Row.PaymentId == id ? 0 : 1)
            .FirstOrDefaultAsync(cancellationToken);
        if (known is not null)
            return new EarlierRegistration.Known(known.Restore());
        var since = now - unknown.Value.RememberFor;
        var refusedAt = await db.Set<PaymentRequestRow>()
            .Where(r => r.ClientId == clientId && r.PaymentRequestId == requestId && r.RefusedAt > since)
            .Select(r => r.RefusedAt)
            .SingleOrDefaultAsync(cancellationToken);
        return refusedAt is { } at ? new EarlierRegistration.EarlyCancel(at) : null;
    }

    public async Task<WriteResult> RememberEarlyCancel(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        // The key arbitrates: the upsert renews an early cancel, and leaves a payment alone.
        var remembered = await database.Write(
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
        if (remembered is not WriteResult.Written)
            return remembered;

        // Evict the client's oldest early cancels beyond the limit.
        await database.Rows(
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
        return remembered;
    }

    // Every write changes the payment's row first and locks it until its commit, so this statement waits for the writes
    // that have reached the database. A later cancel finds another fence than it has read, and is refused.
    public Task<WriteResult> Fence(Payment payment, CancellationToken cancellationToken) =>
        database.Write(
            new AtomicBatch().Add(
                """
                UPDATE payments SET fence = fence + 1
                WHERE client_id = $1 AND payment_id = $2 AND version = $3
                """,
                payment.ClientId.Value,
                payment.Id.Value,
                payment.Version
            ),
            cancellationToken
        );
}
