using System.Collections.Concurrent;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;

namespace CancelService.Infrastructure.Ledger;

/// <summary>
/// Commits writes of one merchant together. Each write changes the merchant's balance, a single row, which stays locked
/// until the commit is on disk. One after the other, a busy merchant's cancels would queue for the disk. So the writes that
/// arrive while a transaction of the merchant is under way wait for its end, 100 ms at most, and share the next
/// transaction with its single change of the balance. The database still arbitrates: a group that a constraint refuses has
/// changed nothing, and each of its writes is tried alone.
/// </summary>
/// <remarks>
/// A transaction that takes longer than 100 ms waits for a lock or a broken connection. From then on each payment of its
/// group is written alone, in a queue of its own, so that a locked payment does not delay others again.
/// </remarks>
/// <param name="write">Writes a batch: <see cref="Database.Write"/>.</param>
/// <param name="patience">Ends when a transaction takes too long for others to wait for it: after <see cref="Patience"/>.</param>
internal sealed class GroupCommit(Func<AtomicBatch, CancellationToken, Task<WriteResult>> write, Func<Task> patience)
{
    /// <summary>The most writes of a transaction.</summary>
    public const int MaxGroup = 32;

    /// <summary>The most payments that are remembered as slow; beyond it all are forgotten.</summary>
    private const int MaxSlow = 10_000;

    /// <summary>How long writes wait for the transaction before theirs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<Line, List<Waiting>> _busy = new();
    private readonly ConcurrentDictionary<(ClientId, PaymentId), bool> _slow = new();

    /// <summary>Whether nobody waits, and no transaction is under way that others would wait for.</summary>
    public bool IsIdle => _busy.IsEmpty;

    /// <summary>A write that changes the balance of its merchant.</summary>
    /// <param name="Batch">All statements but those of the ledger.</param>
    /// <param name="PaymentId">The payment that is written.</param>
    /// <param name="Transfer">The transfer, by which the balance changes.</param>
    internal sealed record Write(AtomicBatch Batch, PaymentId PaymentId, TransferRow Transfer);

    /// <summary>
    /// Commits a write, alone or with others of the merchant. An exception: the outcome is unknown, or the caller has given up
    /// before the write began.
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
        var line = new Line(clientId, isSlow ? waiting.Write.PaymentId : null);
        while (true)
        {
            if (_busy.TryGetValue(line, out var others))
            {
                lock (others)
                {
                    // The queue may have been closed since. Then a new one takes its place.
                    if (!_busy.TryGetValue(line, out var current) || current != others)
                        continue;
                    others.Add(waiting);
                    return;
                }
            }
            others = [];
            if (_busy.TryAdd(line, others))
            {
                _ = Serve(line, others, waiting);
                return;
            }
        }
    }

    private async Task Serve(Line line, List<Waiting> others, Waiting first)
    {
        List<Waiting> group = [first];
        do
        {
            var commit = Commit(line.ClientId, group);
            var isSlow = await Task.WhenAny(commit, patience()) != commit;
            if (isSlow)
                Remember(line.ClientId, group);
            else if (line.Payment is { } payment)
                _slow.TryRemove((line.ClientId, payment), out _);
            // A payment's second write waits for the first: both change the same row.
            if (line.Payment is not null)
                await commit;

            List<Waiting> slow;
            lock (others)
            {
                (group, slow) = Take(line, others);
                if (group is [])
                    _busy.TryRemove(line, out _);
            }
            foreach (var waiting in slow)
                Join(line.ClientId, waiting);
        } while (group is not []);
    }

    private void Remember(ClientId clientId, List<Waiting> group)
    {
        if (_slow.Count + group.Count > MaxSlow)
            _slow.Clear();
        foreach (var waiting in group.Where(waiting => !waiting.Done.Task.IsCompleted))
            _slow[(clientId, waiting.Write.PaymentId)] = true;
    }

    // The next group, and the writes that leave the shared queue because their payment has become slow. A payment's second
    // write never joins the group of the first, which it would make fail. The group is sorted by payment, so that two
    // instances that write the same payments can't deadlock.
    private (List<Waiting> Group, List<Waiting> Slow) Take(Line line, List<Waiting> others)
    {
        foreach (var waiting in others.Where(w => w.CancellationToken.IsCancellationRequested))
            waiting.Done.TrySetCanceled(waiting.CancellationToken);
        others.RemoveAll(waiting => waiting.Done.Task.IsCompleted);
        List<Waiting> slow = line.Payment is not null
            ? []
            : [.. others.Where(waiting => _slow.ContainsKey((line.ClientId, waiting.Write.PaymentId)))];
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
            // Not cancelled by a caller, who must not give up for all; the command's time-out bounds it.
            var result = await write(batch, CancellationToken.None);
            if (result is WriteResult.Written || group is [_])
            {
                foreach (var waiting in group)
                    waiting.Done.TrySetResult(result);
                return;
            }
        }
        catch (Exception e) // The outcome is unknown to each caller, and each judges the exception.
        {
            foreach (var waiting in group)
                waiting.Done.TrySetException(e);
            return;
        }
        foreach (var waiting in group)
            await Commit(clientId, [waiting]);
    }

    /// <summary>Where writes wait: the merchant's shared line, or the line of one slow payment.</summary>
    private readonly record struct Line(ClientId ClientId, PaymentId? Payment);

    private sealed record Waiting(Write Write, CancellationToken CancellationToken)
    {
        public TaskCompletionSource<WriteResult> Done { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
