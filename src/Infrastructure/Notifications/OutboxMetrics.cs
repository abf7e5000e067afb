using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using Microsoft.Extensions.Hosting;
using Polly.CircuitBreaker;

namespace CancelService.Infrastructure.Notifications;

/// <summary>
/// Measures the outbox. The depth is read from the database every 15 seconds, so every instance reports the same;
/// attempts and circuit are the instance's own.
/// </summary>
internal sealed class OutboxMetrics : BackgroundService
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(15);

    private readonly Outbox _outbox;
    private readonly TimeProvider _time;
    private readonly Counter<long> _attempts;
    private OutboxDepth? _depth;

    /// <summary>Creates the instruments.</summary>
    public OutboxMetrics(Outbox outbox, CircuitBreakerStateProvider circuit, IMeterFactory meters, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(circuit);
        ArgumentNullException.ThrowIfNull(meters);
        (_outbox, _time) = (outbox, time);
        var meter = meters.Create(Telemetry.Name);
        _attempts = meter.CreateCounter<long>(
            "cancelservice.notification.attempts",
            unit: "{attempt}",
            description: "Attempts to tell the core of a cancellation, by outcome: delivered, failed, parked, probe"
        );
        meter.CreateObservableGauge(
            "cancelservice.notification.circuit_open",
            () => circuit.CircuitState is CircuitState.Closed ? 0 : 1,
            description: "1 while the instance takes the receiver to be away, and only tries now and then"
        );
        meter.CreateObservableGauge(
            "cancelservice.outbox.due",
            () => Measured(depth => depth.Due),
            unit: "{event}",
            description: "Events that are still to be delivered"
        );
        meter.CreateObservableGauge(
            "cancelservice.outbox.parked",
            () => Measured(depth => depth.Parked),
            unit: "{event}",
            description: "Events whose attempts are used up; they wait for an operator"
        );
        meter.CreateObservableGauge(
            "cancelservice.outbox.oldest.age",
            () => Measured(depth => depth.OldestDue is { } at ? Math.Max(0, (_time.GetUtcNow() - at).TotalSeconds) : 0),
            unit: "s",
            description: "The age of the oldest event that is still to be delivered"
        );
    }

    /// <summary>Counts an attempt.</summary>
    public void Attempted(string outcome) => _attempts.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        foreach (var outcome in (string[])["delivered", "failed", "parked", "probe"])
            _attempts.Add(0, new KeyValuePair<string, object?>("outcome", outcome)); // Publish 0.
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(AskEvery, _time, stoppingToken);
            await Task.Yield(); // Leave the timer's thread: the query must not delay the clock's other timers.
            try
            {
                _depth = await _outbox.Depth(stoppingToken);
            }
            catch (Exception) when (!stoppingToken.IsCancellationRequested)
            {
                _depth = null; // No value is better than a stale value.
            }
        }
    }

    private IEnumerable<Measurement<double>> Measured(Func<OutboxDepth, double> value) =>
        _depth is { } depth ? [new(value(depth))] : [];
}
