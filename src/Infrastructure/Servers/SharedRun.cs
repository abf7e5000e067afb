namespace CancelService.Infrastructure.Servers;

/// <summary>
/// Coalesces concurrent calls: callers that arrive during a run share the next one, which begins after it.
/// </summary>
internal sealed class SharedRun<T>(Func<Task<T>> run)
{
    private readonly Lock _lock = new();
    private Task _underWay = Task.CompletedTask;
    private TaskCompletionSource<T> _next = new();
    private bool _isNextWaiting;

    /// <summary>
    /// Returns the result of a run that begins after this call. An exception reaches all callers of the run.
    /// </summary>
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
            // The callers of that run receive its exception.
        }
        lock (_lock)
            (_underWay, _isNextWaiting) = (next.Task, false); // Later callers get the next run.
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
