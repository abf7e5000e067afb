using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace CancelService.Infrastructure.Notifications;

/// <summary>
/// Delivers each event of the outbox to the core's webhook at least once. A payment has a single event, so no order
/// matters. Instances share the work: each claims a batch client by client, sends it outside any transaction, and
/// settles each event by its outcome.
/// </summary>
/// <param name="outbox">The outbox.</param>
/// <param name="send">
/// Sends an event within <see cref="NotificationsOptions.AttemptTimeout"/>, and never throws.
/// </param>
/// <param name="attempted">Counts an attempt by its outcome.</param>
/// <param name="options">The settings of the section <c>Notifications</c>.</param>
/// <param name="time">The clock.</param>
/// <param name="log">The log, in which an event's identifier finds its attempts.</param>
internal sealed partial class OutboxRelay(
    IOutbox outbox,
    Func<ClaimedEvent, Uri, Task<Sending>> send,
    Action<string> attempted,
    IOptions<NotificationsOptions> options,
    TimeProvider time,
    ILogger<OutboxRelay> log
) : BackgroundService
{
    private static readonly TimeSpan PruneEvery = TimeSpan.FromMinutes(10);

    private readonly NotificationsOptions _options = options.Value;

    // No claims before this time (ticks, UTC), because the receiver is known to be away.
    private long _pausedUntil;
    private DateTimeOffset _nextPrune;

    private bool IsPaused => time.GetUtcNow().UtcTicks < Volatile.Read(ref _pausedUntil);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_options.Webhook is not { } url)
        {
            Off();
            return;
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            var worked = false;
            try
            {
                worked = await Round(url, stoppingToken);
                await Prune(stoppingToken);
            }
            catch (Exception e)
            {
                if (!stoppingToken.IsCancellationRequested)
                    RoundFailed(e.Message);
            }
            if (!worked)
                await Task.Delay(_options.PollInterval, time, stoppingToken)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Visits every client with due events. Returns true if it claimed an event.</summary>
    internal async Task<bool> Round(Uri url, CancellationToken stopping)
    {
        if (IsPaused)
            return false;
        var clientIds = (await outbox.ClientsWithWork(time.GetUtcNow(), stopping)).ToArray();
        Random.Shared.Shuffle(clientIds); // Instances should not all begin with the same client.

        var (batch, worked) = (new List<ClaimedEvent>(), false);
        try
        {
            foreach (var clientId in clientIds)
            {
                if (stopping.IsCancellationRequested || IsPaused)
                    break;
                var now = time.GetUtcNow();
                // A claim is not cancelled halfway, because the relay must know its claims to hand them back.
                batch.AddRange(
                    await outbox.Claim(
                        clientId,
                        now,
                        now + _options.ClaimTime,
                        _options.BatchSize - batch.Count,
                        CancellationToken.None
                    )
                );
                worked |= batch.Count > 0;
                if (batch.Count == _options.BatchSize)
                {
                    await DeliverAll(batch, url, stopping);
                    batch.Clear();
                }
            }
        }
        finally
        {
            await DeliverAll(batch, url, stopping);
        }
        return worked;
    }

    // Drains the whole batch even if the process stops meanwhile: running attempts end within their timeout, and unsent
    // events are handed back.
    private Task DeliverAll(List<ClaimedEvent> batch, Uri url, CancellationToken stopping)
    {
        var next = -1;
        return Task.WhenAll(Enumerable.Range(0, Math.Min(_options.Concurrency, batch.Count)).Select(_ => Each()));

        async Task Each()
        {
            while (Interlocked.Increment(ref next) is var index && index < batch.Count)
            {
                try
                {
                    await Deliver(batch[index], url, stopping);
                }
                catch (Exception e)
                {
                    // The claim expires, and the event is delivered again.
                    NotSettled(batch[index].EventId, e.Message);
                }
            }
        }
    }

    private async Task Deliver(ClaimedEvent claimed, Uri url, CancellationToken stopping)
    {
        // An attempt must not outlive its claim, or another instance might send the event at the same time. The clock
        // is read last, right before the request.
        if (
            stopping.IsCancellationRequested
            || IsPaused
            || time.GetUtcNow() + _options.AttemptTimeout > claimed.ClaimedUntil
        )
        {
            await outbox.HandBack(claimed, time.GetUtcNow(), CancellationToken.None);
            return;
        }

        switch (await send(claimed, url))
        {
            case Sending.Confirmed:
                await Confirmed(claimed);
                break;
            case Sending.Failed failed:
                await Failed(claimed, failed.Error);
                break;
            case Sending.StillAway away:
                // The outage is no fault of this event, so the attempt does not count.
                await outbox.HandBack(claimed, time.GetUtcNow(), CancellationToken.None);
                attempted("probe");
                StillAway(claimed.EventId, away.Error);
                break;
            case Sending.Suspended suspended:
                // No request was sent, so the attempt does not count: an outage must not use up the attempts.
                Volatile.Write(ref _pausedUntil, (time.GetUtcNow() + suspended.RetryAfter).UtcTicks);
                await outbox.HandBack(claimed, time.GetUtcNow(), CancellationToken.None);
                break;
        }
    }

    private async Task Confirmed(ClaimedEvent claimed)
    {
        attempted("delivered");
        if (await outbox.Delivered(claimed, time.GetUtcNow(), CancellationToken.None))
            Delivered(claimed.EventId, ClientOf(claimed), PaymentOf(claimed), claimed.Attempt);
    }

    private async Task Failed(ClaimedEvent claimed, string error)
    {
        var now = time.GetUtcNow();
        if (claimed.Attempt >= _options.MaxAttempts)
        {
            attempted("parked");
            if (await outbox.Parked(claimed, now, error, CancellationToken.None))
                Parked(claimed.EventId, ClientOf(claimed), PaymentOf(claimed), claimed.Attempt, error);
            return;
        }
        attempted("failed");
        var dueAt = now + BackOff(claimed.Attempt);
        if (await outbox.Failed(claimed, dueAt, error, CancellationToken.None))
            Failed(claimed.EventId, ClientOf(claimed), PaymentOf(claimed), claimed.Attempt, error, dueAt);
    }

    private static string ClientOf(ClaimedEvent claimed) => claimed.Payment.ClientId.Value;

    private static string PaymentOf(ClaimedEvent claimed) => claimed.Payment.Id.Value;

    // Exponential backoff with full jitter, so that events that failed together are not retried together.
    private TimeSpan BackOff(int attempt) =>
        Random.Shared.NextDouble()
        * TimeSpan.FromSeconds(
            Math.Min(_options.BackOffMaximum.TotalSeconds, _options.BackOffBase.TotalSeconds * Math.Pow(2, attempt - 1))
        );

    private async Task Prune(CancellationToken stopping)
    {
        var now = time.GetUtcNow();
        if (now < _nextPrune)
            return;
        var pruned = await outbox.Prune(now - _options.KeepDelivered, stopping);
        _nextPrune = now + PruneEvery;
        if (pruned > 0)
            Pruned(pruned);
    }

    [LoggerMessage(LogLevel.Information, "No notifications are sent: Notifications:Url is not set")]
    private partial void Off();

    [LoggerMessage(LogLevel.Information, "Notified of {ClientId} {PaymentId}, event {Event}, attempt {Attempt}")]
    private partial void Delivered(Guid @event, string clientId, string paymentId, int attempt);

    [LoggerMessage(
        LogLevel.Warning,
        "Could not notify of {ClientId} {PaymentId}, event {Event}, attempt {Attempt}, "
            + "trying again at {DueAt:O}: {Error}"
    )]
    private partial void Failed(
        Guid @event,
        string clientId,
        string paymentId,
        int attempt,
        string error,
        DateTimeOffset dueAt
    );

    [LoggerMessage(
        LogLevel.Warning,
        "Gave up notifying of {ClientId} {PaymentId}, event {Event}, after {Attempt} attempts; "
            + "it is parked until it is queued again: {Error}"
    )]
    private partial void Parked(Guid @event, string clientId, string paymentId, int attempt, string error);

    [LoggerMessage(LogLevel.Warning, "The outcome of event {Event} is not recorded; it will be sent again: {Problem}")]
    private partial void NotSettled(Guid @event, string problem);

    [LoggerMessage(LogLevel.Warning, "The receiver is still away, tried with event {Event}: {Error}")]
    private partial void StillAway(Guid @event, string error);

    [LoggerMessage(LogLevel.Warning, "The outbox can't be read, trying again: {Problem}")]
    private partial void RoundFailed(string problem);

    [LoggerMessage(LogLevel.Information, "Pruned {Count} delivered events")]
    private partial void Pruned(int count);
}
