namespace CancelService.OperatorConsole;

/// <summary>The section <c>Ops</c> of the settings: how operators reach and sign in to the operations pages.</summary>
public sealed class OpsOptions
{
    /// <summary>
    /// The client id of the pages at the tokens' issuer (<c>Authentication:Schemes:Bearer:Authority</c>). Without it,
    /// operators sign in by a link of the command <c>ops-link</c>.
    /// </summary>
    public string? OpenIdClientId { get; set; }

    /// <summary>A file with the client's secret; none for a public client.</summary>
    public string? OpenIdClientSecretPath { get; set; }

    /// <summary>The duration of a session: 1 minute to 24 hours.</summary>
    public TimeSpan SessionTime { get; set; } = TimeSpan.FromHours(8);

    /// <summary>
    /// Host names of the pages beside localhost, loopback addresses and the internal endpoint's host; <c>*.</c> at the
    /// beginning stands for subdomains.
    /// </summary>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>Returns the wrong setting and its correction; null when all are right.</summary>
    public string? Problem() =>
        SessionTime < TimeSpan.FromMinutes(1) || SessionTime > TimeSpan.FromDays(1)
            ? $"Ops:SessionTime is {SessionTime}. Set it between 00:01:00 and 1.00:00:00."
        : OpenIdClientSecretPath is { } path && !File.Exists(path)
            ? $"Ops:OpenIdClientSecretPath is '{path}', where there is no file. Name the file with the client's secret."
        : AllowedHosts.FirstOrDefault(host => !IsHost(host)) is { } wrong
            ? $"Ops:AllowedHosts has '{wrong}'. Name hosts without scheme and port, such as ops.example.com."
        : null;

    private static bool IsHost(string host) =>
        Uri.CheckHostName(host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host)
            is not UriHostNameType.Unknown;
}
