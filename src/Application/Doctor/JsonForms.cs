using System.Globalization;
using System.Text;
using System.Text.Json;

namespace CancelService.Application.Doctor;

/// <summary>
/// The texts in which serializers write the same JSON. A merchant who signs one and sends another has a signature that does
/// not verify.
/// </summary>
internal static class JsonForms
{
    private const int MaxPermuted = 6;

    private sealed record Layout(string Name, string Indent, string Break, string Comma, string Colon);

    private static readonly Layout[] Layouts =
    [
        new("without white space", "", "", ",", ":"),
        new("with a space behind each comma and colon, as Python writes it", "", "", ", ", ": "),
        new("indented by 2", "  ", "\n", ",", ": "),
        new("indented by 4", "    ", "\n", ",", ": "),
        new("indented by a tab", "\t", "\n", ",", ": "),
        new("indented by 1", " ", "\n", ",", ": "),
        new("indented by 2 with spaces around the colon, as Jackson writes it", "  ", "\n", ",", " : "),
        new("indented by 3", "   ", "\n", ",", ": "),
        new("indented by 2 with CR LF", "  ", "\r\n", ",", ": "),
        new("indented by 4 with CR LF", "    ", "\r\n", ",", ": "),
        new("indented by a tab with CR LF", "\t", "\r\n", ",", ": "),
        new("indented by 2 with spaces around the colon and CR LF", "  ", "\r\n", ",", " : "),
        new("with a space behind each comma", "", "", ", ", ":"),
        new("with a space behind each colon", "", "", ",", ": "),
    ];

    private static readonly (string Name, Func<Rune, string?> Escape)[] Escapes =
    [
        ("", _ => null),
        ("with \\u escapes in place of letters", r => r.IsAscii ? null : Units(r, "x4")),
        ("with \\/ in place of /", r => r.Value == '/' ? "\\/" : null),
        (
            "with \\/ in place of / and \\u escapes in place of letters, as PHP writes it",
            r =>
                r.Value == '/' ? "\\/"
                : r.IsAscii ? null
                : Units(r, "x4")
        ),
        ("with \\u escapes in capitals in place of letters", r => r.IsAscii ? null : Units(r, "X4")),
        (
            "with \\u escapes for what HTML knows, as Go writes it",
            r => r.Value is '<' or '>' or '&' or 0x2028 or 0x2029 ? Units(r, "x4") : null
        ),
        (
            "with \\u escapes for what HTML knows, as Gson writes it",
            r => r.Value is '<' or '>' or '&' or '=' or '\'' or 0x2028 or 0x2029 ? Units(r, "x4") : null
        ),
        (
            "with \\u escapes for what HTML knows and in place of letters, as System.Text.Json writes it",
            r => r.Value is '<' or '>' or '&' or '+' or '\'' or '"' or '`' || !r.IsAscii ? Units(r, "X4") : null
        ),
    ];

    /// <summary>The texts, each with what is to be said of it; the likeliest first, and each once.</summary>
    public static IEnumerable<(string Name, string Text)> Of(string json)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json.TrimStart('\uFEFF'), new JsonDocumentOptions { MaxDepth = 64 });
        }
        catch (JsonException)
        {
            yield break;
        }
        using (document)
        {
            if (document.RootElement.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array))
                yield break;
            var seen = new HashSet<string>(StringComparer.Ordinal);
            foreach (var style in Styles(Orders(document.RootElement)))
            {
                var text = new StringBuilder();
                if (!TryWrite(document.RootElement, text, style, depth: 0))
                    yield break;
                if (seen.Add(text.ToString()))
                    yield return (style.Name, text.ToString());
            }
        }
    }

    // What serializers differ in: white space and escapes, and then the order of members, and members that are null.
    private static IEnumerable<Style> Styles(int orders)
    {
        foreach (var (name, escape) in Escapes)
        foreach (var layout in Layouts)
            yield return new(Join(layout.Name, name), layout, escape, Sorted: false, DropNulls: false, Order: 0);
        foreach (var (name, escape) in Escapes.Take(4))
        foreach (var layout in Layouts)
        {
            yield return new(Join(layout.Name, "with its members sorted", name), layout, escape, true, false, 0);
            yield return new(Join(layout.Name, "without members that are null", name), layout, escape, false, true, 0);
        }
        foreach (var layout in Layouts.Take(2))
            for (var order = 1; order < orders; order++)
                yield return new(
                    Join(layout.Name, "with its members in another order"),
                    layout,
                    Escapes[0].Escape,
                    false,
                    false,
                    order
                );
    }

    private static int Orders(JsonElement root)
    {
        if (root.ValueKind is not JsonValueKind.Object)
            return 1;
        var orders = 1;
        for (var count = Math.Min(root.EnumerateObject().Count(), MaxPermuted); count > 1; count--)
            orders *= count;
        return orders;
    }

    private static string Join(params string[] names) => string.Join(", ", names.Where(name => name.Length > 0));

    private sealed record Style(
        string Name,
        Layout Layout,
        Func<Rune, string?> Escape,
        bool Sorted,
        bool DropNulls,
        int Order
    );

    private static bool TryWrite(JsonElement json, StringBuilder text, Style style, int depth)
    {
        try
        {
            Write(json, text, style, depth);
            return true;
        }
        // A string that is no text, such as half of a surrogate pair.
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static void Write(JsonElement json, StringBuilder text, Style style, int depth)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                var members = json.EnumerateObject()
                    .Where(member => !style.DropNulls || member.Value.ValueKind is not JsonValueKind.Null);
                if (style.Sorted)
                    members = members.OrderBy(member => member.Name, StringComparer.Ordinal);
                Write(
                    depth == 0 ? Ordered([.. members], style.Order) : [.. members],
                    ('{', '}'),
                    text,
                    style,
                    depth,
                    member =>
                    {
                        Write(member.Name, text, style);
                        text.Append(style.Layout.Colon);
                        Write(member.Value, text, style, depth + 1);
                    }
                );
                break;
            case JsonValueKind.Array:
                Write(
                    [.. json.EnumerateArray()],
                    ('[', ']'),
                    text,
                    style,
                    depth,
                    item => Write(item, text, style, depth + 1)
                );
                break;
            case JsonValueKind.String:
                Write(json.GetString()!, text, style);
                break;
            default:
                text.Append(json.GetRawText());
                break;
        }
    }

    // The order of that number among all orders of up to six members; the others stay behind them.
    private static List<T> Ordered<T>(List<T> items, int order)
    {
        var left = items.Take(MaxPermuted).ToList();
        var ordered = new List<T>();
        while (left.Count > 0)
        {
            ordered.Add(left[order % left.Count]);
            left.RemoveAt(order % left.Count);
            order /= left.Count + 1;
        }
        return [.. ordered, .. items.Skip(MaxPermuted)];
    }

    private static void Write<T>(
        List<T> items,
        (char Open, char Close) brackets,
        StringBuilder text,
        Style style,
        int depth,
        Action<T> write
    )
    {
        text.Append(brackets.Open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0)
                text.Append(style.Layout.Comma);
            NewLine(depth + 1);
            write(items[i]);
        }
        if (items.Count > 0)
            NewLine(depth);
        text.Append(brackets.Close);

        void NewLine(int indents)
        {
            text.Append(style.Layout.Break);
            for (var i = 0; i < indents; i++)
                text.Append(style.Layout.Indent);
        }
    }

    private static void Write(string value, StringBuilder text, Style style)
    {
        text.Append('"');
        foreach (var rune in value.EnumerateRunes())
            text.Append(
                style.Escape(rune)
                    ?? rune.Value switch
                    {
                        '"' => "\\\"",
                        '\\' => "\\\\",
                        '\n' => "\\n",
                        '\r' => "\\r",
                        '\t' => "\\t",
                        '\b' => "\\b",
                        '\f' => "\\f",
                        < 0x20 => Units(rune, "x4"),
                        _ => rune.ToString(),
                    }
            );
        text.Append('"');
    }

    private static string Units(Rune rune, string format) =>
        string.Concat(
            rune.ToString().Select(unit => "\\u" + ((int)unit).ToString(format, CultureInfo.InvariantCulture))
        );
}
