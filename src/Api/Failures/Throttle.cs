using System.Collections.Concurrent;

namespace CancelService.Api.Failures;

/// <summary>
/// Throttles log lines about one cause: a line at its first occurrence, then a line every ten seconds with the number
/// since.
/// </summary>
public sealed class Throttle(TimeProvider time)
{
    /// <summary>The time between two lines of a continuing cause.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private const int MaxCauses = 1000;

    private readonly ConcurrentDictionary<string, Occurrences> _causes = new(StringComparer.Ordinal);

    /// <summary>
    /// Tells whether a cause is logged now; <paramref name="more"/> counts the suppressed occurrences.
    /// </summary>
    public bool IsDue(string cause, out int more)
    {
        // Causes contain no bytes of a request, so their number is small. Forgetting all of them bounds the memory
        // anyway.
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
