using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>Empty or migrated database of one test; it survives restarts of the host.</summary>
public sealed class TestDatabase : IDisposable
{
    private static readonly Lazy<Task<byte[]>> MigratedSqlite = new(MigrateSqlite);

    // Drops the database on the server. SQLite needs no drop: its file goes with the directory.
    private readonly Func<Task> _release;

    private TestDatabase(DatabaseProvider provider, string connectionString, string directory, PostgresServer? postgres)
    {
        (Provider, ConnectionString, Directory) = (provider, connectionString, directory);
        _release = () => postgres?.Release(connectionString) ?? Task.CompletedTask;
    }

    public DatabaseProvider Provider { get; }

    public string ConnectionString { get; }

    /// <summary>Temporary directory of the test, deleted on disposal.</summary>
    public string Directory { get; }

    public string[] Settings => [$"--Database:Provider={Provider}", $"--Database:ConnectionString={ConnectionString}"];

    public static async Task<TestDatabase> Create(
        DatabaseProvider provider,
        PostgresServer postgres,
        bool empty = false
    )
    {
        // Fallible work first, so a failure leaves no directory behind.
        var connectionString = provider switch
        {
            DatabaseProvider.Sqlite => null,
            DatabaseProvider.Postgres when empty => await postgres.CreateEmptyDatabase(),
            DatabaseProvider.Postgres => await postgres.CreateDatabase(),
        };
        var directory = System.IO.Directory.CreateTempSubdirectory("cancelservice-").FullName;
        var file = Path.Combine(directory, "test.db");
        if (provider is DatabaseProvider.Sqlite && !empty)
            await File.WriteAllBytesAsync(file, await MigratedSqlite.Value);
        connectionString ??= $"Data Source={file}";
        return new TestDatabase(
            provider,
            connectionString,
            directory,
            provider is DatabaseProvider.Postgres ? postgres : null
        );
    }

    /// <summary>Wraps a database on the test's own PostgreSQL server, without creating any table.</summary>
    public static TestDatabase Of(string connectionString)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("cancelservice-").FullName;
        return new TestDatabase(DatabaseProvider.Postgres, connectionString, directory, postgres: null);
    }

    /// <summary>Copies the database; no host may be running on it.</summary>
    public async Task<TestDatabase> Copy(PostgresServer postgres)
    {
        ArgumentNullException.ThrowIfNull(postgres);
        var directory = System.IO.Directory.CreateTempSubdirectory("cancelservice-").FullName;
        if (Provider is DatabaseProvider.Postgres)
            return new TestDatabase(Provider, await postgres.CopyDatabase(ConnectionString), directory, postgres);

        var file = Path.Combine(directory, "test.db");
        await using var connection = new SqliteConnection($"{ConnectionString};Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = $"VACUUM INTO '{file}'";
        await command.ExecuteNonQueryAsync();
        return new TestDatabase(Provider, $"Data Source={file}", directory, postgres: null);
    }

    public void Dispose()
    {
        System.IO.Directory.Delete(Directory, recursive: true);
        _release().GetAwaiter().GetResult();
    }

    private static async Task<byte[]> MigrateSqlite()
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("cancelservice-").FullName;
        var file = Path.Combine(directory, "template.db");
        await using (
            var db = new SqliteDbContext(
                new DbContextOptionsBuilder<SqliteDbContext>()
                    .UseSqlite($"Data Source={file};Pooling=False")
                    .UseSnakeCaseNamingConvention()
                    .Options
            )
        )
            await db.Database.MigrateAsync();
        var bytes = await File.ReadAllBytesAsync(file);
        System.IO.Directory.Delete(directory, recursive: true);
        return bytes;
    }
}
