using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using CancelService.Protocol;

namespace CancelService.OperatorConsole;

/// <summary>
/// How many answers of each code this instance gave in each minute of the last hour. It listens to the metric of the answers, so
/// the exchange knows nothing of it.
/// </summary>
internal sealed class AnswersOfTheHour : IDisposable
{
    /// <summary>How many minutes are kept, the present one included.</summary>
    public const int Minutes = 60;

    /// <summary>The result codes in the order of the protocol. The last, <c>none</c>, counts requests that got a plain 503.</summary>
    public static readonly IReadOnlyList<string> Codes =
    [
        .. ResultCode.All.Select(code => code.Code).Distinct(StringComparer.Ordinal),
        "none",
    ];

    private static readonly FrozenDictionary<string, int> Places = Codes
        .Select((code, place) => KeyValuePair.Create(code, place))
        .ToFrozenDictionary(StringComparer.Ordinal);

    private readonly TimeProvider _time;
    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly long[] _minuteOf = new long[Minutes];
    private readonly int[][] _counts = [.. Enumerable.Range(0, Minutes).Select(_ => new int[Codes.Count])];

    public AnswersOfTheHour(IMeterFactory meters, ConsoleHost host, TimeProvider time)
    {
        _time = time;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            // Other hosts of the process have meters of their own.
            if (instrument.Name == host.AnswersMetric && instrument.Meter.Scope == meters)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((_, _, tags, _) => Count(tags));
        _listener.Start();
    }

    /// <summary>The answers by minute, the oldest first, each by the places of <see cref="Codes"/>.</summary>
    public IReadOnlyList<int[]> Read()
    {
        var now = Minute();
        lock (_lock)
            return
            [
                .. Enumerable
                    .Range(0, Minutes)
                    .Select(i => now - Minutes + 1 + i)
                    .Select(minute => IsKept(minute) ? (int[])_counts[minute % Minutes].Clone() : new int[Codes.Count]),
            ];
    }

    public void Dispose() => _listener.Dispose();

    private void Count(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (!TryFindCode(tags, out var place))
            return;
        var minute = Minute();
        lock (_lock)
        {
            var counts = _counts[minute % Minutes];
            if (!IsKept(minute))
            {
                Array.Clear(counts);
                _minuteOf[minute % Minutes] = minute;
            }
            counts[place]++;
        }
    }

    private static bool TryFindCode(ReadOnlySpan<KeyValuePair<string, object?>> tags, out int place)
    {
        foreach (var tag in tags)
        {
            if (tag is { Key: "code", Value: string code })
                return Places.TryGetValue(code, out place);
        }
        place = -1;
        return false;
    }

    private bool IsKept(long minute) => _minuteOf[minute % Minutes] == minute;

    private long Minute() => _time.GetUtcNow().ToUnixTimeSeconds() / 60;
}
