using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Reading;

/// <summary>A payment as it stands. Amounts are minor units of the payment's currency, times are UTC.</summary>
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
    /// <summary>The view of a payment.</summary>
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

/// <summary>What a cancel did, and when (UTC).</summary>
public sealed record CancellationView(CancelEffect Effect, DateTimeOffset CancelTime);

/// <summary>
/// A payment with all that happened to it: its history, its money, the cancels of it that were refused (the newest first, at
/// most <see cref="IPaymentQueries.MaxRefused"/>), and the core's notification, null while there is none.
/// </summary>
public sealed record PaymentDetailView(
    PaymentView Payment,
    IReadOnlyList<HistoryView> History,
    IReadOnlyList<TransferView> Transfers,
    IReadOnlyList<RefusedCancelView> RefusedCancels,
    NotificationView? Notification
);

/// <summary>
/// Equal cancels that were answered with anything but S: how many, the first and the last (UTC). Key and trace are the last
/// one's. What a cancel did not name is empty. They are kept beside the payment, within seconds, and the oldest go.
/// </summary>
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

/// <summary>
/// A line of a payment's history; one with a remedy is a late report. A cancellation has the version of the merchant's key and
/// the trace of its request, as in the log.
/// </summary>
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

/// <summary>A cancelled payment, as its event tells of it.</summary>
/// <param name="Payment">The payment, with its cancellation.</param>
/// <param name="TraceId">The trace of the request that cancelled it, as in the log and in the history; may be empty.</param>
public sealed record CancelledPayment(Payment Payment, string TraceId);

/// <summary>Reads payments for the core and for operators.</summary>
public interface IPaymentQueries
{
    /// <summary>A payment with its history and transfers, at one instant; null when the client has none such.</summary>
    Task<PaymentDetailView?> Payment(ClientId clientId, PaymentId paymentId, CancellationToken cancellationToken);

    /// <summary>Some cancelled payments of a client. What their events say never changes.</summary>
    Task<IReadOnlyDictionary<PaymentId, CancelledPayment>> Cancelled(
        ClientId clientId,
        IReadOnlyList<PaymentId> paymentIds,
        CancellationToken cancellationToken
    );

    /// <summary>The most refused cancels that a payment is shown with.</summary>
    public const int MaxRefused = 100;

    /// <summary>The most payments that <see cref="Payments"/> finds.</summary>
    public const int MaxFound = 100;

    /// <summary>
    /// Finds the payments of all clients that have an identifier, the wallet's or a merchant's, in the order of the clients:
    /// at most <see cref="MaxFound"/>. One look-up by key for each client.
    /// </summary>
    Task<IReadOnlyList<PaymentView>> Payments(string id, CancellationToken cancellationToken);

    /// <summary>The wallet's identifier of the payment with a merchant's identifier; null when there is none.</summary>
    Task<PaymentId?> PaymentIdOf(ClientId clientId, PaymentRequestId requestId, CancellationToken cancellationToken);
}
