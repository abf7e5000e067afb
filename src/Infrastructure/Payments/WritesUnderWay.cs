using System.Collections.Concurrent;
using CancelService.Domain;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The writes of payments that this instance has begun and that have not ended, whether or not they are sent. It holds at
/// most one entry for each request that writes.
/// </summary>
internal sealed class WritesUnderWay
{
    private readonly ConcurrentDictionary<(ClientId, PaymentId), Task> _latest = new();

    /// <summary>Runs a write, which counts as under way until it has ended.</summary>
    public async Task<bool> Track(ClientId clientId, PaymentId id, Func<Task<bool>> write)
    {
        var key = (clientId, id);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // Each task covers those before it, so the latest one of a payment stands for all of them.
        var latest = _latest.AddOrUpdate(key, ended.Task, (_, earlier) => Task.WhenAll(earlier, ended.Task));
        _ = latest.ContinueWith(
            _ => _latest.TryRemove(new(key, latest)), // Unless a later write has replaced it.
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default
        );
        try
        {
            return await write();
        }
        finally
        {
            ended.SetResult();
        }
    }

    /// <summary>Ends when the writes of the payment that are under way now have ended, in whichever way.</summary>
    public Task Ended(ClientId clientId, PaymentId id) => _latest.GetValueOrDefault((clientId, id), Task.CompletedTask);
}
