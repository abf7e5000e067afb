using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace CancelService.Drills;

/// <summary>HTTP server that gives every request the same answer.</summary>
internal sealed class HttpServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private HttpServer(WebApplication app) => _app = app;

    public int Port => new Uri(_app.Urls.Single()).Port;

    public static async Task<HttpServer> Start(Func<Task<(HttpStatusCode Status, string Text)>> answer)
    {
        // The default builder would read the service's settings and listen on its ports.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var server = new HttpServer(builder.Build());
        server._app.Run(async http =>
        {
            var (status, text) = await answer();
            http.Response.StatusCode = (int)status;
            http.Response.ContentType = "text/plain; version=0.0.4";
            await http.Response.WriteAsync(text);
        });
        await server._app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
