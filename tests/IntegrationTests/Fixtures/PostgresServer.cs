using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

[assembly: AssemblyFixture(typeof(PostgresServer))]

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>
/// One PostgreSQL for a test run, started when the first test asks for a database: the server that CANCELSERVICE_TEST_POSTGRES
/// names, or a cluster of its own.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private const string Template = "cancelservice_template";

    private readonly Lazy<Task<string>> _start;
    private readonly SemaphoreSlim _creating = new(1, 1);
    private readonly string _run = Guid.NewGuid().ToString("N")[..12];
    private readonly List<string> _databases = [];
    private Func<Task> _stop = () => Task.CompletedTask;

    public PostgresServer() => _start = new(Start);

    /// <summary>A fresh database with the current schema, copied from one that was migrated once.</summary>
    public Task<string> CreateDatabase() => CreateDatabase(migrated: true);

    /// <summary>A fresh database without any table.</summary>
    public Task<string> CreateEmptyDatabase() => CreateDatabase(migrated: false);

    /// <summary>A copy of a database to which nobody is connected.</summary>
    public async Task<string> CopyDatabase(string connectionString)
    {
        var server = await _start.Value;
        await _creating.WaitAsync();
        try
        {
            var name = $"cancelservice_{_run}_{_databases.Count}";
            await Create(server, name, from: new NpgsqlConnectionStringBuilder(connectionString).Database!);
            return Named(server, name, pooling: true);
        }
        finally
        {
            _creating.Release();
        }
    }

    private async Task<string> CreateDatabase(bool migrated)
    {
        var server = await _start.Value;
        await _creating.WaitAsync();
        try
        {
            var template = $"{Template}_{_run}";
            if (migrated && !_databases.Contains(template, StringComparer.Ordinal))
            {
                await Create(server, template, from: "template1");
                await using var db = new PostgresDbContext(
                    new DbContextOptionsBuilder<PostgresDbContext>()
                        .UseNpgsql(Named(server, template, pooling: false))
                        .UseSnakeCaseNamingConvention()
                        .Options
                );
                await db.Database.MigrateAsync();
            }
            var name = $"cancelservice_{_run}_{_databases.Count}";
            await Create(server, name, migrated ? template : "template1");
            return Named(server, name, pooling: true);
        }
        finally
        {
            _creating.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_start.IsValueCreated || !_start.Value.IsCompletedSuccessfully)
            return;
        var server = await _start.Value;
        foreach (var name in Enumerable.Reverse(_databases))
            await Execute(server, $"DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        await _stop();
        _creating.Dispose();
    }

    private async Task Create(string server, string name, string from)
    {
        await Execute(server, $"CREATE DATABASE {name} TEMPLATE {from}");
        _databases.Add(name);
    }

    private static async Task Execute(string server, string sql)
    {
        await using var connection = new NpgsqlConnection(Named(server, "postgres", pooling: false));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static string Named(string server, string database, bool pooling) =>
        new NpgsqlConnectionStringBuilder(server)
        {
            Database = database,
            Pooling = pooling,
            MaxPoolSize = 40,
        }.ConnectionString;

    private async Task<string> Start()
    {
        if (Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_POSTGRES") is { Length: > 0 } given)
            return given;
        var cluster = await PostgresCluster.Start(durable: false);
        _stop = () => cluster.DisposeAsync().AsTask();
        return cluster.ConnectionString;
    }
}
