using System.Threading.RateLimiting;
using CancelService.Domain;
using CancelService.Domain.Clients;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Exchange;

/// <summary>
/// The limits of the public port. Unverified requests share small limits of their own. A client has a share of the concurrent work and the
/// rate of its contract, and only requests that its own key has signed draw on them: nobody can use them up in its name.
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

    // Each client has a share with its own queue, and waits there first. A client whose work is stuck fills its own queue;
    // the common places and the common queue stay free for others.
    private readonly PartitionedRateLimiter<Client> _shares = PartitionedRateLimiter.Create<Client, ClientId>(client =>
        RateLimitPartition.GetConcurrencyLimiter(client.Id, _ => Share(limits.Value))
    );

    private readonly ConcurrencyLimiter _lookUps = new(Share(limits.Value));

    // After a start every client is new and all come at once, so the burst is a full second's worth.
    private readonly TokenBucketRateLimiter _introductions = PerSecond(
        limits.Value.UnknownClientsPerSecond,
        burst: limits.Value.UnknownClientsPerSecond
    );

    private readonly TokenBucketRateLimiter _unverified = PerSecond(
        limits.Value.UnverifiedAnswersPerSecond,
        burst: limits.Value.UnverifiedAnswersBurst
    );

    /// <summary>
    /// A place for the work of a request that <paramref name="client"/> has signed; dispose it. When the client's share or the
    /// places of all are taken, the request waits, for <see cref="LimitsOptions.MaxQueueTime"/> at most, or not at all.
    /// </summary>
    public async Task<Step<Place>> Enter(Client client, bool mayWait)
    {
        using var patience = mayWait ? new CancellationTokenSource(limits.Value.MaxQueueTime) : null;
        var share = await Take(
            () => _shares.AttemptAcquire(client),
            token => _shares.AcquireAsync(client, 1, token),
            patience
        );
        if (!share.IsAcquired)
            return Place.None(share, "Limits:ClientSharePercent", isVerified: true);
        var work = await Take(() => _work.AttemptAcquire(), token => _work.AcquireAsync(1, token), patience);
        if (work.IsAcquired)
            return new Step<Place>.Next(new Place(work, share));
        share.Dispose();
        return Place.None(work, "Limits:MaxConcurrentRequests", isVerified: true);
    }

    /// <summary>
    /// A place for looking up the client of a request that is not verified yet; dispose it.
    /// <paramref name="isNew"/>: this instance has not met the client, so the look-up counts as an introduction.
    /// </summary>
    public async Task<Step<Place>> LookUp(bool isNew)
    {
        if (isNew)
        {
            var introduction = _introductions.AttemptAcquire();
            if (!introduction.IsAcquired)
                return Place.None(introduction, "Limits:UnknownClientsPerSecond", isVerified: false);
        }
        using var patience = new CancellationTokenSource(limits.Value.MaxQueueTime);
        var place = await Take(() => _lookUps.AttemptAcquire(), token => _lookUps.AcquireAsync(1, token), patience);
        return place.IsAcquired
            ? new Step<Place>.Next(new Place(place))
            : Place.None(place, "Limits:MaxConcurrentRequests", isVerified: false);
    }

    /// <summary>Takes a permit to sign an answer to an unverified request; false when none is left.</summary>
    public bool TryTakeUnverifiedPermit()
    {
        using var lease = _unverified.AttemptAcquire();
        return lease.IsAcquired;
    }

    /// <summary>
    /// Delays a refusal that its sender could go on provoking. A connection's next request is read after the answer to the
    /// last, so with 2 ms one connection gets at most 500 refusals a second.
    /// </summary>
    public Task DelayRefusal(CancellationToken cancellationToken) =>
        Task.Delay(limits.Value.RefusalDelay, cancellationToken);

    /// <summary>Whether a verified client is within its contract's rate for an operation; draws on it.</summary>
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

    // A free place is taken at once. Otherwise the request waits for the rest of its time.
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

    // Replenished a twentieth at a time. A full second's worth at once would make all others wait once a second.
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

    // A changed contract gets its own partition, so a new rate applies as soon as the contract is read.
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

/// <summary>A place that one request's work has taken; free again when it is disposed.</summary>
public sealed class Place(params RateLimitLease[] leases) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var lease in leases)
            lease.Dispose();
    }

    internal static Step<Place> None(RateLimitLease refused, string limit, bool isVerified)
    {
        refused.Dispose();
        return new Step<Place>.End(new Reply.TurnedAway(limit, isVerified));
    }
}
