namespace CancelService.Domain.Payments;

/// <summary>Where a payment stands. A new status must be decided about in every switch of <see cref="Payment"/>.</summary>
public enum PaymentStatus
{
    /// <summary>No result yet.</summary>
    Processing,

    /// <summary>The payer's money is on hold; nothing is captured.</summary>
    Authorized,

    /// <summary>Paid in full; nothing is refunded.</summary>
    Success,

    /// <summary>Some or all of an authorisation is captured; nothing is refunded.</summary>
    Captured,

    /// <summary>Some or all of what was paid or captured is refunded.</summary>
    Refunded,

    /// <summary>The payment did not come about; no money moved.</summary>
    Failed,

    /// <summary>Cancelled. Terminal: nothing leads out of it.</summary>
    Cancelled,
}

/// <summary>How a payment takes money.</summary>
public enum PaymentKind
{
    /// <summary>At once, in full: PROCESSING, then SUCCESS or FAILED.</summary>
    Payment,

    /// <summary>A hold first, captures later: PROCESSING, AUTHORIZED, CAPTURED.</summary>
    Authorization,
}

/// <summary>What happens to a payment, or is refused to happen: the actions of its history.</summary>
public enum PaymentAction
{
    /// <summary>The core made the payment known.</summary>
    Register,

    /// <summary>The core put the payer's money on hold.</summary>
    Authorize,

    /// <summary>The core took the payer's money, in full.</summary>
    Succeed,

    /// <summary>The core took held money, in part or in full.</summary>
    Capture,

    /// <summary>The core gave money back to the payer, in part or in full.</summary>
    Refund,

    /// <summary>The core reports that the payment did not come about.</summary>
    Fail,

    /// <summary>The merchant cancelled.</summary>
    Cancel,
}
