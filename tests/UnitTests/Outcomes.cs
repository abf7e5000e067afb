using CancelService.Application.Cancelling;
using CancelService.Application.Intake;

namespace CancelService.UnitTests;

internal static class Outcomes
{
    /// <summary>The name of a use case's result or of its refusal, as the tables of test cases spell it.</summary>
    public static string Outcome(this object result) =>
        result switch
        {
            CancelPaymentResult.Refused refused => refused.Reason.GetType().Name,
            ReportPaymentResult.Refused refused => $"{refused.Reason}",
            _ => result.GetType().Name,
        };
}
