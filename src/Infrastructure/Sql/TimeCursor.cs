using System.Globalization;
using System.Runtime.InteropServices;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// How far a list by time was read: the time of the last row, and how many rows of that very time. For rows that are never
/// changed or deleted.
/// </summary>
/// <param name="From">Where to go on (UTC).</param>
/// <param name="Read">How many rows of that time to skip.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TimeCursor(DateTimeOffset From, int Read)
{
    /// <summary>Reads the cursor of a list from a time to a time; absent when the text is none of that list.</summary>
    public static TimeCursor? Parse(string? text, DateTimeOffset from, DateTimeOffset to)
    {
        if (text is null)
            return new(from, 0);
        return
            text.Split('-') is [var microseconds, var read]
            && long.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out var time)
            && time >= SqliteDbContext.Microseconds(from)
            && time <= SqliteDbContext.Microseconds(to)
            && int.TryParse(read, NumberStyles.None, CultureInfo.InvariantCulture, out var skip)
            ? new TimeCursor(SqliteDbContext.Time(time), skip)
            : null;
    }

    /// <summary>The cursor behind a page that was read from here, given the times of its rows.</summary>
    public string Behind(IReadOnlyList<DateTimeOffset> times)
    {
        var last = times[^1];
        var same = times.Count(time => time == last) + (last == From ? Read : 0);
        return $"{SqliteDbContext.Microseconds(last)}-{same}";
    }
}
