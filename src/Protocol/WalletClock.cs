using System.Globalization;

namespace CancelService.Protocol;

/// <summary>Writes times on the wire: ISO 8601 in the wallet's time zone, with its offset.</summary>
/// <param name="zone">The wallet's time zone.</param>
public sealed class WalletClock(TimeZoneInfo zone)
{
    /// <summary>
    /// Writes whole seconds, such as <c>2021-06-08T12:12:12+08:00</c>: cancelTime in answers and events.
    /// </summary>
    public string Seconds(DateTimeOffset time) => Write(time, "yyyy-MM-dd'T'HH:mm:sszzz");

    /// <summary>Writes milliseconds, such as <c>2021-06-08T12:12:12.000+08:00</c>: the header response-time.</summary>
    public string Milliseconds(DateTimeOffset time) => Write(time, "yyyy-MM-dd'T'HH:mm:ss.fffzzz");

    private string Write(DateTimeOffset time, string format) =>
        TimeZoneInfo.ConvertTime(time, zone).ToString(format, CultureInfo.InvariantCulture);
}
