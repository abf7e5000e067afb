namespace CancelService.Sandbox;

/// <summary>
/// The sandbox's clock: the machine's, put ahead on demand, so that nobody waits for a cut-off. Durations go by the
/// machine's clock alone.
/// </summary>
internal sealed class TestClock : TimeProvider
{
    /// <summary>The furthest that the clock can be put ahead.</summary>
    public static readonly TimeSpan Furthest = TimeSpan.FromDays(366);

    private long _ahead;

    /// <summary>The distance to the machine's clock.</summary>
    public TimeSpan Ahead => TimeSpan.FromTicks(Interlocked.Read(ref _ahead));

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;

    /// <summary>Puts the clock ahead of the machine's, by at most <see cref="Furthest"/>.</summary>
    public void Put(TimeSpan ahead) => Interlocked.Exchange(ref _ahead, Math.Clamp(ahead.Ticks, 0, Furthest.Ticks));
}
