using System.Linq.Expressions;
using CancelService.Application.Inquiring;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Payments;

/// <summary>Reads a payment for an inquiry in one round trip. Every payment that is found passes the barrier.</summary>
internal sealed class Inquiries(Database database) : IInquiries
{
    private static readonly Expression<
        Func<CancelDbContext, ClientId, IQueryable<StoredPayment>, IQueryable<Inquired>>
    > WithSuccess = (db, clientId, payments) =>
        payments.Select(payment => new Inquired
        {
            Stored = payment,
            SucceededAt = db.Set<HistoryRow>()
                .Where(h =>
                    h.ClientId == clientId
                    && h.PaymentId == payment.Row.PaymentId
                    && h.FromStatus == PaymentStatus.Processing
                    && (h.ToStatus == PaymentStatus.Authorized || h.ToStatus == PaymentStatus.Success)
                )
                .Select(h => (DateTimeOffset?)h.At)
                .FirstOrDefault(),
        });

    private readonly Func<CancelDbContext, ClientId, PaymentId, IAsyncEnumerable<Inquired>> _byId = Compiled<PaymentId>(
        (payments, id) => payments.Where(p => p.Row.PaymentId == id)
    );

    private readonly Func<CancelDbContext, ClientId, PaymentRequestId, IAsyncEnumerable<Inquired>> _byRequest =
        Compiled<PaymentRequestId>((payments, requestId) => payments.Where(p => p.RequestId == requestId));

    public Task<InquiredPayment?> Find(ClientId clientId, PaymentId id, CancellationToken cancellationToken) =>
        Read(db => _byId(db, clientId, id), cancellationToken);

    public Task<InquiredPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    ) => Read(db => _byRequest(db, clientId, requestId), cancellationToken);

    // An inquiry tells every state, so a failover must not take back the payment that was read.
    private Task<InquiredPayment?> Read(
        Func<CancelDbContext, IAsyncEnumerable<Inquired>> query,
        CancellationToken cancellationToken
    ) =>
        database.Read(
            async db =>
                await query(db).FirstOrDefaultAsync(cancellationToken) is { } found
                    ? new InquiredPayment(found.Stored.Restore(), found.SucceededAt)
                    : null,
            found => found is not null,
            cancellationToken
        );

    private static Func<CancelDbContext, ClientId, TId, IAsyncEnumerable<Inquired>> Compiled<TId>(
        Expression<Func<IQueryable<StoredPayment>, TId, IQueryable<StoredPayment>>> which
    ) => StoredPayment.Compiled(which, WithSuccess);

    /// <summary>A payment with the time of its success.</summary>
    private sealed class Inquired
    {
        public required StoredPayment Stored { get; init; }

        public required DateTimeOffset? SucceededAt { get; init; }
    }
}
