namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The section <c>UnknownPayments</c> of the settings: how cancels that came before their payments are remembered.
/// </summary>
public sealed class UnknownPaymentsOptions
{
    /// <summary>How long a payment that arrives after its cancel is refused: 1 minute to 30 days.</summary>
    public TimeSpan RememberFor { get; set; } = TimeSpan.FromDays(1);

    /// <summary>How many such cancels are remembered per client, the newest ones: 1 to 10,000.</summary>
    public int MaxPerClient { get; set; } = 1000;

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem() =>
        RememberFor < TimeSpan.FromMinutes(1) || RememberFor > TimeSpan.FromDays(30)
            ? $"UnknownPayments:RememberFor is {RememberFor}. Set it between 00:01:00 and 30.00:00:00."
        : MaxPerClient is < 1 or > 10_000
            ? $"UnknownPayments:MaxPerClient is {MaxPerClient}. Set it between 1 and 10000."
        : null;
}
