using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Xml;

namespace CancelService.Domain.Payments;

/// <summary>
/// The time after its initiation in which a payment can be cancelled: a term of the contract. The end is exclusive, so
/// the window is closed at <see cref="ClosesAt"/>.
/// </summary>
public abstract record CancelWindow
{
    /// <summary>The longest window that a contract may have, in days.</summary>
    public const int MaxDays = 366;

    private CancelWindow() { }

    /// <summary>The usual window: until 00:15 at UTC+8 on the day after the payment's.</summary>
    public static CancelWindow Usual { get; } = new CutOff(1, new TimeOnly(0, 15), "+08:00");

    /// <summary>Returns the first instant at which a payment initiated at this time can't be cancelled.</summary>
    public abstract DateTimeOffset ClosesAt(DateTimeOffset initiatedAt);

    /// <summary>Tells whether a payment can still be cancelled at <paramref name="now"/>.</summary>
    public bool IsOpen(DateTimeOffset initiatedAt, DateTimeOffset now) => now < ClosesAt(initiatedAt);

    /// <summary>
    /// Reads the text that <see cref="object.ToString"/> writes: <c>T+1 00:15 +08:00</c> or <c>PT24H</c>.
    /// </summary>
    /// <exception cref="FormatException">The text is not a window, or the window is out of bounds.</exception>
    public static CancelWindow Parse(string text) =>
        TryParse(text, out var window) ? window : throw new FormatException($"'{text}' is not a cancel window.");

    /// <summary>Reads a text such as <c>T+1 00:15 +08:00</c> or <c>PT24H</c>; false when it is not a window.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out CancelWindow? window)
    {
        ArgumentNullException.ThrowIfNull(text);
        window = null;
        try
        {
            window = text.Split(' ') switch
            {
                [['T', '+', .. var days], var time, var zone] => new CutOff(
                    int.Parse(days, NumberStyles.None, CultureInfo.InvariantCulture),
                    TimeOnly.ParseExact(time, ["HH:mm", "HH:mm:ss"], CultureInfo.InvariantCulture),
                    zone
                ),
                [var duration] => new Lasting(XmlConvert.ToTimeSpan(duration)),
                _ => null,
            };
        }
        catch (Exception e) when (e is FormatException or ArgumentException or OverflowException)
        {
            // A malformed part throws: the text is not a window.
        }
        return window is not null;
    }

    /// <summary>
    /// Ends at a cut-off time on day T+n in a time zone. T is the day of the initiation in that zone. If daylight
    /// saving repeats the cut-off, the later one counts; if it skips the cut-off, the window closes as much later as
    /// the clocks were put forward. Both favour the merchant.
    /// </summary>
    public sealed record CutOff : CancelWindow
    {
        /// <exception cref="ArgumentException">The days are out of bounds, or the zone is unknown.</exception>
        public CutOff(int days, TimeOnly time, string zone)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(days);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(days, MaxDays);
            if (time.Ticks % TimeSpan.TicksPerSecond != 0)
                throw new ArgumentException("A cut-off is a whole second.", nameof(time));
            Days = days;
            Time = time;
            Zone =
                TimeZones.Find(zone)
                ?? throw new ArgumentException(
                    $"'{zone}' is neither an IANA time zone nor an offset such as +08:00.",
                    nameof(zone)
                );
        }

        /// <summary>The n of T+n: 0 to <see cref="MaxDays"/>.</summary>
        public int Days { get; }

        /// <summary>The time of day at which the window closes, by the clocks of <see cref="Zone"/>.</summary>
        public TimeOnly Time { get; }

        /// <summary>The zone of both the day T and the cut-off.</summary>
        public TimeZoneInfo Zone { get; }

        /// <inheritdoc/>
        public override DateTimeOffset ClosesAt(DateTimeOffset initiatedAt)
        {
            var local = TimeZoneInfo.ConvertTime(initiatedAt, Zone).Date.AddDays(Days) + Time.ToTimeSpan();

            // Offsets change months apart, so the local time has the offset of the day before or of the day after. A
            // candidate is real if its offset is in force at its own instant.
            var utc = new DateTimeOffset(local, TimeSpan.Zero);
            var earlier = new DateTimeOffset(local, Zone.GetUtcOffset(utc.AddDays(-1)));
            var later = new DateTimeOffset(local, Zone.GetUtcOffset(utc.AddDays(1)));
            return (IsReal(earlier), IsReal(later)) switch
            {
                (true, false) => earlier,
                (false, true) => later,
                _ => earlier > later ? earlier : later,
            };
        }

        private bool IsReal(DateTimeOffset time) => Zone.GetUtcOffset(time) == time.Offset;

        /// <inheritdoc/>
        public override string ToString()
        {
            var time = Time.ToString(Time.Second == 0 ? "HH:mm" : "HH:mm:ss", CultureInfo.InvariantCulture);
            return string.Create(CultureInfo.InvariantCulture, $"T+{Days} {time} {Zone.Id}");
        }
    }

    /// <summary>Lasts for a duration since the initiation, such as 24 hours or 7 days.</summary>
    public sealed record Lasting : CancelWindow
    {
        /// <exception cref="ArgumentOutOfRangeException">
        /// The duration is not positive, or over <see cref="MaxDays"/> days.
        /// </exception>
        public Lasting(TimeSpan duration)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(duration, TimeSpan.FromDays(MaxDays));
            Duration = duration;
        }

        /// <summary>The duration since the initiation.</summary>
        public TimeSpan Duration { get; }

        /// <inheritdoc/>
        public override DateTimeOffset ClosesAt(DateTimeOffset initiatedAt) => initiatedAt + Duration;

        /// <inheritdoc/>
        public override string ToString() => XmlConvert.ToString(Duration);
    }
}

/// <summary>
/// Time zones by name. A fixed offset needs no zone data, so the usual window works on every machine.
/// </summary>
public static class TimeZones
{
    /// <summary>
    /// Finds a zone by IANA name (<c>Asia/Shanghai</c>) or offset (<c>+08:00</c>); null for an unknown name.
    /// </summary>
    public static TimeZoneInfo? Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (
            name is [('+' or '-') and var sign, .. var hours]
            && TimeSpan.TryParseExact(hours, "hh\\:mm", CultureInfo.InvariantCulture, out var offset)
        )
        {
            return offset <= TimeSpan.FromHours(14)
                ? TimeZoneInfo.CreateCustomTimeZone(name, sign == '-' ? -offset : offset, name, name)
                : null;
        }

        return TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone) ? zone : null;
    }
}
