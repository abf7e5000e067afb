using System.Collections.Concurrent;

namespace CancelService.Api.Failures;

/// <summary>
/// Limits log lines about a cause that can occur a thousand times a second: one when it first occurs, then one every ten
/// seconds with the count in between.
/// </summary>
public sealed class Throttle(TimeProvider time)
{
    /// <summary>How often a cause that goes on is repeated.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private const int MaxCauses = 1000;

    private readonly ConcurrentDictionary<string, Occurrences> _causes = new(StringComparer.Ordinal);

    /// <summary>Whether a cause gets a line now; if so, <paramref name="more"/> have come since its last one.</summary>
    public bool IsDue(string cause, out int more)
    {
        // There are few causes, because none contains bytes of a request. If there are too many all the same, all are
        // forgotten and logged as new.
        if (_causes.Count > MaxCauses)
            _causes.Clear();
        return _causes.GetOrAdd(cause, _ => new Occurrences()).IsDue(time, out more);
    }

    private sealed class Occurrences
    {
        private readonly Lock _lock = new();
        private long? _loggedAt;
        private int _since;

        public bool IsDue(TimeProvider time, out int more)
        {
            lock (_lock)
            {
                more = _since;
                if (_loggedAt is { } at && time.GetElapsedTime(at) < Interval)
                {
                    _since++;
                    return false;
                }
                (_loggedAt, _since) = (time.GetTimestamp(), 0);
                return true;
            }
        }
    }
}
