using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;

namespace CancelService.Api.Exchange;

/// <summary>The answers of the API by operation and code. No client label: its cardinality is unbounded.</summary>
public sealed class ApiMetrics
{
    /// <summary>The name of the histogram of the answers.</summary>
    public const string Answers = "cancelservice.answer.duration";

    private readonly Histogram<double> _answers;
    private readonly Counter<long> _turnedAway;
    private readonly Counter<long> _wrongTimes;

    /// <summary>Creates the instruments.</summary>
    public ApiMetrics(IMeterFactory meters)
    {
        ArgumentNullException.ThrowIfNull(meters);
        var meter = meters.Create(Telemetry.Name);
        _answers = meter.CreateHistogram(
            Answers,
            unit: "s",
            description: "Duration of the API's answers, by operation and result code",
            advice: new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
            }
        );
        _turnedAway = meter.CreateCounter<long>(
            "cancelservice.turned_away",
            unit: "{request}",
            description: "Requests turned away with a plain 503, by the reached limit"
        );
        _wrongTimes = meter.CreateCounter<long>(
            "cancelservice.request_time.refused",
            unit: "{request}",
            description: "Requests whose Request-Time was malformed or too far from our clock"
        );
        meter.CreateObservableGauge(
            "cancelservice.build_info",
            () =>
                new Measurement<int>(
                    1,
                    new KeyValuePair<string, object?>("version", BuildInfo.Version),
                    new KeyValuePair<string, object?>("revision", BuildInfo.Revision)
                ),
            description: "Always 1; the labels have the running version and revision"
        );
    }

    /// <summary>Publishes the counters at 0, so that the first request is an increase.</summary>
    public void Publish()
    {
        _wrongTimes.Add(0);
        _turnedAway.Add(0, new KeyValuePair<string, object?>("limit", "Limits:UnverifiedAnswersPerSecond"));
    }

    /// <summary>Records an answer.</summary>
    /// <param name="operation">The operation's name; <c>none</c> for a path without an operation.</param>
    /// <param name="code">The result code; <c>none</c> for a plain 503.</param>
    /// <param name="duration">The time from the request's headers to its answer.</param>
    public void Answered(string operation, string code, TimeSpan duration) =>
        _answers.Record(
            duration.TotalSeconds,
            new KeyValuePair<string, object?>("code", code),
            new KeyValuePair<string, object?>("operation", operation)
        );

    /// <summary>Records a refused Request-Time. Many of them from many clients mean that our clock is wrong.</summary>
    public void RefusedTime() => _wrongTimes.Add(1);

    /// <summary>Records a request that was turned away with a plain 503.</summary>
    /// <param name="limit">The reached limit: the name of its setting.</param>
    public void TurnedAway(string limit) => _turnedAway.Add(1, new KeyValuePair<string, object?>("limit", limit));
}
