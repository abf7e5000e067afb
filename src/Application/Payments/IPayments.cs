using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Payments;

/// <summary>
/// Reads a payment with everything that a decision needs, and changes it by one atomic write. Every call names the
/// client, because the database is distributed by client.
/// </summary>
/// <remarks>
/// An exception from any member means an unknown outcome: the database is unreachable, or failed before it confirmed.
/// Repeating the use case resolves it.
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

    /// <summary>
    /// Finds a report of the core in the payment's history by its eventId; null when it is not there.
    /// </summary>
    Task<RecordedReport?> FindReport(
        ClientId clientId,
        PaymentId id,
        string eventId,
        CancellationToken cancellationToken
    );

    /// <summary>Finds the payment or early cancel that prevents a registration; null when nothing does.</summary>
    Task<EarlierRegistration?> FindRegistration(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Records an early cancel: this paymentRequestId was answered ORDER_NOT_EXIST, so its payment is refused from now
    /// on. <see cref="WriteResult.NothingToChange"/>: the payment has arrived meanwhile; find it and decide.
    /// </summary>
    Task<WriteResult> RememberEarlyCancel(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Raises the payment's fence, so that no cancel decided before this call commits after it. Waits for cancels that
    /// have reached the database. <see cref="WriteResult.NothingToChange"/>: a cancel committed; find the payment and
    /// decide again.
    /// </summary>
    Task<WriteResult> Fence(Payment payment, CancellationToken cancellationToken);

    /// <summary>Writes a registered payment with the first line of its history.</summary>
    /// <param name="payment">The payment.</param>
    /// <param name="change">The registration.</param>
    /// <param name="actor">The subject of the caller's token.</param>
    /// <param name="despiteEarlyCancel">Whether the client's contract ignores early cancels.</param>
    /// <param name="cancellationToken">Stops the wait; the outcome is then unknown.</param>
    Task<WriteResult> Register(
        Payment payment,
        PaymentChange change,
        string actor,
        bool despiteEarlyCancel,
        CancellationToken cancellationToken
    );

    /// <summary>Writes a report of the core: payment, history, transfer and balance, in one transaction.</summary>
    /// <param name="payment">The payment after the change.</param>
    /// <param name="change">The change.</param>
    /// <param name="actor">The subject of the caller's token.</param>
    /// <param name="eventId">The core's identifier of the report, unique for the payment.</param>
    /// <param name="cancellationToken">Stops the wait; the outcome is then unknown.</param>
    Task<WriteResult> Report(
        Payment payment,
        PaymentChange change,
        string actor,
        string eventId,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Writes a cancellation: payment, history with the answer, event, transfer and balance, in one transaction.
    /// </summary>
    /// <param name="payment">The cancelled payment.</param>
    /// <param name="change">The cancellation's change.</param>
    /// <param name="canceller">The key and the trace of the request.</param>
    /// <param name="answer">The body of the answer, for every repeat.</param>
    /// <param name="cancellationToken">Stops the wait; the outcome is then unknown.</param>
    Task<WriteResult> Cancel(
        Payment payment,
        PaymentChange change,
        Canceller canceller,
        byte[] answer,
        CancellationToken cancellationToken
    );
}

/// <summary>
/// The facts that a caller will tell on the strength of a read alone. Before the read returns them, the synchronous
/// standby must have them, because a promotion takes back everything else.
/// </summary>
public enum Telling
{
    /// <summary>
    /// The caller tells a cancellation that was read, and everything else only after writing it. A payment that is not
    /// cancelled returns without a wait for the standby.
    /// </summary>
    Cancellation,

    /// <summary>
    /// The caller tells every state that was read, so each payment that is found waits for the standby.
    /// </summary>
    Anything,
}

/// <summary>A payment with the facts that a decision needs.</summary>
/// <param name="Payment">The aggregate.</param>
/// <param name="Available">
/// The merchant's balance in the payment's currency, in minor units; 0 without an account.
/// </param>
/// <param name="Answer">The stored answer of the cancellation; null while the payment is not cancelled.</param>
public sealed record FoundPayment(Payment Payment, long Available, byte[]? Answer);

/// <summary>The merchant that cancels, for the payment's history.</summary>
/// <param name="KeyVersion">The version of the key that verified the request.</param>
/// <param name="TraceId">The trace of the request, as in the log.</param>
public sealed record Canceller(int KeyVersion, string TraceId)
{
    /// <summary>The actor of every cancel.</summary>
    public const string Actor = "merchant";
}

/// <summary>A report of the core in a payment's history.</summary>
/// <param name="Action">The reported action.</param>
/// <param name="Amount">The reported amount; null for an action without an amount.</param>
/// <param name="Remedy">The remedy of a late report; null for another report.</param>
public sealed record RecordedReport(PaymentAction Action, Money? Amount, Remedy? Remedy);

/// <summary>An obstacle to a registration: exactly one of two.</summary>
public abstract record EarlierRegistration
{
    private EarlierRegistration() { }

    /// <summary>A payment has the paymentId, or else the paymentRequestId.</summary>
    public sealed record Known(Payment Payment) : EarlierRegistration;

    /// <summary>An early cancel of the paymentRequestId was answered ORDER_NOT_EXIST at this time (UTC).</summary>
    public sealed record EarlyCancel(DateTimeOffset RefusedAt) : EarlierRegistration;
}
