using System.Globalization;

namespace CancelService.Protocol;

/// <summary>Writes times in the wallet's zone, as ISO 8601 with an offset. Answers and events share it.</summary>
/// <param name="zone">The wallet's time zone.</param>
public sealed class WalletClock(TimeZoneInfo zone)
{
    /// <summary>Writes a time to the second: <c>2021-06-08T12:12:12+08:00</c>. The fraction is cut off.</summary>
    public string Seconds(DateTimeOffset time) => Written(time, "yyyy-MM-dd'T'HH:mm:sszzz");

    /// <summary>Writes a time to the millisecond: <c>2021-06-08T12:12:12.345+08:00</c>. The rest is cut off.</summary>
    public string Milliseconds(DateTimeOffset time) => Written(time, "yyyy-MM-dd'T'HH:mm:ss.fffzzz");

    private string Written(DateTimeOffset time, string format) =>
        TimeZoneInfo.ConvertTime(time, zone).ToString(format, CultureInfo.InvariantCulture);
}
