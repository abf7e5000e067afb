using System.Linq.Expressions;
using CancelService.Application.Payments;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Query;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The rows of an aggregate. Each fact is stored once, so a payment spans three tables. Every join uses a unique key
/// within one client.
/// </summary>
internal sealed class StoredPayment
{
    /// <summary>The row of the table <c>payments</c>.</summary>
    public required PaymentRow Row { get; init; }

    /// <summary>The merchant's paymentRequestId.</summary>
    public required PaymentRequestId RequestId { get; init; }

    /// <summary>The history row of the cancellation; null for a payment that is not cancelled.</summary>
    public HistoryRow? Cancellation { get; init; }

    /// <summary>
    /// The query for a client's payments, as a part of other queries. It filters each table by the client although the
    /// joins imply it, because Citus does not infer the filter from parameters and would ask every shard.
    /// </summary>
    public static readonly Expression<Func<CancelDbContext, ClientId, IQueryable<StoredPayment>>> OfClient = (
        db,
        clientId
    ) =>
        from row in db.Set<PaymentRow>().AsNoTracking().Where(row => row.ClientId == clientId)
        join request in db.Set<PaymentRequestRow>().Where(request => request.ClientId == clientId)
            on new { row.ClientId, PaymentId = (PaymentId?)row.PaymentId } equals new
            {
                request.ClientId,
                request.PaymentId,
            }
        join line in db.Set<HistoryRow>()
            .Where(line => line.ClientId == clientId && line.Action == PaymentAction.Cancel)
            on new { row.ClientId, row.PaymentId } equals new { line.ClientId, line.PaymentId }
            into lines
        from cancellation in lines.DefaultIfEmpty()
        select new StoredPayment
        {
            Row = row,
            RequestId = request.PaymentRequestId,
            Cancellation = cancellation,
        };

    private static readonly Func<CancelDbContext, ClientId, IQueryable<StoredPayment>> Query = OfClient.Compile();

    /// <summary>Queries a client's payments. Callers filter by <see cref="Row"/> or <see cref="RequestId"/>.</summary>
    public static IQueryable<StoredPayment> Of(CancelDbContext db, ClientId clientId) => Query(db, clientId);

    /// <summary>
    /// Compiles a query for a client's payments with additional data. Callers keep it, because translating a query
    /// costs more than running it. A compiled query is bound to one database's model, so each store has its own.
    /// </summary>
    /// <param name="which">Selects the payments by an identifier.</param>
    /// <param name="more">Adds data to each payment in the same round trip.</param>
    public static Func<CancelDbContext, ClientId, TId, IAsyncEnumerable<TFound>> Compiled<TId, TFound>(
        Expression<Func<IQueryable<StoredPayment>, TId, IQueryable<StoredPayment>>> which,
        Expression<Func<CancelDbContext, ClientId, IQueryable<StoredPayment>, IQueryable<TFound>>> more
    )
    {
        var (db, clientId) = (OfClient.Parameters[0], OfClient.Parameters[1]);
        var chosen = ReplacingExpressionVisitor.Replace(which.Parameters[0], OfClient.Body, which.Body);
        var found = new ReplacingExpressionVisitor(more.Parameters, [db, clientId, chosen]).Visit(more.Body);
        return EF.CompileAsyncQuery(
            Expression.Lambda<Func<CancelDbContext, ClientId, TId, IQueryable<TFound>>>(
                found,
                db,
                clientId,
                which.Parameters[1]
            )
        );
    }

    /// <summary>Restores the aggregate.</summary>
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

/// <summary>Finds a payment with everything that a decision needs, in one round trip.</summary>
internal sealed class PaymentFinder
{
    private static readonly Expression<
        Func<CancelDbContext, ClientId, IQueryable<StoredPayment>, IQueryable<Found>>
    > WithBalance = (db, clientId, payments) =>
        payments.Select(payment => new Found
        {
            Stored = payment,
            Available = db.Set<AccountRow>()
                .Where(account => account.ClientId == clientId && account.Currency == payment.Row.Amount.Currency)
                .Select(account => account.Balance)
                .FirstOrDefault(),
        });

    private readonly Func<CancelDbContext, ClientId, PaymentId, IAsyncEnumerable<Found>> _byId = Compiled<PaymentId>(
        (payments, id) => payments.Where(p => p.Row.PaymentId == id)
    );

    private readonly Func<CancelDbContext, ClientId, PaymentRequestId, IAsyncEnumerable<Found>> _byRequest =
        Compiled<PaymentRequestId>((payments, requestId) => payments.Where(p => p.RequestId == requestId));

    private static Func<CancelDbContext, ClientId, TId, IAsyncEnumerable<Found>> Compiled<TId>(
        Expression<Func<IQueryable<StoredPayment>, TId, IQueryable<StoredPayment>>> which
    ) => StoredPayment.Compiled(which, WithBalance);

    /// <summary>Finds a payment by the wallet's paymentId.</summary>
    public async Task<FoundPayment?> Find(
        CancelDbContext db,
        ClientId clientId,
        PaymentId id,
        CancellationToken cancellationToken
    ) => (await _byId(db, clientId, id).FirstOrDefaultAsync(cancellationToken))?.Restore();

    /// <summary>Finds a payment by the merchant's paymentRequestId.</summary>
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
