using System.Diagnostics;

namespace CancelService.Domain.Payments;

/// <summary>The one cancellation of a payment: written once, never changed.</summary>
/// <param name="From">The status in which the cancel found the payment.</param>
/// <param name="CancelledAt">When the cancel was decided (UTC).</param>
public sealed record Cancellation(PaymentStatus From, DateTimeOffset CancelledAt)
{
    /// <summary>What the cancel did to the payment: the state table of the protocol.</summary>
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

/// <summary>What a cancel does, by the state that it finds: the state table of the protocol.</summary>
public enum CancelEffect
{
    /// <summary>The payment can never take money; none has moved.</summary>
    Closed,

    /// <summary>The hold on the payer's money is released.</summary>
    HoldReleased,

    /// <summary>The merchant's account is debited and the payer refunded, in full, without a fee.</summary>
    Refunded,
}

/// <summary>Why a cancel is refused. A refused cancel changes nothing: the payment goes on as if nobody had asked.</summary>
public abstract record CancelRefusal
{
    private CancelRefusal() { }

    /// <summary>
    /// Whether another instance may have allowed a cancel a moment ago, when the window was open or the balance higher. The
    /// merchant is then told "not cancelled" only once no such cancel can take effect any more.
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

    /// <summary>The payment was cancelled before; that cancellation is the answer.</summary>
    public sealed record Repeated(Cancellation Cancellation) : CancelDecision;

    /// <summary>The payment can't be cancelled, and is unchanged.</summary>
    public sealed record Refused(CancelRefusal Reason) : CancelDecision;

    /// <summary>The payment is cancelled, as soon as the change is committed.</summary>
    public sealed record Cancelled(Cancellation Cancellation, PaymentChange Change) : CancelDecision;
}
