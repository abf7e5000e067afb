using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Options;
using Npgsql;

[assembly: AssemblyFixture(typeof(PostgresServer))]

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>
/// One PostgreSQL server per test run, started on first use: the server named by CANCELSERVICE_TEST_POSTGRES, or a
/// temporary cluster. With CANCELSERVICE_TEST_DISTRIBUTE=true the named server is a Citus coordinator, and the schema
/// of each database is distributed over its nodes.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private readonly Lazy<Task<IReadOnlyList<string>>> _start;
    private readonly SemaphoreSlim _creating = new(1, 1);
    private readonly string _run = Guid.NewGuid().ToString("N")[..12];
    private readonly List<string> _databases = [];
    private string? _template;
    private Func<IReadOnlyList<string>, Task> _stop;

    public PostgresServer() => (_start, _stop) = (new(Start), DropAll);

    /// <summary>True when the test databases are distributed with Citus.</summary>
    public static bool IsDistributed { get; } =
        Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_DISTRIBUTE") == "true";

    /// <summary>Creates a database with the current schema, copied from a template that was migrated once.</summary>
    public Task<string> CreateDatabase() => CreateDatabase(migrated: true);

    /// <summary>Creates a database without any table.</summary>
    public Task<string> CreateEmptyDatabase() => CreateDatabase(migrated: false);

    /// <summary>Copies a database that has no open connection.</summary>
    public async Task<string> CopyDatabase(string connectionString)
    {
        var nodes = await _start.Value;
        await _creating.WaitAsync();
        try
        {
            return await Create(nodes, from: new NpgsqlConnectionStringBuilder(connectionString).Database!);
        }
        finally
        {
            _creating.Release();
        }
    }

    /// <summary>Creates a database without any table on every Citus node.</summary>
    public async Task<string> CreateCluster()
    {
        var nodes = await _start.Value;
        var connectionString = await CreateEmptyDatabase();
        await CitusNodes.Join(nodes, new NpgsqlConnectionStringBuilder(connectionString).Database!);
        return connectionString;
    }

    private async Task<string> CreateDatabase(bool migrated)
    {
        var nodes = await _start.Value;
        await _creating.WaitAsync();
        try
        {
            if (!migrated)
                return await Create(nodes, from: "template1");
            _template ??= await CreateTemplate(nodes);
            return await Create(nodes, _template);
        }
        finally
        {
            _creating.Release();
        }
    }

    private async Task<string> CreateTemplate(IReadOnlyList<string> nodes)
    {
        var template = new NpgsqlConnectionStringBuilder(await Create(nodes, from: "template1")) { Pooling = false };
        if (IsDistributed)
            await CitusNodes.Join(nodes, template.Database!);
        await using var database = new Database(
            Options.Create(
                new DatabaseOptions
                {
                    Provider = DatabaseProvider.Postgres,
                    ConnectionString = template.ConnectionString,
                }
            ),
            TimeProvider.System
        );
        await database.Migrate(createDatabase: false, CancellationToken.None, distribute: IsDistributed);
        return template.Database!;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_start.IsValueCreated || !_start.Value.IsCompletedSuccessfully)
            return;
        await _stop(await _start.Value);
        _creating.Dispose();
    }

    /// <summary>
    /// Drops a distributed database before the end of the run: each costs a Citus process on every node.
    /// </summary>
    public async Task Release(string connectionString)
    {
        if (IsDistributed)
            await Drop(await _start.Value, new NpgsqlConnectionStringBuilder(connectionString).Database!);
    }

    private async Task<string> Create(IReadOnlyList<string> nodes, string from)
    {
        var name = $"cancelservice_{_run}_{_databases.Count}";
        _databases.Add(name);
        foreach (var node in nodes)
        {
            await Retried(async () =>
            {
                // Citus keeps a session in each database and reconnects within seconds.
                if (IsDistributed)
                    await CitusNodes.Execute(
                        node,
                        "postgres",
                        $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}' AND "
                            + "pid <> pg_backend_pid()"
                    );
                await CitusNodes.Execute(node, "postgres", $"CREATE DATABASE {name} TEMPLATE {from}");
            });
        }
        return Named(nodes[0], name, pooling: true);
    }

    // From a server that stays.
    private async Task DropAll(IReadOnlyList<string> nodes)
    {
        foreach (var name in Enumerable.Reverse(_databases))
            await Drop(nodes, name);
    }

    private static async Task Drop(IReadOnlyList<string> nodes, string name)
    {
        foreach (var node in nodes)
            await Retried(() => CitusNodes.Execute(node, "postgres", $"DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    // Ending or reopened sessions can outlast PostgreSQL's own wait, so the statement is retried.
    private static async Task Retried(Func<Task> act)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await act();
                return;
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ObjectInUse && attempt < 5) { }
        }
    }

    private static string Named(string server, string database, bool pooling) =>
        new NpgsqlConnectionStringBuilder(server)
        {
            Database = database,
            Pooling = pooling,
            MaxPoolSize = 40,
        }.ConnectionString;

    // Returns the connection strings of the server, or of the coordinator followed by the workers.
    private async Task<IReadOnlyList<string>> Start()
    {
        var given = Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_POSTGRES");
        if (IsDistributed)
            return await CitusNodes.Of(
                given
                    ?? throw new InvalidOperationException(
                        "CANCELSERVICE_TEST_DISTRIBUTE needs a coordinator of Citus in CANCELSERVICE_TEST_POSTGRES."
                    )
            );
        if (given is { Length: > 0 })
            return [given];
        var cluster = await PostgresCluster.Start(durable: false);
        _stop = _ => cluster.DisposeAsync().AsTask(); // With all databases, each of which takes a second to drop.
        return [cluster.ConnectionString];
    }
}
