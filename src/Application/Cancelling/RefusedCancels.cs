using CancelService.Domain;

namespace CancelService.Application.Cancelling;

/// <summary>A verified cancel that was answered with anything but S.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="PaymentId">The paymentId that it names; empty when it names none that is well-formed.</param>
/// <param name="PaymentRequestId">The paymentRequestId that it names; empty likewise.</param>
/// <param name="Code">The code of the answer, as on the wire.</param>
/// <param name="KeyVersion">The version of the key that signed it.</param>
/// <param name="TraceId">The trace of the request, as in the log.</param>
/// <param name="At">When it was answered (UTC).</param>
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
/// Keeps the refused cancels for operators, beside the payments: a refusal changes nothing, and no merchant waits for it to be
/// kept.
/// </summary>
public interface IRefusedCancels
{
    /// <summary>Notes a refused cancel. It returns at once and never fails; what is too much is dropped and counted.</summary>
    void Note(RefusedCancel refused);
}
