namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The section <c>UnknownPayments</c> of the settings: the retention of cancels that came before their payments.
/// </summary>
public sealed class UnknownPaymentsOptions
{
    /// <summary>The time for which a payment is refused after an early cancel: 1 minute to 30 days.</summary>
    public TimeSpan RememberFor { get; set; } = TimeSpan.FromDays(1);

    /// <summary>The most early cancels to remember per client, the newest first: 1 to 10,000.</summary>
    public int MaxPerClient { get; set; } = 1000;

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
    public string? Problem() =>
        RememberFor < TimeSpan.FromMinutes(1) || RememberFor > TimeSpan.FromDays(30)
            ? $"UnknownPayments:RememberFor is {RememberFor}. Set it between 00:01:00 and 30.00:00:00."
        : MaxPerClient is < 1 or > 10_000
            ? $"UnknownPayments:MaxPerClient is {MaxPerClient}. Set it between 1 and 10000."
        : null;
}
