using CancelService.Domain.Payments;

namespace CancelService.UnitTests;

public sealed class CancelWindowTests
{
    // Each window with the instant at which it closes; the tick before is still open.
    public static readonly TheoryData<string[]> Closings = Table.Cases(
        """
        window                           initiated at               closes at                  because
        T+1 00:15 +08:00                 2026-03-10T00:00:00+08:00  2026-03-11T00:15:00+08:00  the usual window, from the day's first instant
        T+1 00:15 +08:00                 2026-03-10T23:59:59+08:00  2026-03-11T00:15:00+08:00  the usual window, 15 minutes before it closes
        T+1 00:15 +08:00                 2026-03-10T16:00:00Z       2026-03-12T00:15:00+08:00  at UTC+8 this is the next day already
        T+1 00:15 +08:00                 2026-03-10T15:59:59Z       2026-03-11T00:15:00+08:00  at UTC+8 it is the last second of the day
        T+1 00:15 +08:00                 2026-03-10T11:00:00-05:00  2026-03-12T00:15:00+08:00  the offset in which a time is written does not matter
        T+1 00:15 +08:00                 2026-12-31T12:00:00+08:00  2027-01-01T00:15:00+08:00  over the year's end
        T+1 00:15 +08:00                 2028-02-28T12:00:00+08:00  2028-02-29T00:15:00+08:00  into a leap day
        T+0 23:59:59 +08:00              2026-03-10T00:00:00+08:00  2026-03-10T23:59:59+08:00  on the same day
        T+0 12:00 +08:00                 2026-03-10T13:00:00+08:00  2026-03-10T12:00:00+08:00  the cut-off was over before: never open
        T+0 00:00 +08:00                 2026-03-10T00:00:00+08:00  2026-03-10T00:00:00+08:00  never open
        T+30 00:15 +08:00                2026-03-10T12:00:00+08:00  2026-04-09T00:15:00+08:00  a month
        T+366 00:15 +08:00               2026-03-10T12:00:00+08:00  2027-03-11T00:15:00+08:00  the longest
        T+1 00:15 Asia/Shanghai          2026-03-10T12:00:00+08:00  2026-03-11T00:15:00+08:00  a zone by its name
        T+1 00:15 Pacific/Kiritimati     2026-03-10T09:59:59Z       2026-03-11T00:15:00+14:00  the earliest zone, just before its midnight
        T+1 00:15 Pacific/Kiritimati     2026-03-10T10:00:00Z       2026-03-12T00:15:00+14:00  the earliest zone, at its midnight
        T+1 00:15 Pacific/Pago_Pago      2026-03-10T10:59:59Z       2026-03-10T00:15:00-11:00  the latest zone is still on the day before
        T+1 00:15 Pacific/Pago_Pago      2026-03-10T11:00:00Z       2026-03-11T00:15:00-11:00  the latest zone, at its midnight
        T+1 00:15 Asia/Kathmandu         2026-03-10T18:14:59Z       2026-03-11T00:15:00+05:45  an offset of 5:45, just before midnight
        T+1 00:15 Asia/Kathmandu         2026-03-10T18:15:00Z       2026-03-12T00:15:00+05:45  an offset of 5:45, at midnight
        T+1 00:15 Pacific/Apia           2011-12-29T12:00:00-10:00  2011-12-30T10:15:00Z       the 30th never came: open until the first 00:15 after it
        T+1 23:00 Pacific/Apia           2011-12-29T12:00:00-10:00  2011-12-31T09:00:00Z       the 30th never came: open as long as the clocks were put forward
        T+2 00:15 Pacific/Apia           2011-12-29T12:00:00-10:00  2011-12-31T00:15:00+14:00  the day after the skipped one
        T+0 23:59 Pacific/Apia           2011-12-29T12:00:00-10:00  2011-12-29T23:59:00-10:00  the day before the skipped one
        T+1 00:15 Pacific/Apia           2011-12-31T00:00:00+14:00  2012-01-01T00:15:00+14:00  on the new side of the date line
        T+1 02:30 America/New_York       2026-03-07T12:00:00-05:00  2026-03-08T03:30:00-04:00  in the gap of spring
        T+1 02:00 America/New_York       2026-03-07T12:00:00-05:00  2026-03-08T03:00:00-04:00  at the start of the gap
        T+1 01:59:59 America/New_York    2026-03-07T12:00:00-05:00  2026-03-08T01:59:59-05:00  just before the gap
        T+1 03:00 America/New_York       2026-03-07T12:00:00-05:00  2026-03-08T03:00:00-04:00  at the end of the gap
        T+1 01:30 America/New_York       2026-10-31T12:00:00-04:00  2026-11-01T01:30:00-05:00  in the overlap of autumn: the later
        T+1 01:00 America/New_York       2026-10-31T12:00:00-04:00  2026-11-01T01:00:00-05:00  at the start of the overlap: the later
        T+1 00:59:59 America/New_York    2026-10-31T12:00:00-04:00  2026-11-01T00:59:59-04:00  just before the overlap
        T+1 02:00 America/New_York       2026-10-31T12:00:00-04:00  2026-11-01T02:00:00-05:00  at the end of the overlap
        T+1 12:00 America/New_York       2026-03-07T12:00:00-05:00  2026-03-08T12:00:00-04:00  a day of 23 hours
        T+1 02:30 Europe/Berlin          2026-03-28T12:00:00+01:00  2026-03-29T03:30:00+02:00  in the gap, east of Greenwich
        T+1 02:30 Europe/Berlin          2026-10-24T12:00:00+02:00  2026-10-25T02:30:00+01:00  in the overlap, east of Greenwich
        T+1 00:15 Europe/Berlin          2026-10-24T12:00:00+02:00  2026-10-25T00:15:00+02:00  before the overlap on its day
        T+0 00:15 Europe/Berlin          2026-10-25T12:00:00+01:00  2026-10-25T00:15:00+02:00  initiated after the overlap, cut off before
        T+1 02:15 Australia/Lord_Howe    2026-10-03T12:00:00+10:30  2026-10-04T02:45:00+11:00  a gap of half an hour
        T+1 01:45 Australia/Lord_Howe    2026-04-04T12:00:00+11:00  2026-04-05T01:45:00+10:30  an overlap of half an hour
        PT24H                            2026-03-10T12:00:00Z       2026-03-11T12:00:00Z       24 hours
        PT24H                            2026-03-07T12:00:00-05:00  2026-03-08T13:00:00-04:00  24 hours, not a day by the clocks
        P7D                              2026-03-10T12:00:00+08:00  2026-03-17T12:00:00+08:00  7 days
        PT0.0000001S                     2026-03-10T12:00:00Z       2026-03-10T12:00:00.0000001Z  the shortest
        P366D                            2026-03-10T12:00:00Z       2027-03-11T12:00:00Z       the longest
        """
    );

    [Theory]
    [MemberData(nameof(Closings))]
    public void A_window_is_open_until_the_tick_before_its_close(string[] columns)
    {
        var window = CancelWindow.Parse(columns[0]);
        var (initiatedAt, closesAt) = (Given.Time(columns[1]), Given.Time(columns[2]));

        window.ClosesAt(initiatedAt).ToUniversalTime().ShouldBe(closesAt.ToUniversalTime(), columns[3]);
        window.IsOpen(initiatedAt, closesAt.AddTicks(-1)).ShouldBeTrue();
        window.IsOpen(initiatedAt, closesAt).ShouldBeFalse();
        window.IsOpen(initiatedAt, closesAt.AddTicks(1)).ShouldBeFalse();
    }

    [Fact]
    public void The_usual_window_is_open_until_a_quarter_past_midnight_at_UTC_8_on_the_next_day()
    {
        CancelWindow.Usual.ToString().ShouldBe("T+1 00:15 +08:00");
        CancelWindow.Usual.ShouldBe(new CancelWindow.CutOff(1, new TimeOnly(0, 15), "+08:00"));
    }

    [Theory]
    [InlineData("T+1 00:15 +08:00", "T+1 00:15 +08:00")]
    [InlineData("T+0 23:59:59 Asia/Kathmandu", "T+0 23:59:59 Asia/Kathmandu")]
    [InlineData("T+366 00:15:00 -11:00", "T+366 00:15 -11:00")]
    [InlineData("T+01 00:15 +08:00", "T+1 00:15 +08:00")]
    [InlineData("T+1 00:15 UTC", "T+1 00:15 UTC")]
    [InlineData("PT24H", "P1D")]
    [InlineData("P7D", "P7D")]
    [InlineData("PT1H30M0.5S", "PT1H30M0.5S")]
    public void A_window_is_parsed_and_formatted(string text, string written)
    {
        var window = CancelWindow.Parse(text);

        window.ToString().ShouldBe(written);
        CancelWindow.Parse(written).ShouldBe(window);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("24h")]
    [InlineData("PT")]
    [InlineData("T+1")]
    [InlineData("T+1 00:15")]
    [InlineData("T+1 00:15 +08:00 ")]
    [InlineData("T+1  00:15 +08:00")]
    [InlineData("T-1 00:15 +08:00")]
    [InlineData("T+ 00:15 +08:00")]
    [InlineData("T+-1 00:15 +08:00")]
    [InlineData("T+1.5 00:15 +08:00")]
    [InlineData("t+1 00:15 +08:00")]
    [InlineData("T+1 24:00 +08:00")]
    [InlineData("T+1 0:15 +08:00")]
    [InlineData("T+1 12:15AM +08:00")]
    [InlineData("T+1 00:15:00.5 +08:00")]
    [InlineData("T+99999999999 00:15 +08:00")]
    [InlineData("P99999999999D")]
    public void A_malformed_window_is_refused(string text) =>
        Should.Throw<FormatException>(() => CancelWindow.Parse(text)).Message.ShouldContain($"'{text}'");

    [Theory]
    [InlineData("T+367 00:15 +08:00")]
    [InlineData("T+1 00:15 +15:00")]
    [InlineData("T+1 00:15 +8")]
    [InlineData("T+1 00:15 +08:60")]
    [InlineData("T+1 00:15 Asia/Atlantis")]
    [InlineData("T+1 00:15 ../etc/passwd")]
    [InlineData("PT0S")]
    [InlineData("-PT1H")]
    [InlineData("P367D")]
    [InlineData("P366DT0.0000001S")]
    public void A_window_out_of_bounds_is_refused(string text) =>
        Should.Throw<FormatException>(() => CancelWindow.Parse(text));

    [Fact]
    public void A_cut_off_out_of_bounds_is_refused()
    {
        var time = new TimeOnly(0, 15);

        Should.Throw<ArgumentOutOfRangeException>(() => new CancelWindow.CutOff(-1, time, "+08:00"));
        Should.Throw<ArgumentOutOfRangeException>(() => new CancelWindow.CutOff(367, time, "+08:00"));
        Should.Throw<ArgumentException>(() => new CancelWindow.CutOff(1, time, ""));
        Should.Throw<ArgumentNullException>(() => new CancelWindow.CutOff(1, time, null!));
        Should.Throw<ArgumentNullException>(() => CancelWindow.Parse(null!));
    }

    [Fact]
    public void A_cut_off_with_a_fraction_of_a_second_is_refused() =>
        Should.Throw<ArgumentException>(() => new CancelWindow.CutOff(1, new TimeOnly(0, 15, 0, 500), "+08:00"));

    [Theory]
    [InlineData("+08:00", 8 * 60)]
    [InlineData("-11:00", -11 * 60)]
    [InlineData("+05:45", (5 * 60) + 45)]
    [InlineData("+00:00", 0)]
    [InlineData("-00:00", 0)]
    [InlineData("+14:00", 14 * 60)]
    [InlineData("-14:00", -14 * 60)]
    [InlineData("Asia/Kathmandu", (5 * 60) + 45)]
    [InlineData("UTC", 0)]
    public void A_zone_is_found_by_name_or_offset(string name, int minutes)
    {
        var zone = TimeZones.Find(name).ShouldNotBeNull();

        zone.Id.ShouldBe(name);
        zone.GetUtcOffset(Given.Noon).ShouldBe(TimeSpan.FromMinutes(minutes));
    }

    [Theory]
    [InlineData("")]
    [InlineData("+")]
    [InlineData("+14:01")]
    [InlineData("-14:01")]
    [InlineData("+8:00")]
    [InlineData("+0800")]
    [InlineData("+08:00:00")]
    [InlineData("08:00")]
    [InlineData("+-8:00")]
    [InlineData("Mars/Olympus_Mons")]
    public void An_unknown_zone_is_not_found(string name) => TimeZones.Find(name).ShouldBeNull();
}
