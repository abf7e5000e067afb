using System.Diagnostics.Metrics;
using CancelService.Api.Failures;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Hosting;

/// <summary>
/// Prepares the database while the server already runs, and migrates the schema if the settings say so. It retries
/// while the database is unreachable; meanwhile the process answers, but is not ready.
/// </summary>
public sealed partial class DatabaseStartup(
    Database database,
    IOptions<DatabaseOptions> options,
    IEnumerable<IDatabasePreparation> preparations,
    IHostEnvironment environment,
    TimeProvider time,
    ILogger<DatabaseStartup> log
) : BackgroundService
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>Whether the preparation is done.</summary>
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
        foreach (var preparation in preparations)
            await preparation.BeforeMigration(cancellationToken);
        if (migrate)
            await database.Migrate(createDatabase: environment.IsDevelopment(), cancellationToken);
        foreach (var preparation in preparations)
            await preparation.AfterMigration(cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "The database is not prepared yet, trying again: {Problem}")]
    private partial void NotPrepared(string problem);
}

/// <summary>
/// Drains the instance before it stops, so that no request is lost. The instance reports that it is not ready, and
/// serves until load balancers have noticed; then the server stops listening and finishes the requests in flight.
/// </summary>
internal sealed partial class Drain(IOptions<ShutdownOptions> options, ILogger<Drain> log) : IHostedLifecycleService
{
    /// <summary>Whether the process is stopping.</summary>
    public bool IsDraining { get; private set; }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        IsDraining = true;
        Draining(options.Value.DrainTime);
        // Real time even under a test's clock: load balancers wait in real time.
        await Task.Delay(options.Value.DrainTime, cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Information, "Stopping: not ready any more, serving for another {DrainTime}")]
    private partial void Draining(TimeSpan drainTime);
}

/// <summary>The section <c>Shutdown</c> of the settings.</summary>
public sealed class ShutdownOptions
{
    /// <summary>
    /// The time between "not ready" and the end of serving: 0 to 2 minutes. It must exceed the load balancers' check
    /// interval; Development sets 0.
    /// </summary>
    public TimeSpan DrainTime { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The time for requests in flight and deliveries after the drain: 1 second to 5 minutes.</summary>
    public TimeSpan GraceTime { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Names the first wrong setting and its remedy; null without one.</summary>
    public string? Problem() =>
        DrainTime < TimeSpan.Zero || DrainTime > TimeSpan.FromMinutes(2)
            ? $"Shutdown:DrainTime is {DrainTime}. Set it between 00:00:00 and 00:02:00."
        : GraceTime < TimeSpan.FromSeconds(1) || GraceTime > TimeSpan.FromMinutes(5)
            ? $"Shutdown:GraceTime is {GraceTime}. Set it between 00:00:01 and 00:05:00."
        : null;
}

/// <summary>
/// An instance is ready if it is not stopping, its preparation is done, and the database answers in time and can serve.
/// Logs each change once, however often load balancers ask.
/// </summary>
internal sealed partial class Readiness(
    DatabaseStartup startup,
    Drain drain,
    Database database,
    IOptions<DatabaseOptions> options,
    IMeterFactory meters,
    ILogger<Readiness> log
) : IHealthCheck
{
    private readonly Lock _lock = new();
    private readonly Meter _meter = meters.Create(Telemetry.Name);
    private State _last = State.Starting;

    private enum State
    {
        Starting,
        Ready,
        Stopping,
        DatabaseCannotServe,
        DatabaseIsAway,
    }

    /// <summary>Creates the gauge.</summary>
    public void Publish() =>
        _meter.CreateObservableGauge(
            "cancelservice.instance.state",
            () =>
                Enum.GetValues<State>()
                    .Select(state => new Measurement<int>(
                        state == _last ? 1 : 0,
                        new KeyValuePair<string, object?>("state", state.ToString())
                    )),
            description: "1 for the state at the last request to /healthz/ready, 0 for the others"
        );

    public async Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    )
    {
        var (state, reason) = drain.IsDraining ? (State.Stopping, "Stopping.") : await Ask(cancellationToken);
        Log(state, reason);
        return state is State.Ready ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(reason);
    }

    private async Task<(State, string)> Ask(CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(options.Value.Timeout);
        try
        {
            var obstacles = await database.Obstacles(timeout.Token).WaitAsync(timeout.Token);
            return !startup.IsDone ? (State.Starting, "Starting.")
                : obstacles is [] ? (State.Ready, "")
                : (State.DatabaseCannotServe, string.Join(' ', obstacles));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            var cause = UnknownCause.Of(e, options.Value.Timeout).Text;
            return (State.DatabaseIsAway, $"{cause}.");
        }
    }

    private void Log(State state, string reason)
    {
        lock (_lock)
        {
            if (state == _last)
                return;
            _last = state;
        }
        if (state is not State.Ready)
        {
            NotReady(reason);
            return;
        }
        Ready();
        if (database.MayLoseCommits)
            MayLoseCommits();
    }

    [LoggerMessage(LogLevel.Information, "Ready")]
    private partial void Ready();

    [LoggerMessage(
        LogLevel.Warning,
        "PostgreSQL's synchronous_commit is too weak: a crash may lose a cancellation that was answered "
            + "SUCCESS. Set it to on"
    )]
    private partial void MayLoseCommits();

    [LoggerMessage(LogLevel.Warning, "Not ready: {Reason}")]
    private partial void NotReady(string reason);
}
