namespace CancelService.Api.Exchange;

/// <summary>The section <c>Api</c> of the settings: the public port.</summary>
public sealed class ApiOptions
{
    /// <summary>
    /// The prefixes of <c>/v2/payments/cancel</c>, such as <c>/api</c>; the empty string is no prefix. An empty list
    /// serves the API without prefix.
    /// </summary>
    public IList<string> Prefixes { get; } = [];

    /// <summary>
    /// The prefix that a reverse proxy strips from every path, such as <c>/api</c>; empty for none. Merchants sign the
    /// path as they send it, so every string to sign has the prefix. The served paths are the paths behind the proxy.
    /// </summary>
    public string StrippedPrefix { get; set; } = "";

    /// <summary>The greatest difference of Request-Time from our clock: 1 second to 1 hour.</summary>
    public TimeSpan RequestTimeTolerance { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Lists the served paths of an operation.</summary>
    public IEnumerable<string> Paths(string operation) =>
        Prefixes.Count == 0 ? [operation] : Prefixes.Select(prefix => prefix + operation);

    /// <summary>Names the first wrong setting and its remedy; null without one.</summary>
    public string? Problem()
    {
        if (RequestTimeTolerance < TimeSpan.FromSeconds(1) || RequestTimeTolerance > TimeSpan.FromHours(1))
            return $"Api:RequestTimeTolerance is {RequestTimeTolerance}. Set it between 00:00:01 and 01:00:00.";
        for (var i = 0; i < Prefixes.Count; i++)
        {
            if (!IsPrefix(Prefixes[i]))
                return $"Api:Prefixes:{i} is '{Prefixes[i]}'. {PrefixRule}";
        }
        return IsPrefix(StrippedPrefix) ? null : $"Api:StrippedPrefix is '{StrippedPrefix}'. {PrefixRule}";
    }

    private const string PrefixRule = "A prefix begins with / and does not end with it, such as /api.";

    private static bool IsPrefix(string? prefix) =>
        string.IsNullOrEmpty(prefix)
        || (prefix[0] == '/' && prefix[^1] != '/' && prefix.All(c => c is > ' ' and <= '~'));
}
