using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CancelService.Drills;

/// <summary>
/// Prometheus that scrapes one instance and evaluates the rules of deploy/prometheus every second. The rules are the
/// shipped ones with their times divided by 60 (at least four seconds), so that a drill takes seconds.
/// </summary>
internal sealed partial class PrometheusServer : IAsyncDisposable
{
    private const int Faster = 60;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly DirectoryInfo _directory;
    private readonly Process _process;
    private readonly HttpClient _api;

    private PrometheusServer(DirectoryInfo directory, Process process, int port)
    {
        (_directory, _process) = (directory, process);
        _api = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/api/v1/") };
    }

    /// <param name="scrapedPort">Internal port of the instance.</param>
    /// <param name="nodePort">Port of the node exporter on the database's machine; 0 without one.</param>
    public static async Task<PrometheusServer> Start(int scrapedPort, int nodePort = 0)
    {
        var directory = Directory.CreateTempSubdirectory("cancelservice-prometheus-");
        var rules = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy/prometheus/alerts.yml"));
        await File.WriteAllTextAsync(Path.Combine(directory.FullName, "alerts.yml"), Time().Replace(rules, Shorter));
        await File.WriteAllTextAsync(
            Path.Combine(directory.FullName, "prometheus.yml"),
            $$"""
            global: { scrape_interval: 1s, evaluation_interval: 1s }
            rule_files: [alerts.yml]
            scrape_configs:
              - job_name: cancelservice
                static_configs: [{ targets: ["127.0.0.1:{{scrapedPort}}"] }]
              - job_name: node
                static_configs: [{{(nodePort == 0 ? "" : $$"""{ targets: ["127.0.0.1:{{nodePort}}"] }""")}}]
            """
        );
        var port = ServiceProcess.FreePort();
        var process = Process.Start(
            new ProcessStartInfo(
                "prometheus",
                [
                    $"--config.file={directory.FullName}/prometheus.yml",
                    $"--storage.tsdb.path={directory.FullName}/data",
                    $"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=error",
                ]
            )
        )!;
        return new PrometheusServer(directory, process, port);
    }

    /// <summary>Waits until the alert fires.</summary>
    public Task Fires(string alert) => Until(alert, isFiring: true);

    /// <summary>Waits until the alert is resolved.</summary>
    public Task Ends(string alert) => Until(alert, isFiring: false);

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        _process.Dispose();
        _api.Dispose();
        _directory.Delete(recursive: true);
    }

    private async Task Until(string alert, bool isFiring)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (await IsFiring(alert) != isFiring)
        {
            if (TimeProvider.System.GetElapsedTime(start) > Patience)
                throw new TimeoutException($"{alert} {(isFiring ? "does not fire" : "does not end")}.");
            await Task.Delay(250);
        }
    }

    // Null while Prometheus starts or has not evaluated the rules yet.
    private async Task<bool?> IsFiring(string alert)
    {
        try
        {
            using var rules = JsonDocument.Parse(
                await _api.GetStringAsync(new Uri("rules?type=alert", UriKind.Relative))
            );
            var rule = rules
                .RootElement.GetProperty("data")
                .GetProperty("groups")
                .EnumerateArray()
                .SelectMany(group => group.GetProperty("rules").EnumerateArray())
                .SingleOrDefault(rule => rule.GetProperty("name").GetString() == alert);
            return rule.ValueKind is JsonValueKind.Undefined || rule.GetProperty("health").GetString() != "ok"
                ? null
                : rule.GetProperty("state").GetString() == "firing";
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    private static string Shorter(Match time)
    {
        var seconds =
            int.Parse(time.Groups["number"].Value, CultureInfo.InvariantCulture)
            * time.Groups["unit"].Value switch
            {
                "s" => 1,
                "m" => 60,
                _ => 3600,
            };
        return $"{time.Groups["before"].Value}{Math.Max(4, seconds / Faster).ToString(CultureInfo.InvariantCulture)}s";
    }

    [GeneratedRegex(
        @"(?<before>\[|for: )(?<number>\d+)(?<unit>[smh])",
        RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking
    )]
    private static partial Regex Time();
}
