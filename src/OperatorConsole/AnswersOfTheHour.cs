using System.Diagnostics.Metrics;

namespace CancelService.OperatorConsole;

/// <summary>A kind of answer, as the metric counts it.</summary>
/// <param name="Operation">The operation; <c>none</c> for a path without one.</param>
/// <param name="Code">The result code; <see cref="TurnedAway"/> for a plain 503.</param>
public sealed record AnswerKind(string Operation, string Code)
{
    /// <summary>The code of requests that were turned away with a plain 503.</summary>
    public const string TurnedAway = "none";
}

/// <summary>
/// Counts the answers of this instance by minute over the last hour. It listens to the metric of answers, so the
/// exchange does not depend on it.
/// </summary>
public sealed class AnswersOfTheHour : IDisposable
{
    /// <summary>The minutes that are kept, including the current one.</summary>
    public const int Minutes = 60;

    private readonly TimeProvider _time;
    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly long[] _minuteOf = new long[Minutes];
    private readonly Dictionary<AnswerKind, int>[] _counts = [.. Enumerable.Range(0, Minutes).Select(_ => Empty())];

    /// <summary>Starts to listen.</summary>
    public AnswersOfTheHour(IMeterFactory meters, ConsoleHost host, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(host);
        _time = time;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            // Other hosts in the process have other meters.
            if (instrument.Name == host.AnswersMetric && instrument.Meter.Scope == meters)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((_, _, tags, _) => Count(tags));
        _listener.Start();
    }

    /// <summary>Reads the counts by minute, the oldest minute first.</summary>
    public IReadOnlyList<IReadOnlyDictionary<AnswerKind, int>> Read()
    {
        var now = Minute();
        lock (_lock)
            return
            [
                .. Enumerable
                    .Range(0, Minutes)
                    .Select(i => now - Minutes + 1 + i)
                    .Select(minute => IsKept(minute) ? new(_counts[minute % Minutes]) : Empty()),
            ];
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void Count(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var kind = new AnswerKind(Tag(tags, "operation"), Tag(tags, "code"));
        var minute = Minute();
        lock (_lock)
        {
            var counts = _counts[minute % Minutes];
            if (!IsKept(minute))
            {
                counts.Clear();
                _minuteOf[minute % Minutes] = minute;
            }
            counts[kind] = counts.GetValueOrDefault(kind) + 1;
        }
    }

    private static string Tag(ReadOnlySpan<KeyValuePair<string, object?>> tags, string name)
    {
        foreach (var tag in tags)
        {
            if (tag.Key == name)
                return tag.Value as string ?? "";
        }
        return "";
    }

    private static Dictionary<AnswerKind, int> Empty() => [];

    private bool IsKept(long minute) => _minuteOf[minute % Minutes] == minute;

    private long Minute() => _time.GetUtcNow().ToUnixTimeSeconds() / 60;
}
