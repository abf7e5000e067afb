using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Encodings.Web;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Infrastructure.Persistence;
using CancelService.Infrastructure.Signing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace CancelService.Infrastructure.Notifications;

/// <summary>The event that a payment has been cancelled, as the core receives it.</summary>
/// <param name="Id">The event's identifier, the same at every attempt: by it a receiver tells a repeat.</param>
/// <param name="Type">Always <c>payment.cancelled</c>.</param>
/// <param name="ClientId">The client whose payment it is.</param>
/// <param name="PaymentId">The wallet's identifier of the payment.</param>
/// <param name="PaymentRequestId">The merchant's identifier of the payment.</param>
/// <param name="Amount">The payment's amount, in full.</param>
/// <param name="Effect">CLOSED, HOLD_RELEASED or REFUNDED.</param>
/// <param name="CancelTime">ISO 8601 in the wallet's zone, as in the answer to the merchant.</param>
public sealed record PaymentCancelledEvent(
    Guid Id,
    string Type,
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    MoneyView Amount,
    string Effect,
    string CancelTime
);

/// <summary>
/// Delivers the outbox to the core's webhook, at least once each event. A payment has one event, so their order per
/// payment is kept. Any number of instances share the work: each claims a batch, client by client, sends it outside any
/// transaction, and settles each event by what came of it.
/// </summary>
public sealed partial class OutboxRelay(
    Outbox outbox,
    IHttpClientFactory clients,
    IOptions<NotificationsOptions> options,
    IOptions<WalletOptions> wallet,
    CircuitBreakerStateProvider circuit,
    OutboxMetrics metrics,
    TimeProvider time,
    ILogger<OutboxRelay> log
) : BackgroundService
{
    /// <summary>The name of the HTTP client.</summary>
    internal const string HttpClientName = "notifications";

    private static readonly TimeSpan PruneEvery = TimeSpan.FromMinutes(10);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly NotificationsOptions _options = options.Value;
    private readonly EventSignature _signature = new(options.Value.Secrets);
    private readonly TimeZoneInfo _zone = wallet.Value.Zone;

    // While the receiver is known not to work (the circuit breaker is open), nothing is claimed: ticks, UTC.
    private long _pausedUntil;
    private DateTimeOffset _nextPrune;

    private bool IsPaused => time.GetUtcNow().UtcTicks < Volatile.Read(ref _pausedUntil);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_options.Webhook is not { } webhook)
        {
            Off();
            return;
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            var worked = false;
            try
            {
                worked = await Round(webhook, stoppingToken);
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

    // One visit to every client with due events: whether there was anything to do.
    private async Task<bool> Round(Uri webhook, CancellationToken stopping)
    {
        if (IsPaused)
            return false;
        var clientIds = (await outbox.ClientsWithWork(time.GetUtcNow(), stopping)).ToArray();
        Random.Shared.Shuffle(clientIds); // Instances don't all begin with the same client.

        var (batch, worked) = (new List<ClaimedEvent>(), false);
        try
        {
            foreach (var clientId in clientIds)
            {
                if (stopping.IsCancellationRequested || IsPaused)
                    break;
                var now = time.GetUtcNow();
                // Not to be given up halfway: what is claimed has to be known, so that it can be handed back.
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
                    await DeliverAll(batch, webhook, stopping);
                    batch.Clear();
                }
            }
        }
        finally
        {
            await DeliverAll(batch, webhook, stopping);
        }
        return worked;
    }

    // Goes through the whole batch also when the process stops meanwhile: what is under way ends within the attempt's
    // time, and what is not yet sent is handed back.
    private Task DeliverAll(List<ClaimedEvent> batch, Uri webhook, CancellationToken stopping) =>
        Parallel.ForEachAsync(
            batch,
            new ParallelOptions { MaxDegreeOfParallelism = _options.Concurrency },
            async (claimed, _) =>
            {
                try
                {
                    await Deliver(claimed, webhook, stopping);
                }
                catch (Exception e)
                {
                    // The claim runs out, and the event is delivered again.
                    NotSettled(claimed.EventId, e.Message);
                }
            }
        );

    private async Task Deliver(ClaimedEvent claimed, Uri webhook, CancellationToken stopping)
    {
        // An attempt that could outlive its claim is not begun: another instance might send the event at the same time.
        var claimIsShort = time.GetUtcNow() + _options.AttemptTimeout > claimed.ClaimedUntil;
        if (stopping.IsCancellationRequested || IsPaused || claimIsShort)
        {
            await outbox.HandBack(claimed, time.GetUtcNow(), CancellationToken.None);
            return;
        }

        // While the circuit is open, an attempt only tries whether the receiver is back.
        var isProbe = circuit.CircuitState is not CircuitState.Closed;
        string? error;
        try
        {
            error = await Send(claimed, webhook);
        }
        catch (BrokenCircuitException e)
        {
            // Nothing was sent, so this was no attempt: the receiver's outages don't use up the events' attempts.
            var pausedUntil = time.GetUtcNow() + (e.RetryAfter ?? _options.PollInterval);
            Volatile.Write(ref _pausedUntil, pausedUntil.UtcTicks);
            await outbox.HandBack(claimed, time.GetUtcNow(), CancellationToken.None);
            return;
        }

        if (isProbe && error is not null)
        {
            // The receiver is still away, which is no fault of this event: the attempt does not count.
            await outbox.HandBack(claimed, time.GetUtcNow(), CancellationToken.None);
            metrics.Attempted("probe");
            StillAway(claimed.EventId, error);
            return;
        }
        await Settle(claimed, error);
    }

    // What went wrong; null when the receiver has confirmed the event.
    private async Task<string?> Send(ClaimedEvent claimed, Uri webhook)
    {
        var body = Body(claimed);
        using var request = new HttpRequestMessage(HttpMethod.Post, webhook);
        foreach (var (name, value) in _signature.Headers(claimed.EventId, time.GetUtcNow(), body))
            request.Headers.TryAddWithoutValidation(name, value);
        // In the trace of the merchant's request, by the W3C's standard.
        var parent = TraceOf(claimed);
        using var span = Telemetry.Spans.StartActivity("notify", ActivityKind.Producer, parent);
        if ((span?.Context ?? parent) is { TraceId: var trace, SpanId: var spanId } && trace != default)
            request.Headers.TryAddWithoutValidation(
                "traceparent",
                $"00-{trace}-{spanId}-{(span?.Recorded is true ? "01" : "00")}"
            );
        request.Content = new ByteArrayContent(body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        try
        {
            using var client = clients.CreateClient(HttpClientName);
            using var response = await client.SendAsync(
                request,
                HttpCompletionOption.ResponseHeadersRead, // The body is of no interest, however long it is.
                CancellationToken.None
            );
            return response.IsSuccessStatusCode ? null : $"HTTP {(int)response.StatusCode}";
        }
        catch (TimeoutRejectedException)
        {
            return $"no answer within {_options.AttemptTimeout}";
        }
        catch (Exception e) when (e is not BrokenCircuitException)
        {
            return Printable(e.Message);
        }
    }

    // The message may quote the receiver, whose bytes a database may refuse (NUL) or that no text holds (half a surrogate
    // pair). At most as long as the column.
    private static string Printable(string message) =>
        string.Concat(message.Take(512).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));

    private static ActivityContext TraceOf(ClaimedEvent claimed) =>
        claimed.TraceId.Length == 32 && claimed.TraceId.All(char.IsAsciiHexDigitLower)
            ? new(
                ActivityTraceId.CreateFromString(claimed.TraceId),
                ActivitySpanId.CreateRandom(),
                ActivityTraceFlags.Recorded,
                isRemote: true
            )
            : default;

    private async Task Settle(ClaimedEvent claimed, string? error)
    {
        var now = time.GetUtcNow();
        var (clientId, paymentId) = (claimed.Payment.ClientId.Value, claimed.Payment.Id.Value);
        if (error is null)
        {
            metrics.Attempted("delivered");
            if (await outbox.Delivered(claimed, now, CancellationToken.None))
                Delivered(claimed.EventId, clientId, paymentId, claimed.Attempt);
            return;
        }

        if (claimed.Attempt >= _options.MaxAttempts)
        {
            metrics.Attempted("parked");
            if (await outbox.Parked(claimed, now, error, CancellationToken.None))
                Parked(claimed.EventId, clientId, paymentId, claimed.Attempt, error);
            return;
        }
        metrics.Attempted("failed");
        var dueAt = now + BackOff(claimed.Attempt);
        if (await outbox.Failed(claimed, dueAt, error, CancellationToken.None))
            Failed(claimed.EventId, clientId, paymentId, claimed.Attempt, error, dueAt);
    }

    // Exponential with full jitter: anything from nothing to the bound, so that what failed together does not come back
    // together.
    private TimeSpan BackOff(int attempt) =>
        Random.Shared.NextDouble()
        * TimeSpan.FromSeconds(
            Math.Min(_options.BackOffMaximum.TotalSeconds, _options.BackOffBase.TotalSeconds * Math.Pow(2, attempt - 1))
        );

    private byte[] Body(ClaimedEvent claimed)
    {
        var payment = claimed.Payment;
        return JsonSerializer.SerializeToUtf8Bytes(
            new PaymentCancelledEvent(
                claimed.EventId,
                "payment.cancelled",
                payment.ClientId.Value,
                payment.Id.Value,
                payment.RequestId.Value,
                MoneyView.Of(payment.Amount),
                CancelDbContext.Stored(payment.Cancellation!.Effect),
                Iso8601(payment.Cancellation.CancelledAt)
            ),
            Json
        );
    }

    private string Iso8601(DateTimeOffset at) =>
        TimeZoneInfo.ConvertTime(at, _zone).ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);

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
        "Could not notify of {ClientId} {PaymentId}, event {Event}, attempt {Attempt}, trying again at {DueAt:O}: {Error}"
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
        "Gave up notifying of {ClientId} {PaymentId}, event {Event}, after {Attempt} attempts; it is parked until it is queued again: {Error}"
    )]
    private partial void Parked(Guid @event, string clientId, string paymentId, int attempt, string error);

    [LoggerMessage(LogLevel.Warning, "What came of event {Event} is not recorded, it will be sent again: {Problem}")]
    private partial void NotSettled(Guid @event, string problem);

    [LoggerMessage(LogLevel.Warning, "The receiver is still away, tried with event {Event}: {Error}")]
    private partial void StillAway(Guid @event, string error);

    [LoggerMessage(LogLevel.Warning, "The outbox can't be read, trying again: {Problem}")]
    private partial void RoundFailed(string problem);

    [LoggerMessage(LogLevel.Information, "Pruned {Count} delivered events")]
    private partial void Pruned(int count);
}
