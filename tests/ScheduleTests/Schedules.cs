using CancelService.Harness;
using Microsoft.Coyote;
using Microsoft.Coyote.SystematicTesting;

// Coyote runs one schedule at a time.
[assembly: Xunit.v3.Parallelization(MaxThreads = 1)]

namespace CancelService.ScheduleTests;

/// <summary>
/// Runs a scenario again and again, each time in another order: at each await, lock and access to a shared collection
/// Coyote decides who goes on. CANCELSERVICE_SEED repeats a run's orders, CANCELSERVICE_SCHEDULES_ORDERS says
/// how many there are.
/// </summary>
internal static class Schedules
{
    /// <summary>How many orders of a scenario are tried.</summary>
    public static readonly int Count = Seeds.Setting("CANCELSERVICE_SCHEDULES_ORDERS", 100);

    /// <summary>Fails on the first order in which the scenario fails, or nobody can go on.</summary>
    public static void Explore(Func<Task> scenario)
    {
        var seed = (uint)Seeds.Common;
        var configuration = Configuration
            .Create()
            .WithTestingIterations((uint)Count)
            .WithRandomGeneratorSeed(seed)
            .WithMaxSchedulingSteps(5000)
            .WithTelemetryEnabled(false);
        using var engine = TestingEngine.Create(configuration, scenario);
        engine.Run();

        var report = engine.TestReport;
        TestContext.Current.TestOutputHelper!.WriteLine($"CANCELSERVICE_SEED={seed}\n{engine.GetReport()}");
        report.NumOfFoundBugs.ShouldBe(
            0,
            $"CANCELSERVICE_SEED={seed}: {string.Join('\n', report.BugReports)}\n{engine.ReadableTrace}"
        );
        // Nothing was left out: each order was controlled, and ran to its end.
        (report.NumOfExploredFairPaths + report.NumOfExploredUnfairPaths).ShouldBe(Count);
        report.UncontrolledInvocations.ShouldBeEmpty();
    }

    /// <summary>Waits for all, by the overload that Coyote knows.</summary>
    public static Task All(IEnumerable<Task> tasks) => Task.WhenAll(tasks);
}
