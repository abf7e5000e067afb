using System.Collections.Concurrent;
using CancelService.Domain;
using CancelService.Infrastructure.Persistence;

namespace CancelService.Infrastructure.Ledger;

/// <summary>
/// Commits writes of one merchant together. Each write changes the merchant's balance, a single row, which stays locked until
/// the commit is on disk; one after the other, a busy merchant's cancels would queue for the disk. So while one transaction
/// of a merchant is under way, the writes that come meanwhile wait for it, a moment at most, and then share the next one,
/// and its single change of the balance. The database arbitrates as ever: a group that a constraint refuses has changed nothing, and each of
/// its writes is tried on its own.
/// </summary>
internal sealed class GroupCommit(Database database)
{
    /// <summary>The most writes of a transaction.</summary>
    public const int MaxGroup = 32;

    // A transaction that takes longer has met a lock or a broken connection, which must not hold up the whole merchant.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<ClientId, List<Waiting>> _busy = new();

    /// <summary>A write that changes the balance of its merchant.</summary>
    /// <param name="Batch">All statements but those of the ledger.</param>
    /// <param name="PaymentId">The payment that is written.</param>
    /// <param name="Posting">The ledger's transaction, by which the balance changes.</param>
    internal sealed record Write(AtomicBatch Batch, PaymentId PaymentId, Posting Posting);

    /// <summary>
    /// Commits a write, alone or with others of the merchant. False: a constraint refused it, and it changed nothing. An
    /// exception: the outcome is unknown, or the caller has given up before it began.
    /// </summary>
    public Task<bool> Commit(ClientId clientId, Write write, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(write, cancellationToken);
        while (true)
        {
            if (_busy.TryGetValue(clientId, out var line))
            {
                lock (line)
                {
                    // The line may have been closed since; then there is room for a new one.
                    if (!_busy.TryGetValue(clientId, out var current) || current != line)
                        continue;
                    line.Add(waiting);
                    return waiting.Done.Task;
                }
            }
            line = [];
            if (_busy.TryAdd(clientId, line))
            {
                _ = Serve(clientId, line, waiting);
                return waiting.Done.Task;
            }
        }
    }

    private async Task Serve(ClientId clientId, List<Waiting> line, Waiting first)
    {
        List<Waiting> group = [first];
        do
        {
            await Task.WhenAny(Commit(clientId, group), Task.Delay(Patience));
            lock (line)
            {
                group = Take(line);
                if (group is [])
                    _busy.TryRemove(clientId, out _);
            }
        } while (group is not []);
    }

    // A payment's second write waits for the first, which it would make fail. In the order of the payments, so that two
    // instances that write the same ones can't lock each other out.
    private static List<Waiting> Take(List<Waiting> line)
    {
        foreach (var waiting in line.Where(w => w.CancellationToken.IsCancellationRequested))
            waiting.Done.TrySetCanceled(waiting.CancellationToken);
        line.RemoveAll(waiting => waiting.Done.Task.IsCompleted);
        var group = line.DistinctBy(waiting => waiting.Write.PaymentId).Take(MaxGroup).ToList();
        line.RemoveAll(group.Contains);
        group.Sort((a, b) => string.CompareOrdinal(a.Write.PaymentId.Value, b.Write.PaymentId.Value));
        return group;
    }

    private async Task Commit(ClientId clientId, List<Waiting> group)
    {
        try
        {
            var batch = new AtomicBatch();
            foreach (var waiting in group)
                batch.Add(waiting.Write.Batch);
            LedgerStatements.Add(batch, clientId, [.. group.Select(waiting => waiting.Write.Posting)]);
            // Bounded by the command's time-out: no single caller may give up for all.
            var committed = await database.Execute(batch, CancellationToken.None) is not null;
            if (committed || group is [_])
            {
                foreach (var waiting in group)
                    waiting.Done.TrySetResult(committed);
                return;
            }
        }
        catch (Exception e) // Whatever it was, it is the callers' to judge: the outcome is unknown to each of them.
        {
            foreach (var waiting in group)
                waiting.Done.TrySetException(e);
            return;
        }
        foreach (var waiting in group)
            await Commit(clientId, [waiting]);
    }

    private sealed record Waiting(Write Write, CancellationToken CancellationToken)
    {
        public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
