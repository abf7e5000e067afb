using System.Collections.Concurrent;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;

namespace CancelService.Infrastructure.Ledger;

/// <summary>
/// Batches concurrent writes of one merchant into one transaction. Each write changes the merchant's balance, a single
/// row that stays locked until the commit is on disk, so a busy merchant's cancels would queue for the disk. Instead,
/// writes that arrive during a transaction of the merchant wait for its end, at most 100 ms, and share the next
/// transaction with a single change of the balance. The database still arbitrates: a group that a constraint refuses
/// has changed nothing, and each of its writes is retried alone.
/// </summary>
/// <remarks>
/// A transaction of more than 100 ms waits for a lock or a broken connection. From then on each payment of its group
/// has a queue of its own, so that a locked payment does not delay others again.
/// </remarks>
/// <param name="write">Writes a batch: <see cref="Database.Write"/>.</param>
/// <param name="patience">Completes after <see cref="Patience"/>, when others stop waiting for the transaction.</param>
internal sealed class GroupCommit(Func<AtomicBatch, CancellationToken, Task<WriteResult>> write, Func<Task> patience)
{
    /// <summary>The most writes of a transaction.</summary>
    public const int MaxGroup = 32;

    /// <summary>The most payments to remember as slow; the set is cleared beyond that.</summary>
    private const int MaxSlow = 10_000;

    /// <summary>The longest wait of a write for the transaction before it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<QueueKey, List<Waiting>> _busy = new();
    private readonly ConcurrentDictionary<(ClientId, PaymentId), bool> _slow = new();

    /// <summary>True if no write waits, and no transaction runs that others would wait for.</summary>
    public bool IsIdle => _busy.IsEmpty;

    /// <summary>A write that changes the balance of its merchant.</summary>
    /// <param name="Batch">All statements but those of the ledger.</param>
    /// <param name="PaymentId">The payment that is written.</param>
    /// <param name="Transfer">The transfer that changes the balance.</param>
    internal sealed record Write(AtomicBatch Batch, PaymentId PaymentId, TransferRow Transfer);

    /// <summary>
    /// Commits a write, alone or with others of the merchant. It throws when the outcome is unknown, or when the caller
    /// cancelled before the write began.
    /// </summary>
    public Task<WriteResult> Commit(ClientId clientId, Write one, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(one, cancellationToken);
        Join(clientId, waiting);
        return waiting.Done.Task;
    }

    private void Join(ClientId clientId, Waiting waiting)
    {
        var isSlow = _slow.ContainsKey((clientId, waiting.Write.PaymentId));
        var key = new QueueKey(clientId, isSlow ? waiting.Write.PaymentId : null);
        while (true)
        {
            if (_busy.TryGetValue(key, out var others))
            {
                lock (others)
                {
                    // The queue may have been closed meanwhile; then open a new queue.
                    if (!_busy.TryGetValue(key, out var current) || current != others)
                        continue;
                    others.Add(waiting);
                    return;
                }
            }
            others = [];
            if (_busy.TryAdd(key, others))
            {
                _ = Serve(key, others, waiting);
                return;
            }
        }
    }

    private async Task Serve(QueueKey key, List<Waiting> others, Waiting first)
    {
        List<Waiting> group = [first];
        do
        {
            var commit = Commit(key.ClientId, group);
            var isSlow = await Task.WhenAny(commit, patience()) != commit;
            if (isSlow)
                Remember(key.ClientId, group);
            else if (key.Payment is { } payment)
                _slow.TryRemove((key.ClientId, payment), out _);
            // The writes of one payment run one after the other, because they change the same row.
            if (key.Payment is not null)
                await commit;

            List<Waiting> slow;
            lock (others)
            {
                (group, slow) = Take(key, others);
                if (group is [])
                    _busy.TryRemove(key, out _);
            }
            foreach (var waiting in slow)
                Join(key.ClientId, waiting);
        } while (group is not []);
    }

    private void Remember(ClientId clientId, List<Waiting> group)
    {
        if (_slow.Count + group.Count > MaxSlow)
            _slow.Clear();
        foreach (var waiting in group.Where(waiting => !waiting.Done.Task.IsCompleted))
            _slow[(clientId, waiting.Write.PaymentId)] = true;
    }

    // Returns the next group, and the writes that leave the shared queue because their payment has become slow. Two
    // writes of one payment never share a group, because the second would make the group fail. Sorting by payment
    // prevents deadlocks between instances that write the same payments.
    private (List<Waiting> Group, List<Waiting> Slow) Take(QueueKey key, List<Waiting> others)
    {
        foreach (var waiting in others.Where(w => w.CancellationToken.IsCancellationRequested))
            waiting.Done.TrySetCanceled(waiting.CancellationToken);
        others.RemoveAll(waiting => waiting.Done.Task.IsCompleted);
        List<Waiting> slow = key.Payment is not null
            ? []
            : [.. others.Where(waiting => _slow.ContainsKey((key.ClientId, waiting.Write.PaymentId)))];
        others.RemoveAll(slow.Contains);
        var group = others.DistinctBy(waiting => waiting.Write.PaymentId).Take(MaxGroup).ToList();
        others.RemoveAll(group.Contains);
        group.Sort((a, b) => string.CompareOrdinal(a.Write.PaymentId.Value, b.Write.PaymentId.Value));
        return (group, slow);
    }

    private async Task Commit(ClientId clientId, List<Waiting> group)
    {
        using var span = Telemetry.Spans.StartActivity("group");
        span?.SetTag("cancelservice.group.size", group.Count);
        DatabaseMetrics.GroupSize.Record(group.Count);
        try
        {
            var batch = new AtomicBatch();
            foreach (var waiting in group)
                batch.Add(waiting.Write.Batch);
            LedgerStatements.Add(batch, clientId, [.. group.Select(waiting => waiting.Write.Transfer)]);
            // No caller may cancel a transaction that others share; the command's timeout bounds it.
            var result = await write(batch, CancellationToken.None);
            if (result is WriteResult.Written || group is [_])
            {
                foreach (var waiting in group)
                    waiting.Done.TrySetResult(result);
                return;
            }
        }
        catch (Exception e) // The outcome is unknown to each caller, and each handles the exception.
        {
            foreach (var waiting in group)
                waiting.Done.TrySetException(e);
            return;
        }
        foreach (var waiting in group)
            await Commit(clientId, [waiting]);
    }

    /// <summary>Identifies a queue of writes: the merchant's shared queue, or the queue of one slow payment.</summary>
    private readonly record struct QueueKey(ClientId ClientId, PaymentId? Payment);

    private sealed record Waiting(Write Write, CancellationToken CancellationToken)
    {
        public TaskCompletionSource<WriteResult> Done { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
