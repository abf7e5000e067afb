using CancelService.Harness;
using Microsoft.Coyote;
using Microsoft.Coyote.SystematicTesting;

// Coyote controls one schedule at a time, so the tests can't run in parallel.
[assembly: Xunit.v3.Parallelization(MaxThreads = 1)]

namespace CancelService.ScheduleTests;

/// <summary>
/// Explores random interleavings of a scenario: at each await, lock and access to a shared collection Coyote picks the
/// task that continues. CANCELSERVICE_SEED repeats a run, and CANCELSERVICE_SCHEDULES_ORDERS sets the number of
/// interleavings.
/// </summary>
internal static class Schedules
{
    /// <summary>The number of interleavings explored for each scenario.</summary>
    public static readonly int Count = Seeds.Setting("CANCELSERVICE_SCHEDULES_ORDERS", 100);

    /// <summary>Fails on the first interleaving in which the scenario fails or deadlocks.</summary>
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
        // Coyote skips an interleaving silently when it loses control of a task; none may be skipped.
        (report.NumOfExploredFairPaths + report.NumOfExploredUnfairPaths).ShouldBe(Count);
        report.UncontrolledInvocations.ShouldBeEmpty();
    }

    /// <summary>Awaits all tasks by the overload of WhenAll that Coyote rewrites.</summary>
    public static Task All(IEnumerable<Task> tasks) => Task.WhenAll(tasks);
}
