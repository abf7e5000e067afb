namespace CancelService.Protocol;

/// <summary>
/// Negotiates media types. Lenient, because HTTP libraries set these headers themselves: two SDKs accept only kinds of
/// text and expect JSON.
/// </summary>
public static class MediaTypes
{
    /// <summary>Tells whether <c>Accept</c> is missing, or admits a kind of text or JSON.</summary>
    public static bool AcceptsJson(IEnumerable<string?> accept)
    {
        var ranges = Parts(accept).ToList();
        return ranges.Count == 0 || ranges.Any(Admits);
    }

    /// <summary>
    /// Tells whether <c>Content-Type</c> is missing, or is JSON in every occurrence: an SDK sends it twice.
    /// </summary>
    public static bool IsJson(IEnumerable<string?> contentType) =>
        Parts(contentType)
            .All(part =>
                Name(part) is var name && (name == "application/json" || name == "text/json" || IsJsonSuffix(name))
            );

    private static bool Admits(string range)
    {
        var name = Name(range);
        var admitted =
            name is "*/*" or "*" or "application/*" or "application/json"
            || name.StartsWith("text/", StringComparison.Ordinal)
            || IsJsonSuffix(name);
        return admitted && !IsExcluded(range);
    }

    private static bool IsJsonSuffix(string name) =>
        name.StartsWith("application/", StringComparison.Ordinal) && name.EndsWith("+json", StringComparison.Ordinal);

    // q=0, q=0.0, ...: not acceptable (RFC 9110, 12.4.2).
    private static bool IsExcluded(string range) =>
        range
            .Split(';')
            .Skip(1)
            .Select(parameter => parameter.Replace(" ", "", StringComparison.Ordinal))
            .Any(parameter =>
                parameter.StartsWith("q=0", StringComparison.OrdinalIgnoreCase)
                && parameter[2..].Trim('0', '.').Length == 0
            );

    private static IEnumerable<string> Parts(IEnumerable<string?> header) =>
        header.SelectMany(line =>
            (line ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        );

    private static string Name(string part) => part.Split(';')[0].Trim().ToLowerInvariant();
}
