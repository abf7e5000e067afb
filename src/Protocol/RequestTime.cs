using System.Globalization;
using System.Text.RegularExpressions;

namespace CancelService.Protocol;

/// <summary>
/// The header <c>Request-Time</c> in the forms that SDKs send: ISO 8601 with an offset (<c>Z</c>, <c>+05:30</c> or
/// <c>+0530</c>), with up to 9 digits of a second's fraction, or without zero seconds as Java writes it; or
/// milliseconds since 1970. A time without an offset is ambiguous, and refused.
/// </summary>
public abstract partial record RequestTime
{
    private RequestTime() { }

    /// <summary>A well-formed time.</summary>
    public sealed record At(DateTimeOffset Time) : RequestTime;

    /// <summary>
    /// A malformed or untimely text. The problem completes a sentence that begins with the header's name.
    /// </summary>
    public sealed record Illegal(string Problem) : RequestTime;

    /// <summary>Reads the header and compares it with our clock, within <paramref name="tolerance"/>.</summary>
    public static RequestTime Check(string text, DateTimeOffset now, TimeSpan tolerance)
    {
        ArgumentNullException.ThrowIfNull(text);
        var read = Read(text);
        if (read is not At at)
            return read;
        if ((at.Time - now).Duration() <= tolerance)
            return at;
        return new Illegal(
            text.Length is 9 or 10 && text.All(char.IsAsciiDigit)
                ? "is in seconds since 1970; milliseconds are meant (13 digits)."
                : $"is more than {tolerance.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s away from our clock."
        );
    }

    /// <summary>Reads the header, and truncates it to a tick (100 ns).</summary>
    public static RequestTime Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > 0 && text.All(char.IsAsciiDigit))
        {
            return text.Length <= 14
                ? new At(DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(text, CultureInfo.InvariantCulture)))
                : new Illegal($"has {text.Length} digits; milliseconds since 1970 are meant (13 digits).");
        }

        var match = Iso8601().Match(text);
        if (match.Success && !match.Groups["offset"].Success)
            return new Illegal("has no offset; end it with Z or with an offset such as +05:30.");
        if (match.Success)
        {
            var seconds = match.Groups["seconds"] is { Success: true, Value: var given } ? given : "00";
            var fraction = match.Groups["fraction"].Value.PadRight(7, '0')[..7];
            var offset = match.Groups["offset"].Value.Replace(":", "", StringComparison.Ordinal);
            var zone = offset == "Z" ? "+00:00" : offset.Insert(3, ":");
            var isTime = DateTimeOffset.TryParseExact(
                $"{match.Groups["minutes"].Value}:{seconds}.{fraction}{zone}",
                "yyyy-MM-dd'T'HH:mm:ss.fffffffzzz",
                CultureInfo.InvariantCulture,
                DateTimeStyles.None,
                out var time
            );
            if (isTime)
                return new At(time);
        }
        return new Illegal("must be ISO 8601 with an offset, such as 2019-04-04T12:08:56+05:30.");
    }

    [GeneratedRegex(
        @"\A(?<minutes>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})"
            + @"(:(?<seconds>[0-9]{2})(\.(?<fraction>[0-9]{1,9}))?)?"
            + @"(?<offset>Z|[+-][0-9]{2}:?[0-9]{2})?\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Iso8601();
}
