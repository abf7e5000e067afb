using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Reading;

/// <summary>The current state of a payment.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="PaymentId">The wallet's identifier.</param>
/// <param name="PaymentRequestId">The merchant's identifier.</param>
/// <param name="Kind">PAYMENT takes the money at once; AUTHORIZATION holds it first.</param>
/// <param name="Status">The payment's status.</param>
/// <param name="Amount">The full amount, in minor units of its currency.</param>
/// <param name="Captured">The amount captured so far, in minor units of the payment's currency.</param>
/// <param name="Refunded">The amount that the core refunded so far, in minor units; a cancel is not counted.</param>
/// <param name="InitiatedAt">The time of the initiation (UTC), from which the cancel window counts.</param>
/// <param name="Payer">The core's name for the payer; null when the core gave none.</param>
/// <param name="Version">The number of changes so far, the registration included.</param>
/// <param name="Cancellation">The cancellation; null while the payment is not cancelled.</param>
public sealed record PaymentView(
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    PaymentKind Kind,
    PaymentStatus Status,
    MoneyView Amount,
    long Captured,
    long Refunded,
    DateTimeOffset InitiatedAt,
    string? Payer,
    int Version,
    CancellationView? Cancellation
)
{
    /// <summary>Converts a payment.</summary>
    public static PaymentView Of(Payment payment)
    {
        ArgumentNullException.ThrowIfNull(payment);
        return new(
            payment.ClientId.Value,
            payment.Id.Value,
            payment.RequestId.Value,
            payment.Kind,
            payment.Status,
            MoneyView.Of(payment.Amount),
            payment.Captured,
            payment.Refunded,
            payment.InitiatedAt,
            payment.Payer,
            payment.Version,
            payment.Cancellation is { } c ? new CancellationView(c.Effect, c.CancelledAt) : null
        );
    }
}

/// <summary>The cancellation of a payment.</summary>
/// <param name="Effect">The effect of the cancel on the payment.</param>
/// <param name="CancelTime">The time of the cancel (UTC).</param>
public sealed record CancellationView(CancelEffect Effect, DateTimeOffset CancelTime);

/// <summary>A payment with its history, transfers, refused cancels and event.</summary>
/// <param name="Payment">The current state of the payment.</param>
/// <param name="History">Every change of the payment, oldest first.</param>
/// <param name="Transfers">The movements of money that the payment caused, oldest first.</param>
/// <param name="RefusedCancels">The refused cancels of the payment, newest first, at most 100.</param>
/// <param name="Notification">
/// The event to the core; null before a cancel, or once a delivered event is deleted.
/// </param>
public sealed record PaymentDetailView(
    PaymentView Payment,
    IReadOnlyList<HistoryView> History,
    IReadOnlyList<TransferView> Transfers,
    IReadOnlyList<RefusedCancelView> RefusedCancels,
    NotificationView? Notification
);

/// <summary>
/// Equal refused cancels: the same identifiers and the same result code. They appear within seconds; the oldest are
/// evicted.
/// </summary>
/// <param name="PaymentId">The paymentId of the requests; empty when they had none.</param>
/// <param name="PaymentRequestId">The paymentRequestId of the requests; empty when they had none.</param>
/// <param name="Code">The resultCode of the answers.</param>
/// <param name="Times">The number of refused cancels.</param>
/// <param name="FirstAt">The time of the first (UTC).</param>
/// <param name="LastAt">The time of the last (UTC).</param>
/// <param name="KeyVersion">The version of the key that signed the last request.</param>
/// <param name="TraceId">The trace of the last request, as in the log.</param>
public sealed record RefusedCancelView(
    string PaymentId,
    string PaymentRequestId,
    string Code,
    int Times,
    DateTimeOffset FirstAt,
    DateTimeOffset LastAt,
    int KeyVersion,
    string TraceId
);

/// <summary>A change of a payment: a line of its history.</summary>
/// <param name="Version">The payment's version after the change, from 1.</param>
/// <param name="Action">The action.</param>
/// <param name="Actor">The actor: merchant for a cancel, otherwise the subject of the caller's token.</param>
/// <param name="At">The time of the change (UTC).</param>
/// <param name="From">The status before; null for the registration.</param>
/// <param name="To">The status after; unchanged by a late report.</param>
/// <param name="Amount">
/// The amount of the action, in minor units of its currency; null for an action without one.
/// </param>
/// <param name="EventId">The core's identifier of the report; null for a registration or a cancel.</param>
/// <param name="Remedy">The remedy of a late report; null for other changes.</param>
/// <param name="KeyVersion">The version of the key that signed the cancel; null for other changes.</param>
/// <param name="TraceId">The trace of the cancel's request, as in the log; null for other changes.</param>
public sealed record HistoryView(
    int Version,
    PaymentAction Action,
    string Actor,
    DateTimeOffset At,
    PaymentStatus? From,
    PaymentStatus To,
    MoneyView? Amount,
    string? EventId,
    Remedy? Remedy,
    int? KeyVersion,
    string? TraceId
);

/// <summary>A cancelled payment, for its event.</summary>
/// <param name="Payment">The payment, with its cancellation.</param>
/// <param name="TraceId">The trace of the cancel's request, as in the log and the history; may be empty.</param>
public sealed record CancelledPayment(Payment Payment, string TraceId);

/// <summary>Reads payments for the core and for operators.</summary>
public interface IPaymentQueries
{
    /// <summary>Reads a payment with its details in one snapshot; null when the client has no such payment.</summary>
    Task<PaymentDetailView?> Payment(ClientId clientId, PaymentId paymentId, CancellationToken cancellationToken);

    /// <summary>Reads cancelled payments of a client for their events. Their contents never change.</summary>
    Task<IReadOnlyDictionary<PaymentId, CancelledPayment>> Cancelled(
        ClientId clientId,
        IReadOnlyList<PaymentId> paymentIds,
        CancellationToken cancellationToken
    );

    /// <summary>The most refused cancels in <see cref="PaymentDetailView"/>.</summary>
    public const int MaxRefused = 100;

    /// <summary>The most payments that <see cref="Payments"/> finds.</summary>
    public const int MaxFound = 100;

    /// <summary>
    /// Finds payments of all clients by paymentId or paymentRequestId, in the order of the clients, at most
    /// <see cref="MaxFound"/>. Costs one look-up by key for each client.
    /// </summary>
    Task<IReadOnlyList<PaymentView>> Payments(string id, CancellationToken cancellationToken);

    /// <summary>
    /// Finds the paymentId that belongs to a paymentRequestId; null when the client has no such payment.
    /// </summary>
    Task<PaymentId?> PaymentIdOf(ClientId clientId, PaymentRequestId requestId, CancellationToken cancellationToken);
}
