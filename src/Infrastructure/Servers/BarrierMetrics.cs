using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;

namespace CancelService.Infrastructure.Servers;

/// <summary>Metrics of the <see cref="StandbyBarrier"/>.</summary>
internal static class BarrierMetrics
{
    private static readonly Meter Meter = new(Telemetry.Name);

    /// <summary>
    /// The time that an answer waited for a synchronous standby after a read; empty without standbys.
    /// </summary>
    public static Histogram<double> Duration { get; } =
        Meter.CreateHistogram(
            "cancelservice.barrier.duration",
            unit: "s",
            description: "How long answers that rest on a read waited for a synchronous standby",
            advice: new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
            }
        );

    /// <summary>Barriers that failed or timed out. Each made an answer UNKNOWN_EXCEPTION.</summary>
    public static Counter<long> Failures { get; } =
        Meter.CreateCounter<long>(
            "cancelservice.barrier.failures",
            unit: "{barrier}",
            description: "Barriers that failed or timed out, so that what was read could not be told"
        );
}
