namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// Runs one thing again and again for many, once at a time: all who ask while it runs share its next run, which begins after they
/// have asked.
/// </summary>
internal sealed class SharedRun<T>(Func<Task<T>> run)
{
    private readonly Lock _lock = new();
    private Task _underWay = Task.CompletedTask;
    private TaskCompletionSource<T> _next = new();
    private bool _isNextWaiting;

    /// <summary>The result of a run that begins from now on. It fails for all who share it.</summary>
    public Task<T> Next()
    {
        TaskCompletionSource<T> next;
        Task other;
        lock (_lock)
        {
            if (_isNextWaiting)
                return _next.Task;
            _next = next = new(TaskCreationOptions.RunContinuationsAsynchronously);
            (other, _isNextWaiting) = (_underWay, true);
        }
        _ = RunAfter(other, next);
        return next.Task;
    }

    private async Task RunAfter(Task other, TaskCompletionSource<T> next)
    {
        try
        {
            await other;
        }
        catch (Exception)
        {
            // Those who share it know.
        }
        lock (_lock)
            (_underWay, _isNextWaiting) = (next.Task, false); // Who asks from now on has asked too late for this run.
        try
        {
            next.SetResult(await run());
        }
        catch (Exception e)
        {
            next.SetException(e);
        }
    }
}
