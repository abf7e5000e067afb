using System.Globalization;
using Microsoft.Coyote;
using Microsoft.Coyote.SystematicTesting;

// Coyote controls one schedule at a time, so the tests can't run in parallel.
[assembly: Xunit.v3.Parallelization(MaxThreads = 1)]

namespace CancelService.ScheduleTests;

/// <summary>
/// Explores random interleavings of a scenario: at each await, lock and access to a shared collection Coyote picks the
/// task that continues. CANCELSERVICE_SCHEDULES_SEED repeats a run.
/// </summary>
internal static class Schedules
{
    /// <summary>The number of interleavings explored for each scenario.</summary>
    public const int Count = 1200;

    /// <summary>Fails on the first interleaving in which the scenario fails or deadlocks.</summary>
    public static void Explore(Func<Task> scenario)
    {
        var seed = Environment.GetEnvironmentVariable("CANCELSERVICE_SCHEDULES_SEED") is { Length: > 0 } given
            ? uint.Parse(given, CultureInfo.InvariantCulture)
            : (uint)Random.Shared.Next();
        var configuration = Configuration
            .Create()
            .WithTestingIterations(Count)
            .WithRandomGeneratorSeed(seed)
            .WithMaxSchedulingSteps(5000)
            .WithTelemetryEnabled(false);
        using var engine = TestingEngine.Create(configuration, scenario);
        engine.Run();

        var report = engine.TestReport;
        TestContext.Current.TestOutputHelper!.WriteLine($"CANCELSERVICE_SCHEDULES_SEED={seed}\n{engine.GetReport()}");
        report.NumOfFoundBugs.ShouldBe(
            0,
            $"CANCELSERVICE_SCHEDULES_SEED={seed}: {string.Join('\n', report.BugReports)}\n{engine.ReadableTrace}"
        );
        // Coyote skips an interleaving silently when it loses control of a task; none may be skipped.
        (report.NumOfExploredFairPaths + report.NumOfExploredUnfairPaths).ShouldBe(Count);
        report.UncontrolledInvocations.ShouldBeEmpty();
    }

    /// <summary>Awaits all tasks by the overload of WhenAll that Coyote rewrites.</summary>
    public static Task All(IEnumerable<Task> tasks) => Task.WhenAll(tasks);
}
