using CancelService.Infrastructure.Sql;

namespace CancelService.UnitTests;

/// <summary>Goal: a cursor resumes a list by time without a gap or a repeat, also among rows of equal time.</summary>
public sealed class TimeCursorTests
{
    private static readonly DateTimeOffset From = DateTimeOffset.UnixEpoch.AddMicroseconds(100);
    private static readonly DateTimeOffset To = DateTimeOffset.UnixEpoch.AddMicroseconds(200);

    [Theory]
    [InlineData("100-0", 100, 0)]
    [InlineData("150-7", 150, 7)]
    [InlineData("200-1", 200, 1)]
    public void A_cursor_is_parsed(string text, int microseconds, int read) =>
        TimeCursor
            .Parse(text, From, To)
            .ShouldBe(new TimeCursor(DateTimeOffset.UnixEpoch.AddMicroseconds(microseconds), read));

    [Fact]
    public void A_list_starts_at_its_beginning_without_a_cursor() =>
        TimeCursor.Parse(null, From, To).ShouldBe(new TimeCursor(From, 0));

    [Theory]
    [InlineData("")]
    [InlineData("150")]
    [InlineData("99-0")]
    [InlineData("201-0")]
    [InlineData("150-x")]
    [InlineData("150--1")]
    [InlineData("x-1")]
    [InlineData("150-1-1")]
    [InlineData("150-2147483648")]
    [InlineData("9223372036854775808-1")]
    public void A_cursor_that_no_page_gave_is_refused(string text) => TimeCursor.Parse(text, From, To).ShouldBeNull();

    [Theory]
    [InlineData(new[] { 110, 120 }, "120-1")] // One row has the last time.
    [InlineData(new[] { 120, 130, 130 }, "130-2")] // Two rows have it.
    [InlineData(new[] { 150, 150 }, "150-5")] // The three rows of equal time on earlier pages count too.
    public void The_next_cursor_counts_the_rows_of_the_last_time(int[] times, string next) =>
        new TimeCursor(DateTimeOffset.UnixEpoch.AddMicroseconds(150), 3)
            .Behind([.. times.Select(time => DateTimeOffset.UnixEpoch.AddMicroseconds(time))])
            .ShouldBe(next);
}
