using CancelService.Api.Internal;

namespace CancelService.UnitTests;

/// <summary>A time of the internal API means one instant, whoever reads it.</summary>
public sealed class OffsetTimeTests
{
    [Theory]
    [InlineData("2026-03-01T10:15Z", "2026-03-01T10:15:00.0000000+00:00")]
    [InlineData("2026-03-01T10:15:30Z", "2026-03-01T10:15:30.0000000+00:00")]
    [InlineData("2026-03-01T18:15:30+08:00", "2026-03-01T18:15:30.0000000+08:00")]
    [InlineData("2026-03-01T10:15:30.1-05:30", "2026-03-01T10:15:30.1000000-05:30")]
    [InlineData("2026-03-01T10:15:30.1234567Z", "2026-03-01T10:15:30.1234567+00:00")]
    public void A_time_with_an_offset_is_read(string text, string expected)
    {
        OffsetTime.TryParse(text, out var time).ShouldBeTrue();
        time.Value.ToString("O", System.Globalization.CultureInfo.InvariantCulture).ShouldBe(expected);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("2026-03-01")]
    [InlineData("2026-03-01T10:15:30")] // Another instant in each zone.
    [InlineData("2026-03-01T10:15:30 08:00")] // What a bare + in a query becomes.
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
    public void What_might_mean_another_instant_to_someone_is_no_time(string? text)
    {
        OffsetTime.TryParse(text, out var time).ShouldBeFalse();
        time.ShouldBe(default);
    }
}
