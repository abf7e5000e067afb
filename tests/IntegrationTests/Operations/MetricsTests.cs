using System.Globalization;
using System.Text.RegularExpressions;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Operations;

/// <summary>
/// Goal: /metrics exposes every metric named in alerts and documents. The tests run alone, because all hosts of a
/// process share its meters.
/// </summary>
[Collection(nameof(Alone))]
public sealed partial class MetricsTests(PostgresServer postgres)
{
    [Theory]
    [InlineData("deploy/prometheus/alerts.yml")]
    [InlineData("deploy/grafana/cancelservice.json")]
    [InlineData("docs/runbook.md")]
    [InlineData("docs/operations.md")]
    public async Task Running_instance_exposes_every_documented_metric(string file)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        await host.Ready();

        // Observed only with a synchronous standby.
        const string withStandby = "cancelservice_barrier_duration_seconds";
        var names = Name()
            .Matches(
                await File.ReadAllTextAsync(Path.Combine(Repository.Root, file), TestContext.Current.CancellationToken)
            )
            .Select(match => match.Value);
        await TestHost
            .Until(async () =>
            {
                host.Clock.Advance(TimeSpan.FromSeconds(16)); // Database gauges are refreshed at intervals.
                var metrics = await Metrics(host);
                return string.Join(
                    ' ',
                    names
                        .Distinct(StringComparer.Ordinal)
                        .Where(name => !name.StartsWith(withStandby, StringComparison.Ordinal) && !Has(metrics, name))
                );
            })
            .Becomes("");
    }

    [Fact]
    public async Task Latencies_are_counted_in_buckets_of_1_ms_to_10_s()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");

        var bounds = Bucket()
            .Matches(await Metrics(host))
            .Select(match => match.Groups["bound"].Value)
            .Where(bound => bound != "+Inf")
            .Select(bound => double.Parse(bound, CultureInfo.InvariantCulture))
            .Distinct();
        bounds.ShouldBe([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]);
    }

    [Fact]
    public async Task Outbox_backlog_and_event_outcomes_are_measured()
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(500));
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                $"--Notifications:Url={receiver.Root}/",
                Receiver.SecretSetting,
                "--Notifications:PollInterval=00:00:00.010",
                "--Notifications:MaxAttempts=1",
            ]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");

        await TestHost
            .Until(async () =>
            {
                host.Clock.Advance(TimeSpan.FromSeconds(1));
                return Value(await Metrics(host), "cancelservice_outbox_parked") >= 1;
            })
            .Becomes(true);
        var metrics = await Metrics(host);
        Value(metrics, "cancelservice_outbox_due").ShouldBeGreaterThanOrEqualTo(0);
        Value(metrics, "cancelservice_outbox_oldest_age_seconds").ShouldBeGreaterThanOrEqualTo(0);
        Value(metrics, "cancelservice_notification_attempts_total", "outcome=\"parked\"")
            .ShouldBeGreaterThanOrEqualTo(1);
        Value(metrics, "cancelservice_notification_circuit_open").ShouldBeGreaterThanOrEqualTo(0);
        Value(metrics, "cancelservice_build_info", $"version=\"{Api.BuildInfo.Version}\"")
            .ShouldBeGreaterThanOrEqualTo(1);
    }

    [Fact]
    public async Task Request_Time_refusals_are_counted()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        var before = Value(await Metrics(host), "cancelservice_request_time_refused_total");
        var call = new CancelCall
        {
            Client = client,
            At = host.Now.AddHours(1),
            Json = """{"paymentId":"p1"}""",
        };

        (await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST")).Code.ShouldBe("PARAM_ILLEGAL");

        await TestHost
            .Until(async () => Value(await Metrics(host), "cancelservice_request_time_refused_total") > before)
            .Becomes(true);
    }

    private static async Task<string> Metrics(TestHost host) =>
        await host.Internal.GetStringAsync(
            new Uri("/metrics", UriKind.Relative),
            TestContext.Current.CancellationToken
        );

    // True for a metric, or for any of the three series of a histogram.
    private static bool Has(string metrics, string name) =>
        metrics.Contains($"# TYPE {name} ", StringComparison.Ordinal)
        || metrics.Contains($"\n{name}{{", StringComparison.Ordinal)
        || metrics.Contains($"\n{name} ", StringComparison.Ordinal);

    private static double Value(string metrics, string name, string label = "") =>
        metrics
            .Split('\n')
            .Where(line =>
                line.StartsWith(name, StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal)
            )
            .Select(line => double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture))
            .DefaultIfEmpty(double.NaN)
            .Sum();

    [GeneratedRegex("cancelservice_[a-z_]+[a-z]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Name();

    [GeneratedRegex(
        "cancelservice_answer_duration_seconds_bucket\\{.*le=\"(?<bound>[^\"]+)\"",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Bucket();
}
