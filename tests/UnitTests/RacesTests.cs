using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: an operator sees lost races and exhausted attempts in metrics, and the payments of the latter in the log.
/// </summary>
public sealed class RacesTests
{
    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(2, 1, 0)]
    [InlineData(Races.MaxAttempts, Races.MaxAttempts - 1, 0)]
    [InlineData(int.MaxValue, Races.MaxAttempts, 1)]
    public void Lost_races_are_counted_and_exhausted_attempts_also_logged(int endsAt, int lost, int exhausted)
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var log = new Lines();
        var counted = new Dictionary<string, long>(StringComparer.Ordinal);
        using var listener = new MeterListener();
        var races = new Races(services.GetRequiredService<IMeterFactory>(), log);
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Scope == services.GetRequiredService<IMeterFactory>())
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>(
            (instrument, value, tags, _) =>
            {
                tags.ToArray().ShouldContain(KeyValuePair.Create("use_case", (object?)"cancel"));
                counted[instrument.Name] = counted.GetValueOrDefault(instrument.Name) + value;
            }
        );
        listener.Start();

        foreach (var attempt in races.Attempts("cancel", new ClientId("CLIENT"), "pay-1"))
        {
            if (attempt == endsAt)
                break;
        }

        counted.GetValueOrDefault("cancelservice.race.lost").ShouldBe(lost);
        counted.GetValueOrDefault("cancelservice.race.exhausted").ShouldBe(exhausted);
        log.Texts.Count.ShouldBe(exhausted);
        foreach (var text in log.Texts)
        {
            text.ShouldContain("cancel");
            text.ShouldContain("CLIENT");
            text.ShouldContain("pay-1");
        }
    }

    private sealed class Lines : ILogger<Races>
    {
        public List<string> Texts { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            logLevel.ShouldBe(LogLevel.Warning);
            Texts.Add(formatter(state, exception));
        }
    }
}
