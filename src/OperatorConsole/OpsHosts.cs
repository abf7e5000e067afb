using System.Net;
using CancelService.Pages;
using Microsoft.Extensions.Options;

namespace CancelService.OperatorConsole;

/// <summary>The hosts under which the pages of the internal port answer.</summary>
internal static class OpsHosts
{
    /// <summary>Returns localhost, loopback addresses, the internal endpoint's host, and the configured ones.</summary>
    public static PageHosts Of(IServiceProvider services, IConfiguration configuration)
    {
        var options = services.GetRequiredService<IOptions<OpsOptions>>().Value;
        return new(
            [.. EndpointHost(configuration["Kestrel:Endpoints:Internal:Url"]), .. options.AllowedHosts],
            "Ops:AllowedHosts"
        );
    }

    // A wildcard such as http://*:8081 or http://0.0.0.0:8081 names no host.
    private static string[] EndpointHost(string? url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var endpoint)
        && !(IPAddress.TryParse(endpoint.IdnHost, out var address) && IsAny(address))
            ? [endpoint.Host]
            : [];

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
}
