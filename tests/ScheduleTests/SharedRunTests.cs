using CancelService.Infrastructure.Servers;

namespace CancelService.ScheduleTests;

/// <summary>Goal: coalesced barrier commits are safe: each caller gets a commit that began after its read.</summary>
public sealed class SharedRunTests
{
    [Fact]
    public void A_caller_gets_a_run_that_began_after_its_call_and_a_failure_does_not_spread_to_the_next_run() =>
        Schedules.Explore(async () =>
        {
            var (began, running) = (0, 0);
            var shared = new SharedRun<int>(Run);
            await Schedules.All(Enumerable.Range(0, 3).Select(_ => Task.Run(Ask)));
            began.ShouldBeInRange(1, 3);

            async Task<int> Run()
            {
                (++running).ShouldBe(1);
                var number = ++began;
                await Task.Yield();
                running--;
                if (number == 1)
                    throw new IOException("The commit is not confirmed.");
                return number;
            }

            async Task Ask()
            {
                var before = began;
                try
                {
                    (await shared.Next()).ShouldBeGreaterThan(before);
                }
                catch (IOException)
                {
                    before.ShouldBe(0, "only calls from before the start of the first run may share its failure");
                }
            }
        });
}
