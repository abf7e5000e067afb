using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Infrastructure.Persistence;

/// <summary>The configured database: gives contexts of the right provider, and tells about its schema.</summary>
public sealed class Database : IAsyncDisposable
{
    private readonly NpgsqlDataSource? _postgres;
    private readonly Func<CancelDbContext> _createContext;

    /// <summary>Sets up the provider; no connection is opened.</summary>
    public Database(IOptions<DatabaseOptions> options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Value.Provider is DatabaseProvider.Postgres)
        {
            _postgres = NpgsqlDataSource.Create(options.Value.Postgres());
            _createContext = Pooled(new DbContextOptionsBuilder<PostgresDbContext>().UseNpgsql(_postgres));
        }
        else
        {
            _createContext = Pooled(
                new DbContextOptionsBuilder<SqliteDbContext>()
                    .UseSqlite(options.Value.Sqlite().ConnectionString)
                    .AddInterceptors(new SqliteDurability())
            );
        }
    }

    /// <summary>A context for one unit of work; dispose it.</summary>
    public CancelDbContext CreateContext() => _createContext();

    /// <summary>
    /// Writes a batch: the number of rows written, or null when a constraint refused it, because another writer got there
    /// first, and nothing was written.
    /// </summary>
    internal async Task<int?> Execute(AtomicBatch batch, CancellationToken cancellationToken)
    {
        await using var db = CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        return await batch.Execute(db.Database.GetDbConnection(), cancellationToken);
    }

    /// <summary>Brings the schema up to date.</summary>
    public async Task Migrate(CancellationToken cancellationToken)
    {
        await using var db = CreateContext();
        if (
            db.Database.GetDbConnection() is SqliteConnection { DataSource: { Length: > 0 } file }
            && file != ":memory:"
        )
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        await db.Database.MigrateAsync(cancellationToken);
    }

    /// <summary>The migrations that this version needs and the database lacks.</summary>
    public async Task<IEnumerable<string>> PendingMigrations(CancellationToken cancellationToken)
    {
        await using var db = CreateContext();
        return await db.Database.GetPendingMigrationsAsync(cancellationToken);
    }

    private static Func<CancelDbContext> Pooled<TContext>(DbContextOptionsBuilder<TContext> builder)
        where TContext : CancelDbContext
    {
        var factory = new PooledDbContextFactory<TContext>(builder.UseSnakeCaseNamingConvention().Options);
        return factory.CreateDbContext;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _postgres?.DisposeAsync() ?? ValueTask.CompletedTask;

    // A commit that is answered must survive a power cut; SQLite forgets the setting with each connection.
    private sealed class SqliteDurability : DbConnectionInterceptor
    {
        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            using var pragma = connection.CreateCommand();
            pragma.CommandText = "PRAGMA synchronous = FULL";
            pragma.ExecuteNonQuery();
        }

        public override Task ConnectionOpenedAsync(
            DbConnection connection,
            ConnectionEndEventData eventData,
            CancellationToken cancellationToken = default
        )
        {
            ConnectionOpened(connection, eventData);
            return Task.CompletedTask;
        }
    }
}

/// <summary>Contexts for the tools that write migrations: <c>dotnet ef migrations add</c>. They open no connection.</summary>
internal sealed class DesignTime
    : IDesignTimeDbContextFactory<PostgresDbContext>,
        IDesignTimeDbContextFactory<SqliteDbContext>
{
    PostgresDbContext IDesignTimeDbContextFactory<PostgresDbContext>.CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<PostgresDbContext>().UseNpgsql().UseSnakeCaseNamingConvention().Options);

    SqliteDbContext IDesignTimeDbContextFactory<SqliteDbContext>.CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<SqliteDbContext>().UseSqlite().UseSnakeCaseNamingConvention().Options);
}
