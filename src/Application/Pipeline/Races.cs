using System.Diagnostics;
using System.Diagnostics.Metrics;
using CancelService.Domain;
using Microsoft.Extensions.Logging;

namespace CancelService.Application.Pipeline;

/// <summary>The outcome of a write. An unknown outcome is an exception.</summary>
public enum WriteResult
{
    /// <summary>The write is committed.</summary>
    Written,

    /// <summary>Nothing was written: the row to change does not exist.</summary>
    NothingToChange,

    /// <summary>Nothing was written: another writer was first. Read and decide again.</summary>
    LostRace,
}

/// <summary>
/// Bounds the retries of a use case that lost a race: another writer changed the payment or account after the read.
/// Counts lost races and exhausted retries, and logs the latter.
/// </summary>
public sealed partial class Races
{
    /// <summary>The most attempts of a use case before its outcome is unknown.</summary>
    public const int MaxAttempts = 5;

    private readonly Counter<long> _lost;
    private readonly Counter<long> _exhausted;
    private readonly ILogger<Races> _log;

    /// <summary>Creates the counters.</summary>
    public Races(IMeterFactory meters, ILogger<Races> log)
    {
        ArgumentNullException.ThrowIfNull(meters);
        var meter = meters.Create(Telemetry.Name);
        _lost = meter.CreateCounter<long>(
            "cancelservice.race.lost",
            unit: "{race}",
            description: "Races with another writer that a use case lost"
        );
        _exhausted = meter.CreateCounter<long>(
            "cancelservice.race.exhausted",
            unit: "{use_case}",
            description: "Use cases that lost every race and gave up; the caller was told that the outcome is unknown"
        );
        _log = log;
    }

    /// <summary>Publishes the counters at 0, so that the first race is an increase.</summary>
    public void Publish()
    {
        foreach (var useCase in (string[])["cancel", "register", "report", "transfer"])
        {
            _lost.Add(0, new KeyValuePair<string, object?>("use_case", useCase));
            _exhausted.Add(0, new KeyValuePair<string, object?>("use_case", useCase));
        }
    }

    /// <summary>
    /// Numbers the attempts of a use case from 1. A loop over them returns at the end of the use case, and continues
    /// after a lost race. The outcome is unknown after the last attempt.
    /// </summary>
    /// <param name="useCase">The use case: <c>cancel</c>, <c>register</c>, <c>report</c> or <c>transfer</c>.</param>
    /// <param name="clientId">The client, for the log.</param>
    /// <param name="id">The payment or transfer, for the log.</param>
    public IEnumerable<int> Attempts(string useCase, ClientId clientId, string id)
    {
        var tags = new TagList { { "use_case", useCase } };
        for (var attempt = 1; attempt <= MaxAttempts; attempt++)
        {
            yield return attempt;
            _lost.Add(1, tags);
        }
        _exhausted.Add(1, tags);
        Exhausted(useCase, clientId.Value, id, MaxAttempts);
    }

    [LoggerMessage(
        LogLevel.Warning,
        "Gave up a {UseCase} of {ClientId} {Id}: it lost {Attempts} races with other writers, and the caller was told "
            + "that the outcome is unknown"
    )]
    private partial void Exhausted(string useCase, string clientId, string id, int attempts);
}
