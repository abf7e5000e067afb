namespace CancelService.Api.Exchange;

/// <summary>The section <c>Api</c> of the settings: the public port.</summary>
public sealed class ApiOptions
{
    /// <summary>
    /// What stands before <c>/v2/payments/cancel</c>: prefixes such as <c>/api</c>, or the empty string for none.
    /// Without any, the API has no prefix.
    /// </summary>
    public IList<string> Prefixes { get; } = [];

    /// <summary>
    /// The prefix that a proxy in front strips from every path, such as <c>/api</c>; empty for none. Merchants sign the path
    /// as they send it, so it goes before the received path in every string to sign, of requests and of answers. The served
    /// paths stay as they are: they are the ones behind the proxy.
    /// </summary>
    public string StrippedPrefix { get; set; } = "";

    /// <summary>How far Request-Time may differ from our clock: 1 second to 1 hour.</summary>
    public TimeSpan RequestTimeTolerance { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>The paths that are served for an operation.</summary>
    public IEnumerable<string> Paths(string operation) =>
        Prefixes.Count == 0 ? [operation] : Prefixes.Select(prefix => prefix + operation);

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
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
