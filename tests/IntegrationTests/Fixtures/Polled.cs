namespace CancelService.IntegrationTests.Fixtures;

/// <summary>Polls a value until it is the expected one; fails after a minute.</summary>
public sealed class Polled<T>(Func<Task<T>> ask)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    public Task Becomes(T expected) => Matches(answer => Equals(answer, expected), answer => answer.ShouldBe(expected));

    public Task Matches(Func<T, bool> isAwaited) =>
        Matches(isAwaited, answer => isAwaited(answer).ShouldBeTrue($"the last answer was {answer}"));

    private async Task Matches(Func<T, bool> isAwaited, Action<T> fail)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var answer = await ask();
            if (isAwaited(answer))
                return;
            if (TimeProvider.System.GetElapsedTime(start) > Deadline)
                fail(answer);
            await Task.Delay(10);
        }
    }
}
