using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace CancelService.Doctor;

/// <summary>
/// The texts in which serializers write the same JSON. A signature fails when the merchant signs one text and sends
/// another.
/// </summary>
internal static class JsonForms
{
    private const int MaxPermuted = 6;

    // No serializer escapes these characters.
    private static readonly SearchValues<char> Plain = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#$%()*,-.:;?@[]^_{|}~"
    );

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

    /// <summary>Lists the distinct texts with their names, likeliest first.</summary>
    public static IEnumerable<(string Name, string Text)> Of(string json)
    {
        if (Read(json) is not { } root || root.Kind is Kind.Raw)
            yield break;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var text = new StringBuilder();
        foreach (var style in Styles(Orders(root)))
        {
            text.Clear();
            Write(root, text, style, depth: 0);
            var form = text.ToString();
            if (seen.Add(form))
                yield return (style.Name, form);
        }
    }

    // Serializers differ in white space and escapes, then in the order of members and in null members.
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

    private static int Orders(Node root)
    {
        if (root.Kind is not Kind.Object)
            return 1;
        var orders = 1;
        for (var count = Math.Min(root.Items.Count, MaxPermuted); count > 1; count--)
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

    private enum Kind
    {
        Object,
        Array,
        Text,
        Raw,
    }

    // A JSON value, read once and written many times. Name is its member's name; Text is a string's value or a raw
    // literal.
    private sealed record Node(Kind Kind, string Name, string Text, List<Node> Items, List<Node> Sorted)
    {
        public bool IsNull => Kind is Kind.Raw && Text == "null";
    }

    // Null for a text that is not JSON, or for a string with half of a surrogate pair.
    private static Node? Read(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(
                json.TrimStart('\uFEFF'),
                new JsonDocumentOptions { MaxDepth = 64 }
            );
            return NodeOf("", document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static Node NodeOf(string name, JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                var members = json.EnumerateObject().Select(member => NodeOf(member.Name, member.Value)).ToList();
                return new(Kind.Object, name, "", members, [.. members.OrderBy(m => m.Name, StringComparer.Ordinal)]);
            case JsonValueKind.Array:
                var items = json.EnumerateArray().Select(item => NodeOf("", item)).ToList();
                return new(Kind.Array, name, "", items, items);
            case JsonValueKind.String:
                return new(Kind.Text, name, json.GetString()!, [], []);
            default:
                return new(Kind.Raw, name, json.GetRawText(), [], []);
        }
    }

    private static void Write(Node json, StringBuilder text, Style style, int depth)
    {
        switch (json.Kind)
        {
            case Kind.Text:
                Write(json.Text, text, style);
                return;
            case Kind.Raw:
                text.Append(json.Text);
                return;
        }
        var items = style.Sorted ? json.Sorted : json.Items;
        if (style.DropNulls && json.Kind is Kind.Object)
            items = items.FindAll(item => !item.IsNull);
        if (style.Order > 0 && depth == 0)
            items = Ordered(items, style.Order);
        text.Append(json.Kind is Kind.Object ? '{' : '[');
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0)
                text.Append(style.Layout.Comma);
            NewLine(depth + 1);
            if (json.Kind is Kind.Object)
            {
                Write(items[i].Name, text, style);
                text.Append(style.Layout.Colon);
            }
            Write(items[i], text, style, depth + 1);
        }
        if (items.Count > 0)
            NewLine(depth);
        text.Append(json.Kind is Kind.Object ? '}' : ']');

        void NewLine(int indents)
        {
            text.Append(style.Layout.Break);
            for (var i = 0; i < indents; i++)
                text.Append(style.Layout.Indent);
        }
    }

    // Returns the n-th permutation of the first six members; further members stay behind them.
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

    private static void Write(string value, StringBuilder text, Style style)
    {
        text.Append('"');
        var rest = value.AsSpan();
        while (rest.IndexOfAnyExcept(Plain) is >= 0 and var plain)
        {
            text.Append(rest[..plain]);
            Rune.DecodeFromUtf16(rest[plain..], out var rune, out var length);
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
            rest = rest[(plain + length)..];
        }
        text.Append(rest).Append('"');
    }

    private static string Units(Rune rune, string format) =>
        string.Concat(
            rune.ToString().Select(unit => "\\u" + ((int)unit).ToString(format, CultureInfo.InvariantCulture))
        );
}
