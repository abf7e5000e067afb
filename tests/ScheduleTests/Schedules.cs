using System.Globalization;
using Microsoft.Coyote;
using Microsoft.Coyote.SystematicTesting;

// Coyote runs one schedule at a time.
[assembly: Xunit.v3.Parallelization(MaxThreads = 1)]

namespace CancelService.ScheduleTests;

/// <summary>
/// Runs a scenario again and again, each time in another order: at each await, lock and access to a shared collection Coyote decides
/// who goes on. CANCELSERVICE_SCHEDULES_SEED repeats a run's orders.
/// </summary>
internal static class Schedules
{
    /// <summary>How many orders of a scenario are tried.</summary>
    public const int Count = 1200;

    /// <summary>Fails on the first order in which the scenario fails, or nobody can go on.</summary>
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
        // Nothing was left out: each order was controlled, and ran to its end.
        (report.NumOfExploredFairPaths + report.NumOfExploredUnfairPaths).ShouldBe(Count);
        report.UncontrolledInvocations.ShouldBeEmpty();
    }

    /// <summary>Waits for all, by the overload that Coyote knows.</summary>
    public static Task All(IEnumerable<Task> tasks) => Task.WhenAll(tasks);
}
