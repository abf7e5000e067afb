using CancelService.Infrastructure.Servers;

namespace CancelService.ScheduleTests;

/// <summary>The barrier's commits: who has read rests on a commit that began after the read, however many share it.</summary>
public sealed class SharedRunTests
{
    [Fact]
    public void Everybody_gets_a_run_that_began_after_they_asked_and_one_failure_is_not_the_next_ones() =>
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
                    before.ShouldBe(0, "only those who asked before the first run began share its failure");
                }
            }
        });
}
