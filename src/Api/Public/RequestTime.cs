using System.Globalization;
using System.Text.RegularExpressions;

namespace CancelService.Api.Public;

/// <summary>
/// The header <c>Request-Time</c> in the forms that clients send: ISO 8601 with an offset (<c>Z</c>, <c>+05:30</c> or
/// <c>+0530</c>) and 0 to 9 digits of a second's fraction, or milliseconds since 1970.
/// </summary>
public static partial class RequestTime
{
    /// <summary>Reads the header; what is finer than a tick is cut off.</summary>
    public static bool TryParse(string text, out DateTimeOffset time)
    {
        time = default;
        if (EpochMilliseconds().IsMatch(text))
        {
            time = DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(text, CultureInfo.InvariantCulture));
            return true;
        }

        if (Iso8601().Match(text) is not { Success: true } match)
            return false;
        var fraction = match.Groups["fraction"].Value.PadRight(7, '0')[..7];
        var offset = match.Groups["offset"].Value.Replace(":", "", StringComparison.Ordinal);
        return DateTimeOffset.TryParseExact(
            $"{match.Groups["seconds"].Value}.{fraction}{(offset == "Z" ? "+00:00" : offset.Insert(3, ":"))}",
            "yyyy-MM-dd'T'HH:mm:ss.fffffffzzz",
            CultureInfo.InvariantCulture,
            DateTimeStyles.None,
            out time
        );
    }

    [GeneratedRegex(@"\A[0-9]{1,14}\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EpochMilliseconds();

    [GeneratedRegex(
        @"\A(?<seconds>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.(?<fraction>[0-9]{1,9}))?(?<offset>Z|[+-][0-9]{2}:?[0-9]{2})\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Iso8601();
}
