using System.Diagnostics;
using System.Diagnostics.Metrics;
using CancelService.Domain;
using Microsoft.Extensions.Logging;

namespace CancelService.Application.Pipeline;

/// <summary>What a write ended in. When it is not known, the write throws.</summary>
public enum WriteResult
{
    /// <summary>It is committed.</summary>
    Written,

    /// <summary>Nothing was written, because what it was to change is not, or no longer, there.</summary>
    NothingToChange,

    /// <summary>Nothing was written, because another writer was first. Look again and decide again.</summary>
    LostRace,
}

/// <summary>
/// Bounds how often a use case decides again after it lost a race, that is, after another writer changed the payment or
/// account that it had read. Counts lost races and exhausted retries, and logs the latter.
/// </summary>
public sealed partial class Races
{
    /// <summary>How often a use case decides before its outcome is given up as unknown.</summary>
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

    /// <summary>Makes the counters known at 0, so that the first race is a rise.</summary>
    public void Publish()
    {
        foreach (var useCase in (string[])["cancel", "register", "report", "transfer"])
        {
            _lost.Add(0, new KeyValuePair<string, object?>("use_case", useCase));
            _exhausted.Add(0, new KeyValuePair<string, object?>("use_case", useCase));
        }
    }

    /// <summary>
    /// The attempts of a use case, from 1. Its loop returns when the use case has ended, and goes on to the next attempt
    /// when it has lost a race. After the last one the loop ends, and the outcome is unknown.
    /// </summary>
    /// <param name="useCase">What is attempted: <c>cancel</c>, <c>register</c>, <c>report</c> or <c>transfer</c>.</param>
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
        "Gave up a {UseCase} of {ClientId} {Id}: it lost {Attempts} races with other writers, and the caller was told that the outcome is unknown"
    )]
    private partial void Exhausted(string useCase, string clientId, string id, int attempts);
}
