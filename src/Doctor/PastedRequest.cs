using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace CancelService.Doctor;

/// <summary>
/// A pasted request: raw HTTP, a curl command, an entry of an HAR file, or an escaped line of a log. Or a pasted
/// answer: raw HTTP, or the output of <c>curl -i</c> or <c>curl -v</c>. The body is kept byte for byte.
/// </summary>
/// <param name="Method">The method; empty for an answer, or when the text has none.</param>
/// <param name="Target">The request target of raw HTTP, or the URL of curl and HAR; empty for an answer.</param>
/// <param name="Headers">The headers in their order, with their names as given.</param>
/// <param name="Body">The body's bytes.</param>
/// <param name="Form">The form of the text, for a reader: "raw HTTP".</param>
public sealed partial record PastedRequest(
    string Method,
    string Target,
    IReadOnlyList<KeyValuePair<string, string>> Headers,
    byte[] Body,
    string Form
)
{
    /// <summary>The longest accepted text, in bytes.</summary>
    public const int MaxBytes = 256 * 1024;

    private const string AnAnswer = "an answer";

    /// <summary>Whether the text is an answer.</summary>
    public bool IsAnswer => Form == AnAnswer;

    /// <summary>The answer in an HAR entry; null when the text has none.</summary>
    public PastedRequest? Answer { get; init; }

    /// <summary>Lists the values of a header, regardless of its name's case.</summary>
    public IReadOnlyList<string> Header(string name) =>
        [
            .. Headers
                .Where(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
                .Select(header => header.Value),
        ];

    /// <summary>
    /// Reads a pasted text. For an unknown form returns null; <paramref name="problem"/> is then a sentence.
    /// </summary>
    public static PastedRequest? Read(ReadOnlySpan<byte> paste, out string problem)
    {
        problem = "";
        if (paste.Length > MaxBytes)
        {
            problem = $"The text has more than {MaxBytes / 1024} KiB. Paste one request.";
            return null;
        }
        var start = paste.IndexOfAnyExcept("\uFEFF \t\r\n"u8);
        var text = start < 0 ? [] : paste[start..];
        var request =
            text.StartsWith("{"u8) ? FromJson(text)
            : text.StartsWith("HTTP/"u8) || text.StartsWith("< HTTP/"u8) ? FromAnswer(text)
            : text.StartsWith("curl"u8) || text.StartsWith("$ curl"u8) ? FromCurl(Encoding.UTF8.GetString(text))
            : FromHttp(text, "raw HTTP") ?? FromLogLine(Encoding.UTF8.GetString(text));
        if (request is null)
            problem =
                "The text is no request that can be read. Paste the request as it goes over the wire (its first line, "
                + "the headers, an empty line, the body), a curl command, an entry of an HAR file, or the line "
                + "of a log that holds it; or an answer, from its line HTTP/1.1 on.";
        return request;
    }

    private static PastedRequest? FromHttp(ReadOnlySpan<byte> text, string form)
    {
        var line = TakeLine(ref text);
        if (Utf8(line).Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var method, var target, .. var rest])
            return null;
        if (
            !method.All(char.IsAsciiLetter)
            || (rest.Length > 0 && !rest[^1].StartsWith("HTTP/", StringComparison.Ordinal))
        )
            return null;
        if (rest.Length == 0 && !target.Contains('/', StringComparison.Ordinal))
            return null;

        return TakeHeaders(ref text) is { } headers
            ? new PastedRequest(method, target, headers, text.ToArray(), form).Cut()
            : null;
    }

    // curl -v prints "< " before each header, and "* " before its own remarks.
    private static PastedRequest? FromAnswer(ReadOnlySpan<byte> text)
    {
        if (text.StartsWith("< "u8))
        {
            var lines = Utf8(text)
                .Split('\n')
                .Where(line => !line.StartsWith("* ", StringComparison.Ordinal))
                .Select(line => line.StartsWith("< ", StringComparison.Ordinal) ? line[2..] : line)
                .Select(line => line.TrimEnd('\r') is "<" ? "" : line);
            text = Encoding.UTF8.GetBytes(string.Join('\n', lines));
        }
        TakeLine(ref text);
        if (TakeHeaders(ref text) is not { } headers)
            return null;
        // The wallet's bodies never end with white space; terminals and editors add it.
        var body = text.TrimEnd(" \t\r\n"u8);
        return new PastedRequest("", "", headers, body.ToArray(), AnAnswer);
    }

    private static List<KeyValuePair<string, string>>? TakeHeaders(ref ReadOnlySpan<byte> text)
    {
        var headers = new List<KeyValuePair<string, string>>();
        while (!text.IsEmpty)
        {
            var line = TakeLine(ref text);
            if (line.IsEmpty)
                break;
            var colon = line.IndexOf((byte)':');
            if (colon <= 0)
                return null;
            headers.Add(new(Utf8(line[..colon]), Utf8(line[(colon + 1)..]).Trim(' ', '\t')));
        }
        return headers;
    }

    // Trims the newline that editors append: Content-Length gives the real size.
    private PastedRequest Cut() =>
        Header("Content-Length") is [var length]
        && int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
        && bytes < Body.Length
            ? this with
            {
                Body = Body[..bytes],
            }
            : this;

    // A log escapes a request, inside a JSON string or bare.
    private static PastedRequest? FromLogLine(string text)
    {
        var start = text.IndexOf("POST ", StringComparison.Ordinal);
        if (start < 0 || !text.Contains("\\n", StringComparison.Ordinal))
            return null;
        var quote = start > 0 && text[start - 1] is '"' or '\'' ? text[start - 1] : '\0';
        var unescaped = new StringBuilder();
        for (var i = start; i < text.Length && text[i] != quote && text[i] is not ('\r' or '\n'); i++)
        {
            if (text[i] != '\\' || i + 1 == text.Length)
            {
                unescaped.Append(text[i]);
                continue;
            }
            i++;
            var isHex =
                text[i] == 'u'
                && i + 4 < text.Length
                && ushort.TryParse(text.AsSpan(i + 1, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out _);
            unescaped.Append(
                isHex
                    ? (char)ushort.Parse(text.AsSpan(i + 1, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
                    : text[i] switch
                    {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        var c => c,
                    }
            );
            i += isHex ? 4 : 0;
        }
        return FromHttp(Encoding.UTF8.GetBytes(unescaped.ToString()), "line of a log");
    }

    private static PastedRequest? FromJson(ReadOnlySpan<byte> text)
    {
        try
        {
            using var document = JsonDocument.Parse(text.ToArray());
            var entry = document.RootElement;
            if (
                entry.TryGetProperty("log", out var log)
                && log.TryGetProperty("entries", out var entries)
                && entries.ValueKind is JsonValueKind.Array
                && entries.GetArrayLength() > 0
            )
                entry = entries[0];
            var answer = entry.TryGetProperty("response", out var response) ? AnswerOf(response) : null;
            if (entry.TryGetProperty("request", out var inner))
                entry = inner;
            return entry.ValueKind switch
            {
                JsonValueKind.String => FromHttp(Encoding.UTF8.GetBytes(entry.GetString()!), "string of JSON"),
                JsonValueKind.Object when Text(entry, "url").Length > 0 => FromHar(entry) with { Answer = answer },
                _ => FromMembers(document.RootElement),
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    // A line of a structured log has the request in one of its members.
    private static PastedRequest? FromMembers(JsonElement line) =>
        line.EnumerateObject()
            .Where(member => member.Value.ValueKind is JsonValueKind.String)
            .Select(member => FromHttp(Encoding.UTF8.GetBytes(member.Value.GetString()!), "line of a log"))
            .FirstOrDefault(request => request is not null);

    private static PastedRequest FromHar(JsonElement entry)
    {
        var body = entry.TryGetProperty("postData", out var data) ? BodyOf(data) : [];
        return new(Text(entry, "method"), Text(entry, "url"), HeadersOf(entry), body, "entry of an HAR file");
    }

    // The wallet's answers always have a body.
    private static PastedRequest? AnswerOf(JsonElement response) =>
        response.ValueKind is JsonValueKind.Object
        && response.TryGetProperty("content", out var content)
        && BodyOf(content) is { Length: > 0 } body
            ? new("", "", HeadersOf(response), body, AnAnswer)
            : null;

    private static List<KeyValuePair<string, string>> HeadersOf(JsonElement part)
    {
        var headers = new List<KeyValuePair<string, string>>();
        if (part.TryGetProperty("headers", out var given) && given.ValueKind is JsonValueKind.Array)
            foreach (var header in given.EnumerateArray().Where(header => !Text(header, "name").StartsWith(':')))
                headers.Add(new(Text(header, "name"), Text(header, "value")));
        return headers;
    }

    private static byte[] BodyOf(JsonElement content) =>
        Text(content, "encoding") == "base64" && Base64.IsValid(Text(content, "text"))
            ? Convert.FromBase64String(Text(content, "text"))
            : Encoding.UTF8.GetBytes(Text(content, "text"));

    private static ReadOnlySpan<byte> TakeLine(ref ReadOnlySpan<byte> text)
    {
        var end = text.IndexOf((byte)'\n');
        var line = end < 0 ? text : text[..end];
        text = end < 0 ? [] : text[(end + 1)..];
        return line.EndsWith("\r"u8) ? line[..^1] : line;
    }

    private static string Utf8(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    private static string Text(JsonElement json, string member) =>
        json.ValueKind is JsonValueKind.Object
        && json.TryGetProperty(member, out var value)
        && value.ValueKind is JsonValueKind.String
            ? value.GetString()!
            : "";
}
