using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace CancelService.Pages;

/// <summary>
/// The hosts under which pages answer, against DNS rebinding: a name of another site that resolves to this address.
/// Localhost and loopback addresses are always among them.
/// </summary>
/// <param name="names">Host names; <c>*.</c> at the beginning stands for subdomains.</param>
/// <param name="setting">The setting that names further hosts, for the refusal.</param>
public sealed class PageHosts(IEnumerable<string> names, string setting)
{
    private readonly List<StringSegment> _names = [.. names.Select(name => new StringSegment(name)), "localhost"];

    /// <summary>Returns the reason why a host is refused; null when it is not.</summary>
    public string? Problem(HostString host) =>
        host.HasValue && (IsLoopback(host.Host) || HostString.MatchesAny(host.Host, _names))
            ? null
            : $"These pages do not answer under the host '{host.Host}'. Add it to {setting}.";

    private static bool IsLoopback(string host) =>
        IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address);
}
