using DotNet.Testcontainers.Images;
using Testcontainers.PostgreSql;

namespace CancelService.Harness;

/// <summary>PostgreSQL in a container. Its port of the host is chosen once, so that it is the same after a restart.</summary>
internal sealed class PostgresContainer : PostgresCluster
{
    private const long SharedMemory = 1 << 30; // The engine's 64 MB are too little for parallel maintenance.

    private readonly PostgreSqlContainer _container;

    private PostgresContainer(PostgreSqlContainer container) => _container = container;

    /// <summary>The image that is run.</summary>
    public static string Image { get; } =
        Environment.GetEnvironmentVariable("CANCELSERVICE_POSTGRES_IMAGE") is { Length: > 0 } named
            ? named
            : "postgres:17";

    /// <inheritdoc />
    public override string ConnectionString => _container.GetConnectionString();

    /// <summary>Starts a container with settings of the server.</summary>
    public static new async Task<PostgresContainer> Start(bool durable, string[] settings)
    {
        // Looking for an engine is what Build does; where there is one, it answers at once.
        var container = await Task.Run(() =>
                new PostgreSqlBuilder(Image)
                    .WithImagePullPolicy(PullPolicy.Missing)
                    .WithDatabase("postgres")
                    .WithUsername("postgres")
                    .WithPortBinding(ServiceProcess.FreePort(), PostgreSqlBuilder.PostgreSqlPort)
                    .WithCommand([.. Arguments(durable, settings)])
                    .WithCreateParameterModifier(create =>
                    {
                        create.StopSignal = "SIGKILL"; // A server that is stopped here is killed.
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
