using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application;

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
    /// <summary>With a cancellation: its answer, to be repeated byte for byte.</summary>
    public byte[]? Answer { get; init; }
}
