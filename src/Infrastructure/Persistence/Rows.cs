using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// A line of a payment's history. The version in its key arbitrates every race: two writers that started from the same
/// state both want to write the same one.
/// </summary>
public sealed class HistoryRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The payment.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>The payment's version after this step, from 1.</summary>
    public required int Version { get; init; }

    /// <summary>What happened, or was refused.</summary>
    public required PaymentAction Action { get; init; }

    /// <summary>Who asked for it.</summary>
    public required string Actor { get; init; }

    /// <summary>When it was decided (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The status before; null for the registration.</summary>
    public PaymentStatus? FromStatus { get; init; }

    /// <summary>The status after.</summary>
    public required PaymentStatus ToStatus { get; init; }

    /// <summary>The amount that the step is about, in minor units of the payment's currency.</summary>
    public long? MinorUnits { get; init; }

    /// <summary>Set when the event came too late: what the core had to do about it.</summary>
    public LateMoney? Remedy { get; init; }

    /// <summary>The core's identifier of the event, unique per payment.</summary>
    public string? EventId { get; init; }

    /// <summary>With a refused event: its place in the client's feed, once that has been read.</summary>
    public long? Position { get; init; }
}

/// <summary>The merchant's account in one currency.</summary>
public sealed class AccountRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The currency.</summary>
    public required Currency Currency { get; init; }

    /// <summary>Minor units: the sum of the account's entries, never negative.</summary>
    public required long Balance { get; init; }
}

/// <summary>One entry of the double-entry ledger; the entries of a transaction sum to zero.</summary>
public sealed class LedgerRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The ledger transaction that the entry belongs to.</summary>
    public required Guid TransactionId { get; init; }

    /// <summary>The entry's number within the transaction, from 1.</summary>
    public required short Line { get; init; }

    /// <summary>The account.</summary>
    public required LedgerAccount Account { get; init; }

    /// <summary>Minor units, positive for a credit, negative for a debit.</summary>
    public required long MinorUnits { get; init; }

    /// <summary>The currency.</summary>
    public required Currency Currency { get; init; }

    /// <summary>When the entry was made (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The payment whose money moved; null for deposits and payouts.</summary>
    public PaymentId? PaymentId { get; init; }
}

/// <summary>
/// Whom a paymentRequestId belongs to: a payment, for ever, or the refusal of a cancel that came before the payment, for
/// a time. The key decides which of the two was first, also when they race.
/// </summary>
public sealed class PaymentRequestRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The merchant's identifier.</summary>
    public required PaymentRequestId PaymentRequestId { get; init; }

    /// <summary>The payment; null when a cancel was first.</summary>
    public PaymentId? PaymentId { get; init; }

    /// <summary>When the cancel was refused (UTC); null when the payment was first.</summary>
    public DateTimeOffset? RefusedAt { get; init; }
}

/// <summary>A cancellation that the core is to be told about. What it says stands in the cancellation itself.</summary>
public sealed class OutboxRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The cancelled payment.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>The event's identifier: the same at every attempt to deliver it.</summary>
    public required Guid EventId { get; init; }

    /// <summary>When the cancellation was decided (UTC).</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>How often delivery was tried since it was queued.</summary>
    public int Attempts { get; init; }

    /// <summary>
    /// When the row is next due (UTC). Who claims it moves this to the end of the claim, so a claim that is never
    /// settled, because its process died, simply runs out. Null once the event is delivered or parked.
    /// </summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>When the receiver confirmed the event (UTC).</summary>
    public DateTimeOffset? DeliveredAt { get; init; }

    /// <summary>When the attempts were used up (UTC); an operator can queue the event again.</summary>
    public DateTimeOffset? ParkedAt { get; init; }

    /// <summary>What went wrong at the last attempt.</summary>
    public string? LastError { get; init; }
}
