using CancelService.Application.Payments;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The rows from which an aggregate is restored. Each fact is stored once, so a payment spans three tables. All joins are by
/// a unique key of one client.
/// </summary>
internal sealed class StoredPayment
{
    /// <summary>The payment.</summary>
    public required PaymentRow Row { get; init; }

    /// <summary>The merchant's identifier.</summary>
    public required PaymentRequestId RequestId { get; init; }

    /// <summary>The cancellation; null while there is none.</summary>
    public HistoryRow? Cancellation { get; init; }

    /// <summary>All payments; filter by <see cref="Row"/> or <see cref="RequestId"/>.</summary>
    public static IQueryable<StoredPayment> Of(CancelDbContext db) =>
        from row in db.Set<PaymentRow>().AsNoTracking()
        join request in db.Set<PaymentRequestRow>()
            on new { row.ClientId, PaymentId = (PaymentId?)row.PaymentId } equals new
            {
                request.ClientId,
                request.PaymentId,
            }
        join line in db.Set<HistoryRow>().Where(line => line.Action == PaymentAction.Cancel)
            on new { row.ClientId, row.PaymentId } equals new { line.ClientId, line.PaymentId }
            into lines
        from cancellation in lines.DefaultIfEmpty()
        select new StoredPayment
        {
            Row = row,
            RequestId = request.PaymentRequestId,
            Cancellation = cancellation,
        };

    /// <summary>The aggregate.</summary>
    public Payment Restore() =>
        Payment.Restore(
            Row.ClientId,
            Row.PaymentId,
            RequestId,
            Row.Kind,
            Row.Amount,
            Row.InitiatedAt,
            Row.Payer,
            Row.Status,
            Row.Captured,
            Row.Refunded,
            Row.Version,
            Row.Fence,
            Cancellation is { FromStatus: { } from, At: var at } ? new Cancellation(from, at) : null
        );
}

/// <summary>Finds payments with all that a decision takes, in one round trip.</summary>
internal sealed class PaymentFinder
{
    // Compiled once: finding a payment is the hot path, and translating the query each time cost more than running it. A
    // compiled query can't call StoredPayment.Of, so its joins are repeated here. It belongs to one database's model.
    private readonly Func<CancelDbContext, ClientId, PaymentId, IAsyncEnumerable<Found>> _byId = EF.CompileAsyncQuery(
        (CancelDbContext db, ClientId clientId, PaymentId id) =>
            from row in db.Set<PaymentRow>().AsNoTracking()
            join request in db.Set<PaymentRequestRow>()
                on new { row.ClientId, PaymentId = (PaymentId?)row.PaymentId } equals new
                {
                    request.ClientId,
                    request.PaymentId,
                }
            join line in db.Set<HistoryRow>().Where(line => line.Action == PaymentAction.Cancel)
                on new { row.ClientId, row.PaymentId } equals new { line.ClientId, line.PaymentId }
                into lines
            from cancellation in lines.DefaultIfEmpty()
            where row.ClientId == clientId && row.PaymentId == id
            select new Found
            {
                Stored = new StoredPayment
                {
                    Row = row,
                    RequestId = request.PaymentRequestId,
                    Cancellation = cancellation,
                },
                Available = db.Set<AccountRow>()
                    .Where(account => account.ClientId == clientId && account.Currency == row.Amount.Currency)
                    .Select(account => account.Balance)
                    .FirstOrDefault(),
            }
    );

    private readonly Func<CancelDbContext, ClientId, PaymentRequestId, IAsyncEnumerable<Found>> _byRequest =
        EF.CompileAsyncQuery(
            (CancelDbContext db, ClientId clientId, PaymentRequestId requestId) =>
                from row in db.Set<PaymentRow>().AsNoTracking()
                join request in db.Set<PaymentRequestRow>()
                    on new { row.ClientId, PaymentId = (PaymentId?)row.PaymentId } equals new
                    {
                        request.ClientId,
                        request.PaymentId,
                    }
                join line in db.Set<HistoryRow>().Where(line => line.Action == PaymentAction.Cancel)
                    on new { row.ClientId, row.PaymentId } equals new { line.ClientId, line.PaymentId }
                    into lines
                from cancellation in lines.DefaultIfEmpty()
                where request.ClientId == clientId && request.PaymentRequestId == requestId
                select new Found
                {
                    Stored = new StoredPayment
                    {
                        Row = row,
                        RequestId = request.PaymentRequestId,
                        Cancellation = cancellation,
                    },
                    Available = db.Set<AccountRow>()
                        .Where(account => account.ClientId == clientId && account.Currency == row.Amount.Currency)
                        .Select(account => account.Balance)
                        .FirstOrDefault(),
                }
        );

    /// <summary>Finds a payment by the wallet's identifier, with all that a decision takes.</summary>
    public async Task<FoundPayment?> Find(
        CancelDbContext db,
        ClientId clientId,
        PaymentId id,
        CancellationToken cancellationToken
    ) => (await _byId(db, clientId, id).FirstOrDefaultAsync(cancellationToken))?.Restore();

    /// <summary>Finds a payment by the merchant's identifier, with all that a decision takes.</summary>
    public async Task<FoundPayment?> Find(
        CancelDbContext db,
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    ) => (await _byRequest(db, clientId, requestId).FirstOrDefaultAsync(cancellationToken))?.Restore();

    /// <summary>A payment with the merchant's balance in its currency.</summary>
    private sealed class Found
    {
        public required StoredPayment Stored { get; init; }

        public required long Available { get; init; }

        public FoundPayment Restore() => new(Stored.Restore(), Available, Stored.Cancellation?.Answer);
    }
}
