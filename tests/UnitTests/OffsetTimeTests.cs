using CancelService.Api.Internal;

namespace CancelService.UnitTests;

/// <summary>Goal: a time of the internal API has an offset, so that every reader sees the same instant.</summary>
public sealed class OffsetTimeTests
{
    [Theory]
    [InlineData("2026-03-01T10:15Z", "2026-03-01T10:15:00.0000000+00:00")]
    [InlineData("2026-03-01T10:15:30Z", "2026-03-01T10:15:30.0000000+00:00")]
    [InlineData("2026-03-01T18:15:30+08:00", "2026-03-01T18:15:30.0000000+08:00")]
    [InlineData("2026-03-01T10:15:30.1-05:30", "2026-03-01T10:15:30.1000000-05:30")]
    [InlineData("2026-03-01T10:15:30.1234567Z", "2026-03-01T10:15:30.1234567+00:00")]
    public void A_time_with_an_offset_is_parsed(string text, string expected)
    {
        OffsetTime.TryParse(text, out var time).ShouldBeTrue();
        time.Value.ToString("O", System.Globalization.CultureInfo.InvariantCulture).ShouldBe(expected);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("2026-03-01")]
    [InlineData("2026-03-01T10:15:30")] // Without an offset the instant depends on the zone.
    [InlineData("2026-03-01T10:15:30 08:00")] // A bare + in a query decodes to a space.
    [InlineData("2026-03-01 10:15:30Z")]
    [InlineData("2026-03-01T10:15:30.12345678Z")]
    [InlineData("2026-03-01T10:15:30.Z")]
    [InlineData("2026-03-01T10:15:30+0800")]
    [InlineData("2026-03-01T10:15:30+08:00 ")]
    [InlineData(" 2026-03-01T10:15:30Z")]
    [InlineData("2026-03-01T10:15:30Z\n")]
    [InlineData("2026-02-29T10:15:30Z")]
    [InlineData("2026-03-01T24:15:30Z")]
    [InlineData("2026-03-01T10:15:30+15:00")]
    [InlineData("1772360130123")]
    [InlineData("٢٠٢٦-03-01T10:15:30Z")]
    public void An_ambiguous_time_is_refused(string? text)
    {
        OffsetTime.TryParse(text, out var time).ShouldBeFalse();
        time.ShouldBe(default);
    }
}
