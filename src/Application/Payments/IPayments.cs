using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Payments;

/// <summary>
/// The payments as a use case needs them: found with all that a decision takes, and changed by one atomic write.
/// Every call names the client, because one client's data never meets another's.
/// </summary>
/// <remarks>
/// An exception from any member means that the outcome is unknown: the database is out of reach, or went away before
/// it confirmed. Repeating the use case resolves it.
/// </remarks>
public interface IPayments
{
    /// <summary>Finds a payment by the wallet's identifier; null when the client has none such.</summary>
    Task<FoundPayment?> Find(ClientId clientId, PaymentId id, CancellationToken cancellationToken);

    /// <summary>Finds a payment by the merchant's identifier; null when the client has none such.</summary>
    Task<FoundPayment?> Find(ClientId clientId, PaymentRequestId requestId, CancellationToken cancellationToken);

    /// <summary>Finds an event of the core that is in the payment's history; null when it is not.</summary>
    Task<RecordedEvent?> FindEvent(
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
    /// is refused from now on. False: the payment has arrived meanwhile, and nothing was written; find it and decide.
    /// </summary>
    Task<bool> RememberUnknown(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Waits for the writes of a payment that were begun before this call, at any instance. True: the payment still has the
    /// version that was read, so none of them took effect. False: it has changed; find it and decide again.
    /// </summary>
    Task<bool> AwaitEarlierWrites(Payment payment, CancellationToken cancellationToken);

    /// <summary>
    /// Writes a change with all that belongs to it (payment, history, ledger, balance, cancellation, outbox) in one
    /// transaction. False: another writer got there first, and nothing was written; find the payment and decide again.
    /// </summary>
    Task<bool> Commit(PaymentWrite write, CancellationToken cancellationToken);
}

/// <summary>A payment as found.</summary>
/// <param name="Payment">The aggregate.</param>
/// <param name="Available">The merchant's balance in the payment's currency, in minor units; 0 without an account.</param>
/// <param name="Answer">The answer that was stored with the cancellation; null while the payment is not cancelled.</param>
public sealed record FoundPayment(Payment Payment, long Available, byte[]? Answer);

/// <summary>A decided change of a payment, ready to be committed.</summary>
/// <param name="Payment">The payment as it is after the change.</param>
/// <param name="Change">The change.</param>
/// <param name="Actor">Who asked for it, for the history.</param>
public sealed record PaymentWrite(Payment Payment, PaymentChange Change, string Actor)
{
    /// <summary>With an event of the core: its identifier, which makes the event idempotent for ever.</summary>
    public string? EventId { get; init; }

    /// <summary>With a registration: whether a cancel that came before it is of no account, by the client's contract.</summary>
    public bool DespiteRefusal { get; init; }

    /// <summary>With a cancellation: its answer, to be repeated byte for byte.</summary>
    public byte[]? Answer { get; init; }
}

/// <summary>An event of the core as it stands in a payment's history.</summary>
/// <param name="Action">What the core reported.</param>
/// <param name="MinorUnits">The amount of the event, in minor units of the payment's currency.</param>
/// <param name="Remedy">Set when the event was refused as late money.</param>
public sealed record RecordedEvent(PaymentAction Action, long? MinorUnits, LateMoney? Remedy);

/// <summary>What stands in the way of registering a payment.</summary>
/// <param name="Payment">A payment that has the paymentId, or else the paymentRequestId; null when none has.</param>
/// <param name="RefusedAt">
/// When a cancel of the paymentRequestId was answered with ORDER_NOT_EXIST (UTC), as long as that is remembered.
/// </param>
public sealed record EarlierRegistration(Payment? Payment, DateTimeOffset? RefusedAt);
