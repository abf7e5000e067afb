using System.Diagnostics;

namespace CancelService.Application.Pipeline;

/// <summary>The service's meters and spans. A span costs nothing without a collector.</summary>
public static class Telemetry
{
    /// <summary>The name of the service's meters and of its source of spans.</summary>
    public const string Name = "CancelService";

    /// <summary>The service's spans: verify, decide, commit, group, barrier, notify.</summary>
    public static ActivitySource Spans { get; } = new(Name);
}
