using DotNet.Testcontainers.Images;
using Testcontainers.PostgreSql;

namespace CancelService.Harness;

/// <summary>PostgreSQL in a container. Its host port is fixed at creation, so that it survives a restart.</summary>
internal sealed class PostgresContainer : PostgresCluster
{
    private const long SharedMemory = 1 << 30; // Parallel maintenance needs more than the engine's default of 64 MB.

    private readonly PostgreSqlContainer _container;

    private PostgresContainer(PostgreSqlContainer container) => _container = container;

    /// <summary>The image of the container: CANCELSERVICE_POSTGRES_IMAGE or postgres:17.</summary>
    public static string Image { get; } =
        Environment.GetEnvironmentVariable("CANCELSERVICE_POSTGRES_IMAGE") is { Length: > 0 } named
            ? named
            : "postgres:17";

    /// <inheritdoc />
    public override string ConnectionString => _container.GetConnectionString();

    /// <summary>Starts a container with the given settings of PostgreSQL.</summary>
    public static new async Task<PostgresContainer> Start(bool durable, string[] settings)
    {
        // Build probes for a container engine; without one it can hang, so the time is bounded.
        var container = await Task.Run(() =>
                new PostgreSqlBuilder(Image)
                    .WithImagePullPolicy(PullPolicy.Missing)
                    .WithDatabase("postgres")
                    .WithUsername("postgres")
                    .WithPortBinding(ServiceProcess.FreePort(), PostgreSqlBuilder.PostgreSqlPort)
                    .WithCommand([.. Arguments(durable, settings)])
                    .WithCreateParameterModifier(create =>
                    {
                        create.StopSignal = "SIGKILL"; // Stop must act as a crash.
                        create.HostConfig!.ShmSize = SharedMemory;
                    })
                    .Build()
            )
            .WaitAsync(TimeSpan.FromSeconds(10));
        var cluster = new PostgresContainer(container);
        try
        {
            await cluster.Start();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc />
    public override async Task Start()
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        await _container.StartAsync(timeout.Token);
    }

    /// <inheritdoc />
    public override Task Kill() => _container.StopAsync();

    /// <inheritdoc />
    public override ValueTask DisposeAsync() => _container.DisposeAsync();
}
