using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace CancelService.Api.Public;

/// <summary>The answers of the API by code. Clients are no label, because their number has no bound.</summary>
public sealed class ApiMetrics(IMeterFactory meters)
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "CancelService";

    private readonly Histogram<double> _answers = meters
        .Create(MeterName)
        .CreateHistogram<double>(
            "cancelservice.answer.duration",
            unit: "s",
            description: "How long answers of the API took, by result code"
        );

    /// <summary>Records an answer; a request that was turned away has the code <c>none</c>.</summary>
    public void Answered(string code, TimeSpan duration) =>
        _answers.Record(duration.TotalSeconds, new TagList { { "code", code } });
}
