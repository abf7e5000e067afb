namespace CancelService.Domain.Payments;

/// <summary>
/// The status of a payment. No switch has a wildcard arm, so a new status compiles only once each handles it.
/// </summary>
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

    /// <summary>The paid or captured money is refunded, in part or in full.</summary>
    Refunded,

    /// <summary>The payment failed; no money moved.</summary>
    Failed,

    /// <summary>The payment is cancelled. This status is final.</summary>
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

/// <summary>An action on a payment, as its history records it.</summary>
public enum PaymentAction
{
    /// <summary>The core registered the payment.</summary>
    Register,

    /// <summary>The core put the payer's money on hold.</summary>
    Authorize,

    /// <summary>The core took the payer's money, in full.</summary>
    Succeed,

    /// <summary>The core took held money, in part or in full.</summary>
    Capture,

    /// <summary>The core gave money back to the payer, in part or in full.</summary>
    Refund,

    /// <summary>The core reported that the payment failed or its hold lapsed.</summary>
    Fail,

    /// <summary>The merchant cancelled.</summary>
    Cancel,
}
