using CancelService.Api.Demo;
using CancelService.Infrastructure.Persistence;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Hosting;

/// <summary>
/// Prepares the database beside the running server: migrates it where that is asked for, and fills the demo wallet in
/// Development. A database that is out of reach is tried again; meanwhile the process answers, and is not ready.
/// </summary>
public sealed partial class DatabaseStartup(
    Database database,
    IOptions<DatabaseOptions> options,
    IServiceProvider services,
    IHostEnvironment environment,
    TimeProvider time,
    ILogger<DatabaseStartup> log
) : BackgroundService
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>Whether all that was to be done at start is done.</summary>
    public bool IsDone { get; private set; }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Prepare(stoppingToken);
                IsDone = true;
                return;
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                NotPrepared(e.Message);
                await Task.Delay(RetryAfter, time, stoppingToken);
            }
        }
    }

    private async Task Prepare(CancellationToken cancellationToken)
    {
        var migrate =
            options.Value.MigrateAtStart
            ?? (environment.IsDevelopment() || options.Value.Provider is DatabaseProvider.Sqlite);
        if (migrate)
            await database.Migrate(cancellationToken);
        if (services.GetService<DemoWallet>() is { } demo)
            await demo.Fill(cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "The database is not prepared yet, trying again: {Problem}")]
    private partial void NotPrepared(string problem);
}

/// <summary>Ready: the preparations are done, the database answers in time, and has every migration of this version.</summary>
internal sealed class Readiness(DatabaseStartup startup, Database database, IOptions<DatabaseOptions> options)
    : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(options.Value.Timeout);
        try
        {
            var pending = await database.PendingMigrations(timeout.Token).WaitAsync(timeout.Token);
            return pending.Any() ? HealthCheckResult.Unhealthy("The schema is out of date: run the command migrate.")
                : startup.IsDone ? HealthCheckResult.Healthy()
                : HealthCheckResult.Unhealthy("Starting.");
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy("The database does not answer.", e);
        }
    }
}
