namespace CancelService.Application.Pipeline;

/// <summary>Who changes something, and why; on record in the transaction that changes it.</summary>
/// <param name="Actor">The token's subject, at most 256 characters.</param>
/// <param name="Reason">What the caller gave as the reason, at most 512 characters; empty when nothing.</param>
/// <param name="At">When (UTC).</param>
public sealed record ChangeAuthor(string Actor, string Reason, DateTimeOffset At)
{
    /// <summary>The longest reason, in characters.</summary>
    public const int MaxReason = 512;
}
