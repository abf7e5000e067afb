using System.Collections.Concurrent;
using System.Net;
using System.Text;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.EntityFrameworkCore;

namespace CancelService.IntegrationTests.Operations;

/// <summary>
/// Goal: an OTLP collector receives metrics, logs and one trace from the merchant's request to the webhook.
/// </summary>
public sealed class OtlpTests(PostgresServer postgres)
{
    [Fact]
    public async Task Trace_spans_from_the_merchants_request_to_the_cores_webhook()
    {
        await using var collector = await Collector.Start();
        await using var core = await Receiver.Start(_ => Task.FromResult(200));
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var host = await TestHost.Start(
            database,
            systemClock: true,
            settings:
            [
                $"--OTEL_EXPORTER_OTLP_ENDPOINT={collector.Address}",
                "--OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                "--OTEL_BSP_SCHEDULE_DELAY=100",
                "--OTEL_METRIC_EXPORT_INTERVAL=500",
                $"--Notifications:Url={core.Root}/",
                Receiver.SecretSetting,
                "--Notifications:PollInterval=00:00:00.050",
            ]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        await TestHost.Until(() => core.Count()).Becomes(1);

        await using var db = host.Db();
        var traceId = (
            await db.Set<HistoryRow>().SingleAsync(line => line.Answer != null, TestContext.Current.CancellationToken)
        ).TraceId.ShouldNotBeNull();
        core.Received.Single().Headers["traceparent"].ShouldStartWith($"00-{traceId}-");
        // Protocol Buffers contain text verbatim and a trace ID as raw bytes.
        var trace = Convert.FromHexString(traceId);
        await collector.Gets("/v1/traces", trace, "verify", "decide", "group", "commit", "notify");
        await collector.Gets(
            "/v1/metrics",
            [],
            "cancelservice.answer.duration",
            "cancelservice.group.size",
            "db.client"
        );
        await collector.Gets("/v1/logs", trace, "cancelservice", Api.BuildInfo.Version, "Answered {Code}");
    }

    /// <summary>OTLP collector on its own socket that keeps every message.</summary>
    private sealed class Collector : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly ConcurrentQueue<(string Path, byte[] Body)> _received = new();

        private Collector(WebApplication app) => _app = app;

        public string Address => _app.Urls.Single();

        public static async Task<Collector> Start()
        {
            var builder = WebApplication.CreateEmptyBuilder(new());
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            var collector = new Collector(builder.Build());
            collector._app.Run(async http =>
            {
                using var body = new MemoryStream();
                await http.Request.Body.CopyToAsync(body);
                collector._received.Enqueue((http.Request.Path, body.ToArray()));
                http.Response.ContentType = "application/x-protobuf";
            });
            await collector._app.StartAsync();
            return collector;
        }

        /// <summary>Waits until each text has arrived in a message that also contains the given bytes.</summary>
        public Task Gets(string path, byte[] with, params string[] texts) =>
            TestHost
                .Until(() => Task.FromResult(string.Join(' ', texts.Where(text => !Has(path, with, text)))))
                .Becomes("");

        private bool Has(string path, byte[] with, string text) =>
            _received.Any(message =>
                message.Path == path
                && message.Body.AsSpan().IndexOf(with) >= 0
                && message.Body.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0
            );

        public async ValueTask DisposeAsync()
        {
            await _app.StopAsync(new CancellationToken(canceled: true));
            await _app.DisposeAsync();
        }
    }
}
