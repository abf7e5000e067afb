using CancelService.OperatorConsole.Pages;
using CancelService.Protocol;

namespace CancelService.OperatorConsole;

/// <summary>The answers of the last hour as a picture (SVG), and as a table for who can't see it.</summary>
internal static class AnswersChart
{
    private const int Bar = 10;
    private const int Height = 120;

    // What a merchant is told, from the bottom of a bar to its top.
    private static readonly (string Class, string Name, Func<string, bool> Holds)[] Kinds =
    [
        ("s", "S, cancelled", code => code == ResultCode.Success.Code),
        (
            "f",
            "F, refused",
            code => code is not "none" && code != ResultCode.Success.Code && code != ResultCode.UnknownException.Code
        ),
        ("u", "U, unknown", code => code == ResultCode.UnknownException.Code),
        ("n", "turned away with 503", code => code is "none"),
    ];

    private static readonly int[][] PlacesOf =
    [
        .. Kinds.Select(kind =>
            AnswersOfTheHour
                .Codes.Select((code, place) => (code, place))
                .Where(c => kind.Holds(c.code))
                .Select(c => c.place)
                .ToArray()
        ),
    ];

    /// <summary>Draws what <see cref="AnswersOfTheHour.Read"/> gave.</summary>
    public static Html Of(IReadOnlyList<int[]> minutes)
    {
        var most = Math.Max(1, minutes.Max(codes => codes.Sum()));
        var width = AnswersOfTheHour.Minutes * Bar;
        var bars = Html.Join(minutes.Select((codes, i) => Column(codes, i * Bar, most)));
        var legend = Html.Join(
            Kinds.Select(kind => Html.Of($"<span class=\"swatch {kind.Class}\"></span> {kind.Name}. "))
        );
        return Html.Of(
            $"""
            <svg viewBox="0 0 {width} {Height
                + 4}" preserveAspectRatio="none" role="img" aria-label="Answers of the last hour by minute; the table below has the numbers.">
            {bars}<line class="axis" x1="0" y1="{Height + 2}" x2="{width}" y2="{Height + 2}"/></svg>
            <p>From an hour ago to now, a bar a minute; answers in the highest: {most}. {legend}</p>
            {Table(minutes)}
            """
        );
    }

    private static Html Column(int[] codes, int x, int most)
    {
        var below = 0;
        var parts = new List<Html>();
        for (var kind = 0; kind < Kinds.Length; kind++)
        {
            var count = PlacesOf[kind].Sum(place => codes[place]);
            if (count == 0)
                continue;
            var (bottom, top) = (below * Height / most, (below + count) * Height / most);
            // What happened at all is seen, however much else did.
            var size = Math.Max(top - bottom, 2);
            parts.Add(
                Html.Of(
                    $"<rect class=\"{Kinds[kind].Class}\" x=\"{x}\" y=\"{Height - bottom - size}\" width=\"{Bar - 2}\" height=\"{size}\"/>"
                )
            );
            below += count;
        }
        return Html.Join(parts);
    }

    private static Html Table(IReadOnlyList<int[]> minutes)
    {
        var rows = Html.Join(
            AnswersOfTheHour
                .Codes.Select((code, place) => (code, count: minutes.Sum(codes => codes[place])))
                .Where(row => row.count > 0)
                .Select(row =>
                    Html.Of(
                        $"<tr><th scope=\"row\">{(row.code == "none" ? "turned away with 503" : row.code)}</th><td class=\"number\">{row.count}</td></tr>"
                    )
                )
        );
        return rows.Text.Length == 0
            ? Html.Of($"<p>This instance answered no merchant in the last hour.</p>")
            : Html.Of(
                $"<table><thead><tr><th scope=\"col\">Code</th><th scope=\"col\" class=\"number\">Answers in the last hour</th></tr></thead><tbody>{rows}</tbody></table>"
            );
    }
}
