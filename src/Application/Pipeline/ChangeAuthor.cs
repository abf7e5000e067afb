namespace CancelService.Application.Pipeline;

/// <summary>The author of a change and the reason, written in the transaction of the change.</summary>
/// <param name="Actor">The token's subject, at most 256 characters.</param>
/// <param name="Reason">The caller's reason, at most 512 characters; empty when none was given.</param>
/// <param name="At">The time of the change (UTC).</param>
public sealed record ChangeAuthor(string Actor, string Reason, DateTimeOffset At)
{
    /// <summary>The longest reason, in characters.</summary>
    public const int MaxReason = 512;
}
