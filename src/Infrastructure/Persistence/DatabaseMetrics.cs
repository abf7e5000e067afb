using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;

namespace CancelService.Infrastructure.Persistence;

/// <summary>What is measured below the use cases. No label names a client, because their number has no bound.</summary>
internal static class DatabaseMetrics
{
    private static readonly Meter Meter = new(Telemetry.Name);

    /// <summary>How many writes of a merchant were committed together.</summary>
    public static Histogram<int> GroupSize { get; } =
        Meter.CreateHistogram(
            "cancelservice.group.size",
            unit: "{write}",
            description: "Writes of a merchant that were committed together",
            advice: new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32] }
        );

    /// <summary>How long answers that rest on a read waited for a synchronous standby; counted only where there is one.</summary>
    public static Histogram<double> BarrierDuration { get; } =
        Meter.CreateHistogram(
            "cancelservice.barrier.duration",
            unit: "s",
            description: "How long answers that rest on a read waited for a synchronous standby",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [.. Buckets] }
        );

    /// <summary>Barriers that failed or timed out: the answer was UNKNOWN_EXCEPTION.</summary>
    public static Counter<long> BarrierFailures { get; } =
        Meter.CreateCounter<long>(
            "cancelservice.barrier.failures",
            unit: "{barrier}",
            description: "Barriers that failed or timed out, so that what was read could not be told"
        );

    /// <summary>Look-ups of clients, by whether the memory answered.</summary>
    public static Counter<long> ClientLookups { get; } =
        Meter.CreateCounter<long>(
            "cancelservice.client.lookups",
            unit: "{lookup}",
            description: "Look-ups of clients, by whether the instance's memory or the database answered"
        );

    /// <summary>Buckets for times from 1 ms to 10 s.</summary>
    private static double[] Buckets => [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
}
