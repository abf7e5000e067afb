using System.Buffers;

namespace CancelService.Protocol;

/// <summary>
/// The rule for identifiers on the wire: 1 to 64 ASCII letters, digits, <c>_</c>, <c>-</c> and <c>.</c>. A Client-Id
/// has no dot, because a dot ends it in the string to sign.
/// </summary>
public static class WireIdentifier
{
    /// <summary>The rule for a Client-Id in words, for messages.</summary>
    public const string ClientIdRule = "must be 1 to 64 letters, digits, '_' or '-'";

    private const int MaxLength = 64;

    private static readonly SearchValues<char> Allowed = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
    );

    /// <summary>Tells whether a text is a well-formed Client-Id.</summary>
    public static bool IsClientId(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= MaxLength && !text.ContainsAnyExcept(Allowed) && !text.Contains('.');
}
