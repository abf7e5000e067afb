using CancelService.Domain;

namespace CancelService.Application.Cancelling;

/// <summary>A verified cancel with any result but S.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="PaymentId">The paymentId of the request; empty when it is missing or malformed.</param>
/// <param name="PaymentRequestId">The paymentRequestId of the request; empty when it is missing or malformed.</param>
/// <param name="Code">The resultCode of the answer.</param>
/// <param name="KeyVersion">The version of the key that signed the request.</param>
/// <param name="TraceId">The trace of the request, as in the log.</param>
/// <param name="At">The time of the answer (UTC).</param>
public sealed record RefusedCancel(
    ClientId ClientId,
    string PaymentId,
    string PaymentRequestId,
    string Code,
    int KeyVersion,
    string TraceId,
    DateTimeOffset At
);

/// <summary>
/// Records refused cancels for operators, outside the payments: a refusal changes nothing, and no merchant waits for
/// the record.
/// </summary>
public interface IRefusedCancels
{
    /// <summary>
    /// Records a refused cancel. Returns at once and never fails; drops and counts the excess of a flood.
    /// </summary>
    void Note(RefusedCancel refused);
}
