using CancelService.Domain.Ledger;

namespace CancelService.Domain.Payments;

/// <summary>
/// One step of a payment: a line of its append-only history and the money that moved with it, committed together.
/// </summary>
/// <param name="Version">
/// The payment's version after the step, from 1. The history is keyed by it, so two writers that started from the
/// same state can't both commit: the key arbitrates every race.
/// </param>
/// <param name="Action">What happened, or was refused.</param>
/// <param name="From">The status before; null for the registration.</param>
/// <param name="To">The status after; the same as before for a late report.</param>
/// <param name="At">When it was decided (UTC).</param>
/// <param name="Amount">The amount that the step is about, if it is about one.</param>
/// <param name="Transfer">The money that moves with it, if any does.</param>
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
    /// <summary>Set for a late report: what the core has to do about it.</summary>
    public Remedy? Remedy { get; init; }
}

/// <summary>Why a report of the core does not change the payment.</summary>
public enum ReportRefusal
{
    /// <summary>The payment's kind, status or amounts do not allow it.</summary>
    Impossible,

    /// <summary>A refund that the merchant's account can't pay for.</summary>
    BalanceNotEnough,

    /// <summary>The merchant's balance would exceed <see cref="Money.MaxBalance"/>.</summary>
    BalanceLimit,
}

/// <summary>What the core has to do with money that moved although its payment was cancelled.</summary>
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

    /// <summary>The payment has changed, as soon as the change is committed.</summary>
    public sealed record Applied(PaymentChange Change) : ReportDecision;

    /// <summary>The report can't be true of the payment, which is unchanged.</summary>
    public sealed record Refused(ReportRefusal Reason) : ReportDecision;

    /// <summary>The payment is cancelled. The late report is recorded, so that reconciliation sees it.</summary>
    public sealed record Late(Cancellation Cancellation, Remedy Remedy, PaymentChange Change) : ReportDecision;
}
