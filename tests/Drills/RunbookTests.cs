using System.Text.RegularExpressions;

namespace CancelService.Drills;

/// <summary>Goal: every runbook page is drilled, and every alert has a page.</summary>
public sealed partial class RunbookTests
{
    [Fact]
    public void Every_page_is_drilled()
    {
        var runbook = File.ReadAllText(Path.Combine(Repository.Root, "docs/runbook.md"));
        var drills = string.Concat(
            Directory.GetFiles(Path.Combine(Repository.Root, "tests/Drills"), "*Drills.cs").Select(File.ReadAllText)
        );
        var pages = runbook.Split("\n## ")[1..];
        pages.Length.ShouldBeGreaterThan(20);
        foreach (var page in pages)
        {
            var heading = page.Split('\n')[0];
            drills.ShouldContain($"\"{heading}\"");
        }
    }

    [Fact]
    public void Every_alert_has_a_page()
    {
        var runbook = File.ReadAllText(Path.Combine(Repository.Root, "docs/runbook.md"));
        var alerts = Alert()
            .Matches(File.ReadAllText(Path.Combine(Repository.Root, "deploy/prometheus/alerts.yml")))
            .Select(alert => alert.Groups["name"].Value)
            .ToList();
        alerts.Count.ShouldBeGreaterThan(10);
        foreach (var alert in alerts.Where(alert => alert is not "CancelServiceAnswersFailSlowly")) // It shares a page.
            runbook.ShouldContain($"\n## {alert}\n");
    }

    [GeneratedRegex(@"- alert: (?<name>\w+)", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Alert();
}
