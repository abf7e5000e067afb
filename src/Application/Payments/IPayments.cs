using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Payments;

/// <summary>
/// The payments, as a use case needs them: read with everything that a decision needs, and changed by one atomic write.
/// Every call names the client, because one client's data never meets another's.
/// </summary>
/// <remarks>
/// An exception from any member means that the outcome is unknown: the database is out of reach, or went away before
/// it confirmed. Repeating the use case resolves it.
/// </remarks>
public interface IPayments
{
    /// <summary>Finds a payment by the wallet's paymentId.</summary>
    /// <param name="clientId">The client that owns the payment.</param>
    /// <param name="id">The paymentId.</param>
    /// <param name="telling">The facts that the caller will tell without writing.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The payment; null when the client has no such payment.</returns>
    Task<FoundPayment?> Find(ClientId clientId, PaymentId id, Telling telling, CancellationToken cancellationToken);

    /// <summary>Finds a payment by the merchant's paymentRequestId.</summary>
    /// <param name="clientId">The client that owns the payment.</param>
    /// <param name="requestId">The paymentRequestId.</param>
    /// <param name="telling">The facts that the caller will tell without writing.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The payment; null when the client has no such payment.</returns>
    Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        Telling telling,
        CancellationToken cancellationToken
    );

    /// <summary>Finds a report of the core in the payment's history; null when it is not there.</summary>
    Task<RecordedReport?> FindReport(
        ClientId clientId,
        PaymentId id,
        string eventId,
        CancellationToken cancellationToken
    );

    /// <summary>Finds what stands in the way of registering a payment; null when nothing does.</summary>
    Task<EarlierRegistration?> FindRegistration(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Remembers that a cancel of this paymentRequestId was answered with ORDER_NOT_EXIST, so that a payment of that id
    /// is refused from now on. <see cref="WriteResult.NothingToChange"/>: the payment has arrived meanwhile; find it and decide.
    /// </summary>
    Task<WriteResult> RememberEarlyCancel(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Makes sure that no cancel that any instance decided before this call takes effect after it. It waits for cancels that
    /// have reached the database, and raises the payment's fence against the others. <see
    /// cref="WriteResult.NothingToChange"/>: one of them took effect; find the payment and decide again.
    /// </summary>
    Task<WriteResult> Fence(Payment payment, CancellationToken cancellationToken);

    /// <summary>Writes a registered payment with the first line of its history.</summary>
    /// <param name="payment">The payment.</param>
    /// <param name="change">Its registration.</param>
    /// <param name="actor">Who asked for it.</param>
    /// <param name="despiteEarlyCancel">Whether the client's contract ignores a cancel that came before the payment.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<WriteResult> Register(
        Payment payment,
        PaymentChange change,
        string actor,
        bool despiteEarlyCancel,
        CancellationToken cancellationToken
    );

    /// <summary>Writes what the core reported: payment, history, transfer and balance, in one transaction.</summary>
    /// <param name="payment">The payment after the change.</param>
    /// <param name="change">The change.</param>
    /// <param name="actor">Who reported it.</param>
    /// <param name="eventId">The core's identifier of the report, unique for the payment.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<WriteResult> Report(
        Payment payment,
        PaymentChange change,
        string actor,
        string eventId,
        CancellationToken cancellationToken
    );

    /// <summary>Writes a cancellation: payment, history with the answer, event, transfer and balance, in one transaction.</summary>
    /// <param name="payment">The cancelled payment.</param>
    /// <param name="change">The cancellation's change.</param>
    /// <param name="canceller">Who cancelled.</param>
    /// <param name="answer">The answer, to be repeated byte for byte.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<WriteResult> Cancel(
        Payment payment,
        PaymentChange change,
        Canceller canceller,
        byte[] answer,
        CancellationToken cancellationToken
    );
}

/// <summary>
/// The facts that a caller will tell on the strength of a read alone. Before the read returns them, the synchronous standby
/// must have them, because a promotion takes back everything else.
/// </summary>
public enum Telling
{
    /// <summary>
    /// The caller tells a cancellation that was read, and everything else only after writing it. A payment that is not
    /// cancelled returns without a wait for the standby.
    /// </summary>
    Cancellation,

    /// <summary>The caller tells every state that was read, so each payment that is found waits for the standby.</summary>
    Anything,
}

/// <summary>A payment as found.</summary>
/// <param name="Payment">The aggregate.</param>
/// <param name="Available">The merchant's balance in the payment's currency, in minor units; 0 without an account.</param>
/// <param name="Answer">The answer that was stored with the cancellation; null while the payment is not cancelled.</param>
public sealed record FoundPayment(Payment Payment, long Available, byte[]? Answer);

/// <summary>The merchant that cancels, for the payment's history.</summary>
/// <param name="KeyVersion">The version of the key that verified the request.</param>
/// <param name="TraceId">The trace of the request, which is in the log too.</param>
public sealed record Canceller(int KeyVersion, string TraceId)
{
    /// <summary>The actor of every cancel.</summary>
    public const string Actor = "merchant";
}

/// <summary>A report of the core as it stands in a payment's history.</summary>
/// <param name="Action">What the core reported.</param>
/// <param name="Amount">The amount that it is about, if it is about one.</param>
/// <param name="Remedy">With a late report: what the core had to do.</param>
public sealed record RecordedReport(PaymentAction Action, Money? Amount, Remedy? Remedy);

/// <summary>What stands in the way of registering a payment: exactly one of two.</summary>
public abstract record EarlierRegistration
{
    private EarlierRegistration() { }

    /// <summary>A payment that has the paymentId, or else the paymentRequestId.</summary>
    public sealed record Known(Payment Payment) : EarlierRegistration;

    /// <summary>A cancel of the paymentRequestId that was answered with ORDER_NOT_EXIST, as long as it is remembered.</summary>
    public sealed record EarlyCancel(DateTimeOffset RefusedAt) : EarlierRegistration;
}
