namespace CancelService.IntegrationTests.Fixtures;

/// <summary>A question that is asked until its answer is the awaited one.</summary>
public sealed class Polled<T>(Func<Task<T>> ask)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    public async Task Becomes(T expected)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var answer = await ask();
            if (Equals(answer, expected))
                return;
            if (TimeProvider.System.GetElapsedTime(start) > Deadline)
                answer.ShouldBe(expected);
            await Task.Delay(10);
        }
    }
}
