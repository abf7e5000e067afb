namespace CancelService.Sandbox;

/// <summary>
/// The service's clock in a sandbox: the machine's, which can be put ahead, so that nobody waits for a cut-off. What measures how long
/// something takes goes by the machine's clock alone.
/// </summary>
internal sealed class TestClock : TimeProvider
{
    /// <summary>The furthest that it can be put ahead.</summary>
    public static readonly TimeSpan Furthest = TimeSpan.FromDays(366);

    private long _ahead;

    /// <summary>How far it is ahead of the machine's.</summary>
    public TimeSpan Ahead => TimeSpan.FromTicks(Interlocked.Read(ref _ahead));

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;

    /// <summary>Puts it so far ahead of the machine's clock: between nothing and <see cref="Furthest"/>.</summary>
    public void Put(TimeSpan ahead) => Interlocked.Exchange(ref _ahead, Math.Clamp(ahead.Ticks, 0, Furthest.Ticks));
}
