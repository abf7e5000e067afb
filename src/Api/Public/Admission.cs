using System.Threading.RateLimiting;
using CancelService.Domain;
using CancelService.Domain.Clients;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Public;

/// <summary>
/// Who is let in, and when: a bound on concurrent work, a bound on what strangers may cost, and each verified client's own
/// rate. A stranger who claims to be a client can't use up that client's rate, which only verified requests draw on.
/// </summary>
public sealed class Admission(IOptions<LimitsOptions> limits) : IAsyncDisposable
{
    private readonly PartitionedRateLimiter<Client> _rates = PartitionedRateLimiter.Create<
        Client,
        (ClientId, int, int)
    >(PerClient);

    private readonly ConcurrencyLimiter _work = new(
        new ConcurrencyLimiterOptions
        {
            PermitLimit = limits.Value.MaxConcurrentRequests,
            QueueLimit = limits.Value.MaxQueuedRequests,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        }
    );

    // After a start all clients are new, and come at once.
    private readonly TokenBucketRateLimiter _introductions = PerSecond(
        limits.Value.UnknownClientsPerSecond,
        burst: limits.Value.UnknownClientsPerSecond
    );

    private readonly TokenBucketRateLimiter _strangers = PerSecond(limits.Value.UnverifiedAnswersPerSecond);

    /// <summary>A place for one request's work, after a wait if need be; null when too many wait already, or it takes too long.</summary>
    public async ValueTask<IDisposable?> Enter()
    {
        using var patience = new CancellationTokenSource(limits.Value.MaxQueueTime);
        try
        {
            var lease = await _work.AcquireAsync(1, patience.Token);
            return lease.IsAcquired ? lease : null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Whether the database may be asked who a client is that this instance has not met yet.</summary>
    public bool MayBeIntroduced()
    {
        using var lease = _introductions.AttemptAcquire();
        return lease.IsAcquired;
    }

    /// <summary>Whether there is still time to sign an answer to a request that nobody has vouched for.</summary>
    public bool HasTimeForStranger()
    {
        using var lease = _strangers.AttemptAcquire();
        return lease.IsAcquired;
    }

    /// <summary>
    /// Keeps a request waiting that is refused for something that its sender could go on doing all day: a connection's next
    /// request is looked at only after the answer to the last.
    /// </summary>
    public Task HoldBack(CancellationToken cancellationToken) =>
        Task.Delay(limits.Value.RefusalDelay, cancellationToken);

    /// <summary>Whether a verified client is within the rate of its contract.</summary>
    public bool IsWithinRate(Client client)
    {
        using var lease = _rates.AttemptAcquire(client);
        return lease.IsAcquired;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _rates.DisposeAsync();
        await _work.DisposeAsync();
        await _introductions.DisposeAsync();
        await _strangers.DisposeAsync();
    }

    // Evenly, a twentieth at a time: what comes in a burst once a second makes everybody else wait once a second.
    private static TokenBucketRateLimiter PerSecond(int count, int? burst = null)
    {
        var portion = Math.Max(1, count / 20);
        return new(
            new TokenBucketRateLimiterOptions
            {
                TokenLimit = burst ?? portion,
                TokensPerPeriod = portion,
                ReplenishmentPeriod = TimeSpan.FromSeconds((double)portion / count),
                QueueLimit = 0,
            }
        );
    }

    // A changed contract is a partition of its own, so a new rate holds as soon as the contract is seen.
    private static RateLimitPartition<(ClientId, int, int)> PerClient(Client client) =>
        RateLimitPartition.GetTokenBucketLimiter(
            (client.Id, client.Contract.RequestsPerSecond, client.Contract.Burst),
            _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = client.Contract.Burst,
                TokensPerPeriod = client.Contract.RequestsPerSecond,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                QueueLimit = 0,
            }
        );
}
