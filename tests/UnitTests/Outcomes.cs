using CancelService.Application.Cancelling;

namespace CancelService.UnitTests;

internal static class Outcomes
{
    /// <summary>The name of a cancel's result, or of the reason why it was refused, as tables of tests spell it.</summary>
    public static string Outcome(this CancelPaymentResult result) =>
        result is CancelPaymentResult.Refused refused ? refused.Reason.GetType().Name : result.GetType().Name;
}
