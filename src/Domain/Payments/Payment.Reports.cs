using CancelService.Domain.Ledger;

namespace CancelService.Domain.Payments;

// The core's reports. A cancelled payment takes no more money: a late report is refused and recorded.
public sealed partial class Payment
{
    /// <summary>The core has put the payer's money on hold.</summary>
    public ReportDecision Authorize(DateTimeOffset now)
    {
        var allowed = Status switch
        {
            PaymentStatus.Processing => Kind is PaymentKind.Authorization,
            PaymentStatus.Authorized or PaymentStatus.Success or PaymentStatus.Captured => false,
            PaymentStatus.Refunded or PaymentStatus.Failed or PaymentStatus.Cancelled => false,
        };
        return allowed
            ? Applied(PaymentAction.Authorize, PaymentStatus.Authorized, now, Amount)
            : RefusedMoney(PaymentAction.Authorize, now, Amount);
    }

    /// <summary>The core has taken the payer's money, in full: the merchant's account is credited.</summary>
    /// <param name="available">The merchant's balance in the payment's currency, in minor units.</param>
    /// <param name="now">The time of the report.</param>
    public ReportDecision Succeed(long available, DateTimeOffset now)
    {
        var allowed = Status switch
        {
            PaymentStatus.Processing => Kind is PaymentKind.Payment,
            PaymentStatus.Authorized or PaymentStatus.Success or PaymentStatus.Captured => false,
            PaymentStatus.Refunded or PaymentStatus.Failed or PaymentStatus.Cancelled => false,
        };
        if (!allowed)
            return RefusedMoney(PaymentAction.Succeed, now, Amount);
        if (Amount.MinorUnits > Money.MaxBalance - available)
            return new ReportDecision.Refused(ReportRefusal.BalanceLimit);
        return Applied(PaymentAction.Succeed, PaymentStatus.Success, now, Amount, Transfer.Paid(Amount));
    }

    /// <summary>The core has taken some or all of the held money: the merchant's account is credited.</summary>
    /// <param name="amount">The captured amount: at most the uncaptured rest, in the payment's currency.</param>
    /// <param name="available">The merchant's balance in that currency, in minor units.</param>
    /// <param name="now">The time of the report.</param>
    public ReportDecision Capture(Money amount, long available, DateTimeOffset now)
    {
        PaymentStatus? next = Status switch
        {
            PaymentStatus.Authorized or PaymentStatus.Captured => PaymentStatus.Captured,
            PaymentStatus.Refunded when Kind is PaymentKind.Authorization => PaymentStatus.Refunded,
            PaymentStatus.Refunded or PaymentStatus.Processing or PaymentStatus.Success => null,
            PaymentStatus.Failed or PaymentStatus.Cancelled => null,
        };
        if (next is null || amount.Currency != Amount.Currency || amount.MinorUnits > Amount.MinorUnits - Captured)
            return RefusedMoney(PaymentAction.Capture, now, amount);
        if (amount.MinorUnits > Money.MaxBalance - available)
            return new ReportDecision.Refused(ReportRefusal.BalanceLimit);

        Captured += amount.MinorUnits;
        return Applied(PaymentAction.Capture, next.Value, now, amount, Transfer.Paid(amount));
    }

    /// <summary>The core has given money back to the payer: the merchant's account is debited.</summary>
    /// <param name="amount">The refunded amount: at most the paid or captured rest, in the payment's currency.</param>
    /// <param name="available">The merchant's balance in that currency, in minor units.</param>
    /// <param name="now">The time of the report.</param>
    public ReportDecision Refund(Money amount, long available, DateTimeOffset now)
    {
        var paid = Status switch
        {
            PaymentStatus.Success or PaymentStatus.Captured or PaymentStatus.Refunded => Kind
            is PaymentKind.Authorization
                ? Captured
                : Amount.MinorUnits,
            PaymentStatus.Processing or PaymentStatus.Authorized => 0,
            PaymentStatus.Failed or PaymentStatus.Cancelled => 0,
        };
        if (amount.Currency != Amount.Currency || amount.MinorUnits > paid - Refunded)
            return new ReportDecision.Refused(ReportRefusal.Impossible);
        if (amount.MinorUnits > available)
            return new ReportDecision.Refused(ReportRefusal.BalanceNotEnough);

        Refunded += amount.MinorUnits;
        return Applied(PaymentAction.Refund, PaymentStatus.Refunded, now, amount, Transfer.Refunded(amount));
    }

    /// <summary>
    /// The core reports that the payment failed or its hold lapsed. No money moves. A cancelled payment stays cancelled
    /// and records the failure, unless the cancel refunded it: a refunded payment had succeeded, so the report is
    /// refused.
    /// </summary>
    public ReportDecision Fail(DateTimeOffset now)
    {
        PaymentStatus? next = Status switch
        {
            PaymentStatus.Processing or PaymentStatus.Authorized => PaymentStatus.Failed,
            PaymentStatus.Success or PaymentStatus.Captured or PaymentStatus.Refunded => null,
            PaymentStatus.Failed => null,
            PaymentStatus.Cancelled => Cancellation!.Effect is CancelEffect.Refunded ? null : PaymentStatus.Cancelled,
        };
        return next is { } status
            ? Applied(PaymentAction.Fail, status, now, null)
            : new ReportDecision.Refused(ReportRefusal.Impossible);
    }

    private ReportDecision.Applied Applied(
        PaymentAction action,
        PaymentStatus next,
        DateTimeOffset now,
        Money? amount,
        Transfer? transfer = null
    ) => new(Change(action, next, now, amount, transfer));

    // Refuses a report of taken or held money on a cancelled payment, and records it with the remedy. The remedy is a
    // state to reach, not an increment: a repeated report must never refund twice.
    private ReportDecision RefusedMoney(PaymentAction action, DateTimeOffset now, Money amount)
    {
        if (Cancellation is null)
            return new ReportDecision.Refused(ReportRefusal.Impossible);

        var remedy = action switch
        {
            PaymentAction.Authorize => Remedy.ReleaseHold,
            PaymentAction.Succeed when Cancellation.Effect is CancelEffect.Refunded => Remedy.None,
            _ => Remedy.RefundPayer,
        };
        return new ReportDecision.Late(
            Cancellation,
            remedy,
            Change(action, Status, now, amount, null) with
            {
                Remedy = remedy,
            }
        );
    }
}
