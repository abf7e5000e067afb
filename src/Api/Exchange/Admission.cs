using System.Threading.RateLimiting;
using CancelService.Domain;
using CancelService.Domain.Clients;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Exchange;

/// <summary>
/// The limits of the public port. Unverified requests share small limits. Each client has a share of the concurrent
/// work and its contract's rate. Only requests signed with its key draw on them, so nobody else can exhaust them.
/// </summary>
public sealed class Admission(IOptions<LimitsOptions> limits) : IAsyncDisposable
{
    private readonly PartitionedRateLimiter<(Client, IOperation)> _rates = PartitionedRateLimiter.Create<
        (Client, IOperation),
        (ClientId, string, RequestRate)
    >(PerClient);

    private readonly ConcurrencyLimiter _work = new(
        Concurrency(limits.Value.MaxConcurrentRequests, limits.Value.MaxQueuedRequests)
    );

    // A request waits in its client's queue first. A client whose work is stuck fills only its own queue, and the
    // common slots and the common queue stay free for others.
    private readonly PartitionedRateLimiter<Client> _shares = PartitionedRateLimiter.Create<Client, ClientId>(client =>
        RateLimitPartition.GetConcurrencyLimiter(client.Id, _ => Share(limits.Value))
    );

    private readonly ConcurrencyLimiter _lookUps = new(Share(limits.Value));

    // Right after a start every client is new, so the burst is a full second's worth.
    private readonly TokenBucketRateLimiter _introductions = PerSecond(
        limits.Value.UnknownClientsPerSecond,
        burst: limits.Value.UnknownClientsPerSecond
    );

    private readonly TokenBucketRateLimiter _unverified = PerSecond(
        limits.Value.UnverifiedAnswersPerSecond,
        burst: limits.Value.UnverifiedAnswersBurst
    );

    /// <summary>
    /// Takes a slot for a request that <paramref name="client"/> has signed; dispose it. Without a free slot the
    /// request waits at most <see cref="LimitsOptions.MaxQueueTime"/>, or not at all.
    /// </summary>
    public async Task<Step<Slot>> Enter(Client client, bool mayWait)
    {
        using var patience = mayWait ? new CancellationTokenSource(limits.Value.MaxQueueTime) : null;
        var share = await Take(
            () => _shares.AttemptAcquire(client),
            token => _shares.AcquireAsync(client, 1, token),
            patience
        );
        if (!share.IsAcquired)
            return Slot.None(share, "Limits:ClientSharePercent", isVerified: true);
        var work = await Take(() => _work.AttemptAcquire(), token => _work.AcquireAsync(1, token), patience);
        if (work.IsAcquired)
            return new Step<Slot>.Next(new Slot(work, share));
        share.Dispose();
        return Slot.None(work, "Limits:MaxConcurrentRequests", isVerified: true);
    }

    /// <summary>
    /// Takes a slot for looking up the client of an unverified request; dispose it. The look-up of a client that is not
    /// in the cache (<paramref name="isNew"/>) also draws on <see cref="LimitsOptions.UnknownClientsPerSecond"/>.
    /// </summary>
    public async Task<Step<Slot>> LookUp(bool isNew)
    {
        if (isNew)
        {
            var introduction = _introductions.AttemptAcquire();
            if (!introduction.IsAcquired)
                return Slot.None(introduction, "Limits:UnknownClientsPerSecond", isVerified: false);
        }
        using var patience = new CancellationTokenSource(limits.Value.MaxQueueTime);
        var lookUp = await Take(() => _lookUps.AttemptAcquire(), token => _lookUps.AcquireAsync(1, token), patience);
        return lookUp.IsAcquired
            ? new Step<Slot>.Next(new Slot(lookUp))
            : Slot.None(lookUp, "Limits:MaxConcurrentRequests", isVerified: false);
    }

    /// <summary>Takes a permit to sign an answer to an unverified request; false when none is left.</summary>
    public bool TryTakeUnverifiedPermit()
    {
        using var lease = _unverified.AttemptAcquire();
        return lease.IsAcquired;
    }

    /// <summary>
    /// Delays a refusal to throttle its sender. A connection's next request is read after the answer to the last, so
    /// with 2 ms one connection gets at most 500 refusals a second.
    /// </summary>
    public Task DelayRefusal(CancellationToken cancellationToken) =>
        Task.Delay(limits.Value.RefusalDelay, cancellationToken);

    /// <summary>Draws on a verified client's rate for an operation; false when the rate is exceeded.</summary>
    public bool IsWithinRate(Client client, IOperation operation)
    {
        using var lease = _rates.AttemptAcquire((client, operation));
        return lease.IsAcquired;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _rates.DisposeAsync();
        await _shares.DisposeAsync();
        await _work.DisposeAsync();
        await _lookUps.DisposeAsync();
        await _introductions.DisposeAsync();
        await _unverified.DisposeAsync();
    }

    // Takes a free slot at once; otherwise waits for the rest of the request's time.
    private static async Task<RateLimitLease> Take(
        Func<RateLimitLease> attempt,
        Func<CancellationToken, ValueTask<RateLimitLease>> wait,
        CancellationTokenSource? patience
    )
    {
        var lease = attempt();
        if (lease.IsAcquired || patience is null)
            return lease;
        try
        {
            return await wait(patience.Token);
        }
        catch (OperationCanceledException)
        {
            return lease;
        }
    }

    private static ConcurrencyLimiterOptions Share(LimitsOptions limits) =>
        Concurrency(
            Math.Max(1, limits.MaxConcurrentRequests * limits.ClientSharePercent / 100),
            limits.MaxQueuedRequests
        );

    private static ConcurrencyLimiterOptions Concurrency(int permits, int queue) =>
        new()
        {
            PermitLimit = permits,
            QueueLimit = queue,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        };

    // Replenishes a twentieth at a time: permits that arrive once a second would make requests wait for that moment.
    private static TokenBucketRateLimiter PerSecond(int count, int burst)
    {
        var portion = Math.Max(1, count / 20);
        return new(
            new TokenBucketRateLimiterOptions
            {
                TokenLimit = Math.Max(portion, burst),
                TokensPerPeriod = portion,
                ReplenishmentPeriod = TimeSpan.FromSeconds((double)portion / count),
                QueueLimit = 0,
            }
        );
    }

    // The rate is part of the partition's key, so a changed contract applies as soon as it is read.
    private static RateLimitPartition<(ClientId, string, RequestRate)> PerClient((Client, IOperation) call)
    {
        var (client, operation) = call;
        return RateLimitPartition.GetTokenBucketLimiter(
            (client.Id, operation.Name, operation.RateOf(client.Contract)),
            key => new TokenBucketRateLimiterOptions
            {
                TokenLimit = key.Item3.Burst,
                TokensPerPeriod = key.Item3.PerSecond,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                QueueLimit = 0,
            }
        );
    }
}

/// <summary>The permission for one request's work; disposing it frees the slot.</summary>
public sealed class Slot(params RateLimitLease[] leases) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var lease in leases)
            lease.Dispose();
    }

    internal static Step<Slot> None(RateLimitLease refused, string limit, bool isVerified)
    {
        refused.Dispose();
        return new Step<Slot>.End(new Reply.TurnedAway(limit, isVerified));
    }
}
