using CancelService.Protocol;

namespace CancelService.Doctor;

// The wrong ways to sign the first line and the Client-Id.
internal static partial class Ways
{
    private static IEnumerable<Way<byte[]>> AllMethods(string sent)
    {
        yield return Sent(sent);
        foreach (var method in (string[])["POST", "post", "Post", "GET", "PUT"])
            yield return Of("method", $"You signed the method as {method}, and sent {sent}.", method);
        yield return Of("method", "You signed with nothing in the method's place.", "");
    }

    private static IEnumerable<Way<byte[]>> AllPaths(SignedParts parts, IReadOnlyList<string> prefixes, string route)
    {
        var path = SignatureScheme.PathOf(parts.Target);
        var bare = path.Split('?')[0];
        Way<byte[]>[] right = [Sent(path)];
        return right
            .Concat(Hosts(parts, path, bare))
            .Concat(Prefixes(path, prefixes))
            .Concat(Slashes(path, bare))
            .Concat(Escapes(path))
            .Concat(OtherPaths(path, bare, route));
    }

    private static IEnumerable<Way<byte[]>> Hosts(SignedParts parts, string path, string bare)
    {
        if (bare != path)
            yield return Of("path-query", "You signed the path without its query.", bare);
        foreach (
            var host in parts.Host.Length == 0
                ? []
                : (string[])["https://" + parts.Host, "http://" + parts.Host, parts.Host]
        )
            yield return Of("path-host", "You signed the URL with its host; only the path is signed.", host + path);
        if (parts.Target != path)
            yield return Of("path-host", "You signed the URL with its host; only the path is signed.", parts.Target);
    }

    private static IEnumerable<Way<byte[]>> Prefixes(string path, IReadOnlyList<string> prefixes)
    {
        foreach (
            var prefix in prefixes
                .Concat(["/api", "/api/open", "/ams/api", "/open"])
                .Where(p => p.Length > 0)
                .Distinct(StringComparer.Ordinal)
        )
        {
            yield return Of(
                "path-prefix",
                $"You signed the path with {prefix} before it, and sent it without.",
                prefix + path
            );
            if (path.StartsWith(prefix + "/", StringComparison.Ordinal))
                yield return Of(
                    "path-prefix",
                    $"You signed the path without {prefix}, and sent it with it.",
                    path[prefix.Length..]
                );
        }
    }

    private static IEnumerable<Way<byte[]>> Slashes(string path, string bare)
    {
        yield return Of("path-slash", "You signed the path with a slash at its end.", bare + "/" + path[bare.Length..]);
        yield return Of(
            "path-slash",
            "You signed the path without the slash at its end.",
            bare.TrimEnd('/') + path[bare.Length..]
        );
        yield return Of("path-slash", "You signed the path without the slash at its start.", path.TrimStart('/'));
        yield return Of("path-slash", "You signed the path with two slashes at its start.", "/" + path);
        yield return Of(
            "path-slash",
            "You signed the path with one slash, and sent more.",
            path.Replace("//", "/", StringComparison.Ordinal)
        );
    }

    private static IEnumerable<Way<byte[]>> Escapes(string path)
    {
        yield return Of(
            "path-escapes",
            "You signed the path without its percent-escapes.",
            Uri.UnescapeDataString(path)
        );
        yield return Of("path-escapes", "You signed the path percent-encoded.", Uri.EscapeDataString(path));
        yield return Of(
            "path-escapes",
            "You signed the path with its percent-escapes in other letters.",
            string.Concat(path.Select((c, i) => IsInEscape(path, i) ? char.ToUpperInvariant(c) : c))
        );
        yield return Of(
            "path-escapes",
            "You signed the path with its percent-escapes in other letters.",
            string.Concat(path.Select((c, i) => IsInEscape(path, i) ? char.ToLowerInvariant(c) : c))
        );
    }

    private static IEnumerable<Way<byte[]>> OtherPaths(string path, string bare, string route)
    {
        for (var slash = bare.IndexOf('/', Math.Min(1, bare.Length)); slash > 0; slash = bare.IndexOf('/', slash + 1))
            yield return Of("path-prefix", $"You signed the path from {path[slash..]} on.", path[slash..]);
        yield return Of("path", $"You signed the path {route}.", route);
        yield return Of("path", "You signed the path in small letters.", path.ToLowerInvariant());
        yield return Of("path", "You signed the path and the version of HTTP.", path + " HTTP/1.1");
        yield return Of("path", "You signed with nothing in the path's place.", "");
        if (bare == path)
            yield return Of("path-query", "You signed the path with a question mark at its end.", path + "?");
        foreach (var version in (string[])["/v1", "/v3"])
            yield return Of(
                "path",
                $"You signed the path of another version, {version}.",
                path.Replace("/v2", version, StringComparison.Ordinal)
            );
        yield return Of(
            "path",
            "You signed the path of another operation.",
            path.Replace("cancel", "pay", StringComparison.Ordinal)
        );
        yield return Of("path", "You signed the path with a space at its end.", path + " ");
    }

    private static bool IsInEscape(string path, int index) =>
        (index >= 1 && path[index - 1] == '%') || (index >= 2 && path[index - 2] == '%');

    private static IEnumerable<Way<byte[]>> AllClients(string sent)
    {
        yield return Sent(sent);
        yield return Of("client", "You signed the Client-Id in small letters.", sent.ToLowerInvariant());
        yield return Of("client", "You signed the Client-Id in capitals.", sent.ToUpperInvariant());
        yield return Of("client", "You signed the Client-Id with a space behind it.", sent + " ");
        yield return Of("client", "You signed the Client-Id with a space before it.", " " + sent);
        yield return Of("client", "You signed the Client-Id with a line feed behind it.", sent + "\n");
        yield return Of("client", "You signed the Client-Id with CR LF behind it.", sent + "\r\n");
        yield return Of("client", "You signed the Client-Id in double quotes.", $"\"{sent}\"");
        yield return Of("client", "You signed with nothing in the Client-Id's place.", "");
        yield return Of("client", "You signed the word null in the Client-Id's place.", "null");
        yield return Of("client", "You signed the word undefined in the Client-Id's place.", "undefined");
        yield return Of("client", "You signed the header's name with the Client-Id.", $"Client-Id: {sent}");
        yield return Of("client", "You signed the Client-Id without its blanks.", sent.Trim());
        yield return Of("client", "You signed the Client-Id with a byte order mark before it.", "\uFEFF" + sent);
        yield return Of(
            "client",
            "You signed the Client-Id with a hyphen for each underscore.",
            sent.Replace('_', '-')
        );
        yield return Of(
            "client",
            "You signed the Client-Id with an underscore for each hyphen.",
            sent.Replace('-', '_')
        );
    }
}
