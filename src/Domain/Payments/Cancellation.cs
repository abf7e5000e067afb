using System.Diagnostics;

namespace CancelService.Domain.Payments;

/// <summary>The only cancellation of a payment, which never changes.</summary>
/// <param name="From">The payment's status before the cancel.</param>
/// <param name="CancelledAt">The time of the cancel (UTC).</param>
public sealed record Cancellation(PaymentStatus From, DateTimeOffset CancelledAt)
{
    /// <summary>The effect of the cancel, by the protocol's state table.</summary>
    public CancelEffect Effect =>
        From switch
        {
            PaymentStatus.Processing or PaymentStatus.Failed => CancelEffect.Closed,
            PaymentStatus.Authorized => CancelEffect.HoldReleased,
            PaymentStatus.Success => CancelEffect.Refunded,
            PaymentStatus.Captured or PaymentStatus.Refunded or PaymentStatus.Cancelled =>
                throw new UnreachableException($"A payment that is {From} can't be cancelled."),
        };
}

/// <summary>The effect of a cancel on the payment's money.</summary>
public enum CancelEffect
{
    /// <summary>The payment can never take money; none has moved.</summary>
    Closed,

    /// <summary>The hold on the payer's money is released.</summary>
    HoldReleased,

    /// <summary>The merchant's account is debited and the payer refunded, in full, without a fee.</summary>
    Refunded,
}

/// <summary>The reason of a refused cancel. A refusal leaves the payment unchanged.</summary>
public abstract record CancelRefusal
{
    private CancelRefusal() { }

    /// <summary>
    /// Whether another instance may have allowed a cancel a moment ago, when the window was open or the balance higher.
    /// Such a refusal must raise the payment's fence before the merchant gets it.
    /// </summary>
    public virtual bool RestsOnTimeOrBalance => false;

    /// <summary>The client's contract does not include cancelling.</summary>
    public sealed record AccessDenied : CancelRefusal;

    /// <summary>The client has no such payment.</summary>
    public sealed record NotFound : CancelRefusal;

    /// <summary>The contract's window has closed.</summary>
    public sealed record WindowClosed : CancelRefusal
    {
        /// <inheritdoc/>
        public override bool RestsOnTimeOrBalance => true;
    }

    /// <summary>The payment is captured or refunded, in part or in full.</summary>
    public sealed record MoneyMoved : CancelRefusal;

    /// <summary>The payment is paid, and the merchant's account can't give the money back.</summary>
    public sealed record BalanceNotEnough : CancelRefusal
    {
        /// <inheritdoc/>
        public override bool RestsOnTimeOrBalance => true;
    }
}

/// <summary>The outcome of <see cref="Payment.Cancel"/>: exactly one of three.</summary>
public abstract record CancelDecision
{
    private CancelDecision() { }

    /// <summary>The payment was cancelled earlier; its stored answer is repeated.</summary>
    public sealed record Repeated(Cancellation Cancellation) : CancelDecision;

    /// <summary>The payment can't be cancelled, and is unchanged.</summary>
    public sealed record Refused(CancelRefusal Reason) : CancelDecision;

    /// <summary>The payment is cancelled once the change is committed.</summary>
    public sealed record Cancelled(Cancellation Cancellation, PaymentChange Change) : CancelDecision;
}
