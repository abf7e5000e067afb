using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace CancelService.Protocol;

/// <summary>
/// Names the mistake in a body that is not a JSON object, in one sentence. A merchant's developer sees only that
/// sentence, so it names the mistake (UTF-16, a trailing comma, double encoding) and not the broken rule. It quotes
/// nothing of the body but names of known members.
/// </summary>
public static class BodyMistake
{
    /// <summary>Describes the first mistake in a body that <see cref="StringMembers"/> can't read.</summary>
    public static string Describe(ReadOnlySpan<byte> body, string encoding, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(encoding);
        if (encoding.Length > 0 && !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase))
            return "The body is compressed (Content-Encoding); send it as plain JSON.";
        var text = body.Trim(" \t\r\n"u8);
        if (text.IsEmpty)
            return "The body is empty; it must be a JSON object.";
        if (IsCompressed(body))
            return "The body is compressed; send it as plain JSON.";
        if (body is [0xFE, 0xFF, ..] or [0xFF, 0xFE, ..] || body[..Math.Min(4, body.Length)].Contains((byte)0))
            return "The body is in UTF-16 or UTF-32; send it in UTF-8.";
        if (!Utf8.IsValid(body))
            return $"The body is not UTF-8{At(FirstInvalid(body))}.";
        return text[0] switch
        {
            (byte)'{' => InObject(body, names),
            (byte)'[' => "The body is an array; it must be a JSON object.",
            (byte)'<' => "The body is XML or HTML; it must be a JSON object.",
            (byte)'"' =>
                "The body is a string; it must be a JSON object. If the string holds JSON, it was encoded twice.",
            (byte)'/' or (byte)'#' => Comment,
            (byte)'-' when text.StartsWith("--"u8) => "The body is multipart; it must be a JSON object.",
            _ => ScalarOrText(text),
        };
    }

    /// <summary>A kind of value, in the words of a message.</summary>
    public static string Kind(JsonValueKind kind) =>
        kind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "an array",
            JsonValueKind.Number => "a number",
            JsonValueKind.True or JsonValueKind.False => "a boolean",
            JsonValueKind.Null => "null",
            _ => "a string",
        };

    // Stands for an open array; an open object has the set of its members' names.
    private static readonly HashSet<string> InArray = [];

    private static readonly SearchValues<byte> HexDigits = SearchValues.Create("0123456789abcdefABCDEF"u8);

    private const string Comment = "The body holds a comment; JSON has none.";

    private static bool IsCompressed(ReadOnlySpan<byte> body) =>
        body is [0x1F, 0x8B, ..] or [0x28, 0xB5, 0x2F, 0xFD, ..] or [0x78, 0x01 or 0x5E or 0x9C or 0xDA, ..];

    private static string ScalarOrText(ReadOnlySpan<byte> text)
    {
        var reader = new Utf8JsonReader(text);
        try
        {
            reader.Read();
            var kind = reader.TokenType switch
            {
                JsonTokenType.Number => JsonValueKind.Number,
                JsonTokenType.Null => JsonValueKind.Null,
                _ => JsonValueKind.True,
            };
            return $"The body is {Kind(kind)}; it must be a JSON object.";
        }
        catch (JsonException)
        {
            return text.Contains((byte)'=')
                ? "The body looks like a form (name=value); it must be a JSON object."
                : "The body is not JSON; it must be a JSON object.";
        }
    }

    private static string InObject(ReadOnlySpan<byte> body, IReadOnlyList<string> names)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = StringMembers.MaxDepth });
        var open = new Stack<HashSet<string>>(); // The names of each open object, or InArray.
        var last = new LastToken(0, JsonTokenType.None, "");
        try
        {
            while (reader.Read())
            {
                var member = last.Member;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject:
                        open.Push(new(StringComparer.Ordinal));
                        break;
                    case JsonTokenType.StartArray:
                        open.Push(InArray);
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        open.Pop();
                        break;
                    case JsonTokenType.PropertyName:
                        var name = reader.GetString()!;
                        var isKnown = open.Count == 1 && names.Contains(name, StringComparer.Ordinal);
                        if (open.Count == 1)
                            member = isKnown ? name : "";
                        if (!open.Peek().Add(name))
                            return $"{(isKnown ? name : "A member")} is given twice{At(reader.TokenStartIndex)}.";
                        break;
                    case JsonTokenType.String when member != "" && open.Count == 1:
                        _ = reader.GetString();
                        break;
                }
                last = new((int)reader.BytesConsumed, reader.TokenType, member);
            }
            return "The body must be a JSON object in UTF-8."; // Unreachable: such a body has no mistake.
        }
        catch (InvalidOperationException)
        {
            var what = reader.TokenType is JsonTokenType.PropertyName ? "A member's name" : last.Member;
            return $"{what} holds half of a surrogate pair{At(reader.TokenStartIndex)}; send whole characters.";
        }
        catch (JsonException)
        {
            return Syntax(body, last, open);
        }
    }

    /// <summary>The last valid token, its end, and the known member that contains it.</summary>
    private readonly record struct LastToken(int End, JsonTokenType Token, string Member);

    private static string Syntax(ReadOnlySpan<byte> body, LastToken last, Stack<HashSet<string>> open)
    {
        var position = last.End;
        Skip(body, ref position);
        if (open.Count == 0)
        {
            return Next(body, position) switch
            {
                (char)0 => $"A NUL follows the JSON object{At(position)}.",
                '/' or '#' => Comment,
                _ => $"More text follows the JSON object{At(position)}.",
            };
        }
        var isValue =
            last.Token is not (JsonTokenType.StartObject or JsonTokenType.StartArray or JsonTokenType.PropertyName);
        var isBehindComma = isValue && SkipComma(body, ref position);
        var isName = open.Peek() != InArray && (last.Token is JsonTokenType.StartObject || isBehindComma);
        var at = At(position);
        return Next(body, position) switch
        {
            End => Cut,
            '/' or '#' => Comment,
            '}' or ']' when isBehindComma => $"The body holds a comma before a closing bracket{at}; remove it.",
            '{' or '[' when open.Count >= StringMembers.MaxDepth =>
                $"The body is nested more than {StringMembers.MaxDepth} levels deep.",
            '\'' => $"The body holds single quotation marks{at}; JSON has double ones.",
            '\u00E2' or '\u00C2' => $"The body holds typographic quotation marks or spaces{at}; JSON has plain ones.",
            _ when isValue && !isBehindComma && last.Token is JsonTokenType.String =>
                $"{Named(last.Member)} ends too early, or a comma is missing behind it{at}: a quotation mark "
                    + "inside a string is written \\\".",
            _ when isValue && !isBehindComma => $"A comma is missing between two values{at}.",
            '"' => Text(body, position, isName ? "A member's name" : Named(last.Member), isName),
            >= 'A' and <= 'Z' or >= 'a' and <= 'z' or '_' or '$' when isName =>
                $"A member's name is not in quotation marks{at}.",
            _ when isName => $"A member's name is missing{at}.",
            _ => $"{(last.Member == "" ? "A member" : last.Member)} has a value that is not JSON{at}.",
        };
    }

    private const char End = '\uFFFF';

    private const string Cut = "The body ends before its JSON object does: a part of it is missing.";

    private static string Named(string member) => member == "" ? "A string" : member;

    // Names the mistake in a string that the reader refused.
    private static string Text(ReadOnlySpan<byte> body, int start, string what, bool isName)
    {
        for (var i = start + 1; i < body.Length; i++)
        {
            if (body[i] < ' ')
                return $"{what} holds a raw line break or control character{At(i)}; write it as an escape, such as "
                    + "\\n.";
            if (body[i] == '"')
                return isName
                    ? $"A colon is missing behind a member's name{At(i)}."
                    : $"{what} is not JSON{At(start)}.";
            if (body[i] != '\\')
                continue;
            if (++i < body.Length && !"\"\\/bfnrtu"u8.Contains(body[i]))
                return $"{what} holds an escape that JSON does not have{At(i - 1)}.";
            if (i + 4 < body.Length && body[i] == 'u' && body.Slice(i + 1, 4).ContainsAnyExcept(HexDigits))
                return $"{what} holds an escape that JSON does not have{At(i - 1)}.";
        }
        return Cut;
    }

    private static char Next(ReadOnlySpan<byte> body, int position) =>
        position < body.Length ? (char)body[position] : End;

    private static void Skip(ReadOnlySpan<byte> body, ref int position)
    {
        while (position < body.Length && body[position] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            position++;
    }

    private static bool SkipComma(ReadOnlySpan<byte> body, ref int position)
    {
        var isComma = position < body.Length && body[position] == ',';
        if (isComma)
            position++;
        Skip(body, ref position);
        return isComma;
    }

    private static int FirstInvalid(ReadOnlySpan<byte> body)
    {
        var position = 0;
        while (Rune.DecodeFromUtf8(body[position..], out _, out var length) is OperationStatus.Done)
            position += length;
        return position;
    }

    // Counts from 1, as editors do, and skips a byte order mark.
    private static string At(long position) => string.Create(CultureInfo.InvariantCulture, $" at byte {position + 1}");
}
