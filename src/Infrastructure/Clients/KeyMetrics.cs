using System.Diagnostics.Metrics;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Servers;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;

namespace CancelService.Infrastructure.Clients;

/// <summary>Counts every ten minutes the clients whose last valid key ends soon.</summary>
internal sealed class KeyMetrics : BackgroundService
{
    private static readonly TimeSpan FirstAfter = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan AskEvery = TimeSpan.FromMinutes(10);

    private readonly Database _database;
    private readonly TimeProvider _time;
    private long? _ending;

    public KeyMetrics(Database database, IMeterFactory meters, TimeProvider time)
    {
        (_database, _time) = (database, time);
        meters
            .Create(Telemetry.Name)
            .CreateObservableGauge(
                "cancelservice.client.keys_ending",
                () => _ending is { } ending ? [new Measurement<long>(ending)] : Array.Empty<Measurement<long>>(),
                unit: "{client}",
                description: "Enabled clients whose last valid key ends within 14 days"
            );
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        BarrierMetrics.Failures.Add(0); // Publish 0: the first failure is an increase.
        await Task.Delay(FirstAfter, _time, stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _ending = await Ending(stoppingToken);
            }
            catch (Exception) when (!stoppingToken.IsCancellationRequested)
            {
                _ending = null; // No value is better than a stale value.
            }
            await Task.Delay(AskEvery, _time, stoppingToken);
            await Task.Yield(); // Leave the timer's thread: the query must not delay the clock's other timers.
        }
    }

    private async Task<long> Ending(CancellationToken cancellationToken)
    {
        await using var db = _database.CreateContext();
        return await ClientQueries.Ending(db, _time.GetUtcNow()).LongCountAsync(cancellationToken);
    }
}
