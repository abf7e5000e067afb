using System.Globalization;
using System.Runtime.InteropServices;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// The position of a reader in a list by time: the time of the last row, and the number of rows read with exactly that
/// time. It suits rows that never change and are never deleted.
/// </summary>
/// <param name="From">The time of the first row to read next (UTC).</param>
/// <param name="Read">The number of rows of that time to skip.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TimeCursor(DateTimeOffset From, int Read)
{
    /// <summary>Parses the cursor of a list between two times; null when the text is no cursor of that list.</summary>
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

    /// <summary>
    /// Writes the cursor behind a page that begins at this cursor, given the times of the page's rows.
    /// </summary>
    public string Behind(IReadOnlyList<DateTimeOffset> times)
    {
        var last = times[^1];
        var same = times.Count(time => time == last) + (last == From ? Read : 0);
        return $"{SqliteDbContext.Microseconds(last)}-{same}";
    }
}
