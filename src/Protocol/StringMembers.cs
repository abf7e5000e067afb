using System.Text.Json;
using System.Text.Unicode;

namespace CancelService.Protocol;

/// <summary>The members of a body that an operation reads. All are strings.</summary>
public abstract record StringMembers
{
    /// <summary>The most levels of nesting in a body.</summary>
    public const int MaxDepth = 64;

    private static readonly JsonDocumentOptions Strict = new()
    {
        AllowDuplicateProperties = false,
        MaxDepth = MaxDepth,
    };

    private StringMembers() { }

    /// <summary>The values in the order of the requested names; null where the member is missing or null.</summary>
    public sealed record Given(IReadOnlyList<string?> Values) : StringMembers;

    /// <summary>The body breaks the protocol; the sentence names the mistake, in at most 256 characters.</summary>
    public sealed record Illegal(string Problem) : StringMembers;

    /// <summary>
    /// Reads a body: a JSON object in UTF-8, with or without a byte order mark, without duplicate members. Ignores
    /// members that <paramref name="names"/> does not list.
    /// </summary>
    public static StringMembers Read(RequestBody.Whole body, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(body);
        ArgumentNullException.ThrowIfNull(names);
        // RFC 8259, 8.1: a parser may ignore the mark. It is signed like every other byte.
        var json = body.Bytes.AsMemory(body.Bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0);
        if (!Utf8.IsValid(json.Span))
            return new Illegal(BodyMistake.Describe(json.Span, body.Encoding, names));
        try
        {
            using var document = JsonDocument.Parse(json, Strict);
            if (document.RootElement.ValueKind is not JsonValueKind.Object)
                return new Illegal(BodyMistake.Describe(json.Span, body.Encoding, names));

            var values = new string?[names.Count];
            for (var i = 0; i < names.Count; i++)
            {
                if (!document.RootElement.TryGetProperty(names[i], out var member))
                    continue;
                if (member.ValueKind is not (JsonValueKind.String or JsonValueKind.Null))
                    return new Illegal($"{names[i]} must be a string, not {BodyMistake.Kind(member.ValueKind)}.");
                values[i] = member.GetString();
            }
            return new Given(values);
        }
        // InvalidOperationException: a string with half of a surrogate pair.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return new Illegal(BodyMistake.Describe(json.Span, body.Encoding, names));
        }
    }
}
