using System.Globalization;
using System.Text.RegularExpressions;

namespace CancelService.Api.Internal;

/// <summary>
/// A time with an offset (ISO 8601), in bodies and queries. A time without an offset is ambiguous, and refused.
/// </summary>
public readonly partial record struct OffsetTime(DateTimeOffset Value)
{
    /// <summary>The rule in words, for messages.</summary>
    public const string Rule =
        "must be a time with an offset, such as 2026-03-01T10:15:30Z or 2026-03-01T18:15:30+08:00";

    /// <summary>Reads a time; refuses fractions finer than 100 ns.</summary>
    public static bool TryParse(string? text, out OffsetTime time)
    {
        time = default;
        if (
            text is null
            || !Form().IsMatch(text)
            || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var value)
        )
            return false;
        time = new OffsetTime(value);
        return true;
    }

    [GeneratedRegex(
        @"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,7})?)?(Z|[+-][0-9]{2}:[0-9]{2})\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Form();
}
