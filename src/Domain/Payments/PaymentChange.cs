using CancelService.Domain.Ledger;

namespace CancelService.Domain.Payments;

/// <summary>A change of a payment: a line of its append-only history and the transfer that commits with it.</summary>
/// <param name="Version">
/// The payment's version after the change, from 1. It is part of the history's key, so two writers that started from
/// the same version can't both commit.
/// </param>
/// <param name="Action">The action that was applied, or refused as a late report.</param>
/// <param name="From">The status before; null for the registration.</param>
/// <param name="To">The status after; the same as before for a late report.</param>
/// <param name="At">The time of the decision (UTC).</param>
/// <param name="Amount">The amount of the action; null for an action without one.</param>
/// <param name="Transfer">The transfer that commits with the change; null when no money moves.</param>
public sealed record PaymentChange(
    int Version,
    PaymentAction Action,
    PaymentStatus? From,
    PaymentStatus To,
    DateTimeOffset At,
    Money? Amount,
    Transfer? Transfer
)
{
    /// <summary>The remedy of a late report; null for other changes.</summary>
    public Remedy? Remedy { get; init; }
}

/// <summary>The reason of a refused report.</summary>
public enum ReportRefusal
{
    /// <summary>The payment's kind, status or amounts do not allow it.</summary>
    Impossible,

    /// <summary>The merchant's balance does not cover the refund.</summary>
    BalanceNotEnough,

    /// <summary>The merchant's balance would exceed <see cref="Money.MaxBalance"/>.</summary>
    BalanceLimit,
}

/// <summary>The core's task with money that it held or moved for a cancelled payment.</summary>
public enum Remedy
{
    /// <summary>Nothing: the cancellation itself has returned what the report is about.</summary>
    None,

    /// <summary>Release the hold on the payer's money.</summary>
    ReleaseHold,

    /// <summary>Refund the payer.</summary>
    RefundPayer,
}

/// <summary>The outcome of a report of the core.</summary>
public abstract record ReportDecision
{
    private ReportDecision() { }

    /// <summary>The payment is changed once the change is committed.</summary>
    public sealed record Applied(PaymentChange Change) : ReportDecision;

    /// <summary>
    /// The payment's state or the merchant's balance contradicts the report; the payment is unchanged.
    /// </summary>
    public sealed record Refused(ReportRefusal Reason) : ReportDecision;

    /// <summary>The payment is cancelled. The late report is recorded, so that reconciliation sees it.</summary>
    public sealed record Late(Cancellation Cancellation, Remedy Remedy, PaymentChange Change) : ReportDecision;
}
