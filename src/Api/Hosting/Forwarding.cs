using System.Net;
using Microsoft.AspNetCore.HttpOverrides;

namespace CancelService.Api.Hosting;

/// <summary>
/// The section <c>ForwardedHeaders</c> of the settings: the proxies in front of the internal port, which send the
/// browser's scheme and host in <c>X-Forwarded-Proto</c> and <c>X-Forwarded-Host</c>. Other senders are ignored.
/// </summary>
public sealed class ForwardingOptions
{
    /// <summary>Addresses of proxies.</summary>
    public IList<string> KnownProxies { get; } = [];

    /// <summary>Networks of proxies, such as <c>10.0.0.0/8</c>.</summary>
    public IList<string> KnownNetworks { get; } = [];

    /// <summary>Returns the wrong setting and its correction; null when all are right.</summary>
    public string? Problem() =>
        KnownProxies.FirstOrDefault(proxy => !IPAddress.TryParse(proxy, out _)) is { } address
            ? $"ForwardedHeaders:KnownProxies has '{address}'. Give IP addresses."
        : KnownNetworks.FirstOrDefault(network => !System.Net.IPNetwork.TryParse(network, out _)) is { } range
            ? $"ForwardedHeaders:KnownNetworks has '{range}'. Give networks such as 10.0.0.0/8."
        : null;

    /// <summary>Sets the framework's options: two headers, from these proxies alone.</summary>
    internal void Configure(ForwardedHeadersOptions headers)
    {
        headers.ForwardedHeaders = KnownProxies.Concat(KnownNetworks).Any()
            ? ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost
            : ForwardedHeaders.None;
        headers.KnownProxies.Clear();
        headers.KnownIPNetworks.Clear();
        foreach (var proxy in KnownProxies)
            headers.KnownProxies.Add(IPAddress.Parse(proxy));
        foreach (var network in KnownNetworks)
            headers.KnownIPNetworks.Add(System.Net.IPNetwork.Parse(network));
    }
}
