using System.Text.Json;
using System.Text.Json.Nodes;
using CancelService.ShippingTests.Fixtures;

namespace CancelService.ShippingTests;

/// <summary>
/// Goal: Prometheus accepts the alert rules, and each rule fires exactly when it should. Uses promtool of the machine
/// or of the Prometheus image.
/// </summary>
public sealed class AlertRulesTests
{
    private const string Folder = "deploy/prometheus";

    [Theory]
    [InlineData("check", "config", "prometheus.yml")]
    [InlineData("check", "rules", "alerts.yml")]
    [InlineData("test", "rules", "alerts.test.yml")]
    public Task Promtool_accepts(string verb, string kind, string file) =>
        Promtool(Path.Combine(Repository.Root, Folder), verb, kind, file);

    /// <summary>Goal: Prometheus parses each expression of the dashboard, tested as the expression of a rule.</summary>
    [Fact]
    public async Task Prometheus_parses_the_dashboards_expressions()
    {
        var dashboard = await File.ReadAllBytesAsync(
            Path.Combine(Repository.Root, "deploy/grafana/cancelservice.json"),
            TestContext.Current.CancellationToken
        );
        var expressions = JsonNode.Parse(dashboard)!["panels"]!
            .AsArray()
            .SelectMany(panel => panel!["targets"]?.AsArray() ?? [])
            .Select(target => target!["expr"]!.GetValue<string>().Replace("$__rate_interval", "5m"));
        var rules = new
        {
            groups = new[]
            {
                new
                {
                    name = "dashboard",
                    rules = expressions.Select((expr, i) => new { record = $"dashboard:expression_{i}", expr }),
                },
            },
        };
        var folder = Directory.CreateTempSubdirectory("cancelservice-");
        try
        {
            // JSON is valid YAML.
            await File.WriteAllTextAsync(
                Path.Combine(folder.FullName, "dashboard.yml"),
                JsonSerializer.Serialize(rules),
                TestContext.Current.CancellationToken
            );
            rules.groups[0].rules.Count().ShouldBeGreaterThan(15);
            await Promtool(folder.FullName, "check", "rules", "dashboard.yml");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task Promtool(string folder, string verb, string kind, string file)
    {
        var compose = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "compose.yaml"));
        var image = compose.Split("${PROMETHEUS_IMAGE:-")[1].Split('}')[0];
        if (await Command.IsThere("promtool"))
            await Command.Run("promtool", verb, kind, Path.Combine(folder, file));
        else
            await Command.Run(
                "docker",
                "run",
                "--rm",
                $"--volume={folder}:/rules:ro",
                "--entrypoint=promtool",
                image,
                verb,
                kind,
                $"/rules/{file}"
            );
    }
}
