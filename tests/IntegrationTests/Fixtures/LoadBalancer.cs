using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Configuration;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>
/// A load balancer that probes the readiness of each instance once a second, as docs/examples/haproxy.cfg does. It
/// never retries, so a request that an instance drops stays lost.
/// </summary>
internal sealed class LoadBalancer : IAsyncDisposable
{
    private const string Backend = "instances";

    private readonly WebApplication _app;

    private LoadBalancer(WebApplication app) => _app = app;

    /// <summary>Port on the loopback interface.</summary>
    public int Port => new Uri(_app.Urls.Single()).Port;

    public static async Task<LoadBalancer> Start(params ServiceProcess[] instances)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddRouting();
        builder
            .Services.AddReverseProxy()
            .LoadFromMemory(
                [
                    new RouteConfig
                    {
                        RouteId = "merchants",
                        ClusterId = Backend,
                        Match = new RouteMatch { Path = "{**path}" },
                    },
                ],
                [
                    new ClusterConfig
                    {
                        ClusterId = Backend,
                        Destinations = instances.ToDictionary(
                            instance => instance.PublicPort.ToString(CultureInfo.InvariantCulture),
                            instance => new DestinationConfig
                            {
                                Address = $"http://127.0.0.1:{instance.PublicPort}",
                                Health = $"http://127.0.0.1:{instance.InternalPort}",
                            },
                            StringComparer.Ordinal
                        ),
                        HealthCheck = new HealthCheckConfig
                        {
                            // One failed probe takes an instance out of rotation, well within Shutdown:DrainTime.
                            Active = new ActiveHealthCheckConfig
                            {
                                Enabled = true,
                                Interval = TimeSpan.FromSeconds(1),
                                Timeout = TimeSpan.FromSeconds(2),
                                Path = "/healthz/ready",
                            },
                        },
                        Metadata = new Dictionary<string, string>(StringComparer.Ordinal)
                        {
                            ["ConsecutiveFailuresHealthPolicy.Threshold"] = "1",
                        },
                    },
                ]
            );
        var balancer = new LoadBalancer(builder.Build());
        balancer._app.UseRouting();
        balancer._app.MapReverseProxy();
        await balancer._app.StartAsync();
        return balancer;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
