using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;

namespace CancelService.Infrastructure.Sql;

/// <summary>Metrics below the use cases. No client label: its cardinality is unbounded.</summary>
internal static class DatabaseMetrics
{
    private static readonly Meter Meter = new(Telemetry.Name);

    /// <summary>The number of writes of a merchant in one commit.</summary>
    public static Histogram<int> GroupSize { get; } =
        Meter.CreateHistogram(
            "cancelservice.group.size",
            unit: "{write}",
            description: "Writes of a merchant that were committed together",
            advice: new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32] }
        );

    /// <summary>Look-ups of clients, by source: <c>memory</c> (a cache hit) or <c>database</c>.</summary>
    public static Counter<long> ClientLookups { get; } =
        Meter.CreateCounter<long>(
            "cancelservice.client.lookups",
            unit: "{lookup}",
            description: "Look-ups of clients, by whether the instance's memory or the database answered"
        );
}
