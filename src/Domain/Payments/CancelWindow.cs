using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Xml;

namespace CancelService.Domain.Payments;

/// <summary>
/// The term of a contract that says how long after its initiation a payment can be cancelled. The end is exclusive:
/// the window is open strictly before <see cref="ClosesAt"/>, and closed at that very tick.
/// </summary>
public abstract record CancelWindow
{
    /// <summary>The longest window that a contract may have, in days.</summary>
    public const int MaxDays = 366;

    private CancelWindow() { }

    /// <summary>The usual window: until 00:15 at UTC+8 on the day after the payment's.</summary>
    public static CancelWindow Usual { get; } = new CutOff(1, new TimeOnly(0, 15), "+08:00");

    /// <summary>The first instant at which a payment that was initiated at <paramref name="initiatedAt"/> can't be cancelled.</summary>
    public abstract DateTimeOffset ClosesAt(DateTimeOffset initiatedAt);

    /// <summary>Tells whether a payment can still be cancelled at <paramref name="now"/>.</summary>
    public bool IsOpen(DateTimeOffset initiatedAt, DateTimeOffset now) => now < ClosesAt(initiatedAt);

    /// <summary>Reads the text that <see cref="object.ToString"/> writes: <c>T+1 00:15 +08:00</c> or <c>PT24H</c>.</summary>
    /// <exception cref="FormatException">The text is no window, or one that is out of bounds.</exception>
    public static CancelWindow Parse(string text) =>
        TryParse(text, out var window) ? window : throw new FormatException($"'{text}' is not a cancel window.");

    /// <summary>Reads the same text, and tells whether it is a window.</summary>
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
            // Not a window: the parts throw when they are malformed.
        }
        return window is not null;
    }

    /// <summary>
    /// Until a cut-off time on day T+n in a time zone, T being the day, in that zone, on which the payment was initiated.
    /// Where daylight saving makes the cut-off happen twice, the later one counts; where it is skipped, the window
    /// stays open as long as the clocks were put forward. Both err in the merchant's favour, by an hour once a year.
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

            // Zones change their offset months apart, so the offsets a day before and a day after are all that
            // can be in force at this local time. One that is in force at the instant it leads to is real.
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
        public override string ToString() =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"T+{Days} {Time.ToString(Time.Second == 0 ? "HH:mm" : "HH:mm:ss", CultureInfo.InvariantCulture)} {Zone.Id}"
            );
    }

    /// <summary>For a duration since initiation, such as 24 hours or 7 days.</summary>
    public sealed record Lasting : CancelWindow
    {
        /// <exception cref="ArgumentOutOfRangeException">The duration is not positive, or over <see cref="MaxDays"/> days.</exception>
        public Lasting(TimeSpan duration)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(duration, TimeSpan.FromDays(MaxDays));
            Duration = duration;
        }

        /// <summary>How long the window is open.</summary>
        public TimeSpan Duration { get; }

        /// <inheritdoc/>
        public override DateTimeOffset ClosesAt(DateTimeOffset initiatedAt) => initiatedAt + Duration;

        /// <inheritdoc/>
        public override string ToString() => XmlConvert.ToString(Duration);
    }
}

/// <summary>Time zones by name. A fixed offset needs no time zone data on the machine, so the usual window works on any.</summary>
public static class TimeZones
{
    /// <summary>The zone of an IANA name (<c>Asia/Shanghai</c>) or of an offset (<c>+08:00</c>); null when there is none.</summary>
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
