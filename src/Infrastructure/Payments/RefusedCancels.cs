using System.Diagnostics.Metrics;
using CancelService.Application.Cancelling;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace CancelService.Infrastructure.Payments;

/// <summary>
/// The section <c>RefusedCancels</c> of the settings: the retention of refused cancels for operators.
/// </summary>
public sealed class RefusedCancelsOptions
{
    /// <summary>The retention time of a refused cancel after its last occurrence: 1 minute to 366 days.</summary>
    public TimeSpan RememberFor { get; set; } = TimeSpan.FromDays(30);

    /// <summary>The most different refused cancels to keep per client, the newest first: 1 to 1,000,000.</summary>
    public int MaxPerClient { get; set; } = 10_000;

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
    public string? Problem() =>
        RememberFor < TimeSpan.FromMinutes(1) || RememberFor > TimeSpan.FromDays(366)
            ? $"RefusedCancels:RememberFor is {RememberFor}. Set it between 00:01:00 and 366.00:00:00."
        : MaxPerClient is < 1 or > 1_000_000
            ? $"RefusedCancels:MaxPerClient is {MaxPerClient}. Set it between 1 and 1000000."
        : null;
}

/// <summary>
/// Batches refused cancels in memory and upserts them once per second, equal ones as one row with a count. During an
/// outage of the database up to <see cref="MaxWaiting"/> wait. A killed process loses the waiting ones, which are in
/// the log.
/// </summary>
internal sealed class RefusedCancels(
    Database database,
    IOptions<RefusedCancelsOptions> options,
    TimeProvider time,
    IMeterFactory meters
) : BackgroundService, IRefusedCancels
{
    /// <summary>The most different refused cancels that wait to be written.</summary>
    public const int MaxWaiting = 10_000;

    // Bounds the counter: an overflow of the column would make its batch fail for ever.
    private const int MaxTimes = 1_000_000_000;

    private const int BatchSize = 500;

    private static readonly TimeSpan WriteEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);
    private static readonly TimeSpan LastWrite = TimeSpan.FromSeconds(2);

    private readonly Counter<long> _dropped = meters
        .Create(Telemetry.Name)
        .CreateCounter<long>(
            "cancelservice.refused_cancels.dropped",
            unit: "{cancel}",
            description: "Refused cancels that are in the log alone, because too many waited to be written"
        );

    private readonly Lock _lock = new();
    private Dictionary<Key, Seen> _waiting = [];

    public void Note(RefusedCancel refused)
    {
        var key = new Key(refused.ClientId.Value, refused.PaymentId, refused.PaymentRequestId, refused.Code);
        lock (_lock)
            Add(key, new Seen(1, refused.At, refused.At, refused.KeyVersion, refused.TraceId));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        _dropped.Add(0); // Publish 0, so that the first drop shows as an increase.
        var pruneAt = time.GetUtcNow();
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(WriteEvery, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await Task.Yield(); // Leave the timer's thread: the write must not delay the clock's other timers.
            try
            {
                await Write(stoppingToken);
                if (time.GetUtcNow() < pruneAt || stoppingToken.IsCancellationRequested)
                    continue;
                await Prune(stoppingToken);
                pruneAt = time.GetUtcNow() + PruneEvery;
            }
            catch (Exception)
            {
                // The refused cancels wait for the next round. The outage itself is logged elsewhere.
            }
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        using var last = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        last.CancelAfter(LastWrite);
        try
        {
            await Write(last.Token);
        }
        catch (Exception)
        {
            // The database is away at the end; the log has the refused cancels.
        }
    }

    private async Task Write(CancellationToken cancellationToken)
    {
        Dictionary<Key, Seen> taken;
        lock (_lock)
            (taken, _waiting) = (_waiting, []);
        try
        {
            // A fixed order prevents deadlocks between instances.
            var ordered = taken
                .OrderBy(pair => pair.Key.ClientId, StringComparer.Ordinal)
                .ThenBy(pair => pair.Key.PaymentId, StringComparer.Ordinal)
                .ThenBy(pair => pair.Key.PaymentRequestId, StringComparer.Ordinal)
                .ThenBy(pair => pair.Key.Code, StringComparer.Ordinal);
            foreach (var part in ordered.Chunk(BatchSize))
            {
                await database.Rows(Batch(part), cancellationToken);
                foreach (var (key, _) in part)
                    taken.Remove(key);
            }
        }
        finally
        {
            lock (_lock)
                foreach (var (key, seen) in taken)
                    Add(key, seen);
        }
    }

    private AtomicBatch Batch(KeyValuePair<Key, Seen>[] part)
    {
        var batch = new AtomicBatch();
        foreach (var (key, seen) in part)
            batch.Add(
                $"""
                INSERT INTO refused_cancels (client_id, payment_id, payment_request_id, code, times, first_at, last_at,
                    key_version, trace_id)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                ON CONFLICT (client_id, payment_id, payment_request_id, code) DO UPDATE
                SET times = CASE WHEN refused_cancels.times < {MaxTimes} THEN refused_cancels.times + excluded.times
                        ELSE refused_cancels.times END, last_at = excluded.last_at,
                    key_version = excluded.key_version, trace_id = excluded.trace_id
                """,
                key.ClientId,
                key.PaymentId,
                key.PaymentRequestId,
                key.Code,
                seen.Times,
                seen.FirstAt,
                seen.LastAt,
                seen.KeyVersion,
                seen.TraceId
            );
        foreach (var clientId in part.Select(pair => pair.Key.ClientId).Distinct(StringComparer.Ordinal))
            batch.Add(
                """
                DELETE FROM refused_cancels WHERE client_id = $1 AND last_at < (
                    SELECT last_at FROM refused_cancels WHERE client_id = $1 ORDER BY last_at DESC LIMIT 1 OFFSET $2)
                """,
                clientId,
                options.Value.MaxPerClient - 1
            );
        return batch;
    }

    private Task<int> Prune(CancellationToken cancellationToken) =>
        database.Rows(
            new AtomicBatch().Add(
                "DELETE FROM refused_cancels WHERE last_at < $1",
                time.GetUtcNow() - options.Value.RememberFor
            ),
            cancellationToken
        );

    private void Add(Key key, Seen seen)
    {
        if (_waiting.TryGetValue(key, out var known))
            _waiting[key] = known.And(seen);
        else if (_waiting.Count < MaxWaiting)
            _waiting.Add(key, seen);
        else
            _dropped.Add(seen.Times);
    }

    private readonly record struct Key(string ClientId, string PaymentId, string PaymentRequestId, string Code);

    private sealed record Seen(int Times, DateTimeOffset FirstAt, DateTimeOffset LastAt, int KeyVersion, string TraceId)
    {
        public Seen And(Seen other)
        {
            var last = other.LastAt >= LastAt ? other : this;
            return last with
            {
                Times = Times + other.Times,
                FirstAt = FirstAt <= other.FirstAt ? FirstAt : other.FirstAt,
            };
        }
    }
}
