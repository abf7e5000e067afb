using System.Data;
using System.Data.Common;
using CancelService.Application.Pipeline;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Infrastructure.Persistence;

/// <summary>The configured database: gives contexts of the right provider, and tells about its schema.</summary>
public sealed class Database : IAsyncDisposable
{
    /// <summary>
    /// What changes a table waits for its lock this long, and then gives up: whoever needs the table queues behind it.
    /// </summary>
    internal const string LimitedLocks = "SET lock_timeout = '2s'";

    private readonly NpgsqlDataSource? _postgres;
    private readonly Func<CancelDbContext> _createContext;
    private volatile bool _isUpToDate;

    /// <summary>Sets up the provider; no connection is opened.</summary>
    public Database(IOptions<DatabaseOptions> options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Value.Provider is DatabaseProvider.Postgres)
        {
            _postgres = NpgsqlDataSource.Create(options.Value.Postgres());
            _createContext = Pooled(
                new DbContextOptionsBuilder<PostgresDbContext>()
                    .UseNpgsql(_postgres)
                    .AddInterceptors(new FreshCommands())
            );
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
    /// Writes a batch. It has lost a race when one of the <see cref="Arbiters"/> refused it; a refusal by any other constraint
    /// is a defect, and throws.
    /// </summary>
    internal async Task<WriteResult> Write(AtomicBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            return await Rows(batch, cancellationToken) > 0 ? WriteResult.Written : WriteResult.NothingToChange;
        }
        catch (PostgresException e) when (Arbiters.Refused(e))
        {
            return WriteResult.LostRace;
        }
        catch (SqliteException e) when (Arbiters.Refused(e))
        {
            return WriteResult.LostRace;
        }
    }

    /// <summary>Writes a batch that no other writer can refuse: the number of rows written.</summary>
    internal async Task<int> Rows(AtomicBatch batch, CancellationToken cancellationToken)
    {
        await using var db = CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        return await batch.Execute(db.Database.GetDbConnection(), cancellationToken);
    }

    /// <summary>
    /// Brings the schema up to date, beside instances that serve: it waits for no lock for long, and may be repeated after a
    /// failure. With its locks it may take as long as it needs.
    /// </summary>
    /// <param name="createDatabase">
    /// Whether a database that does not exist is created on PostgreSQL. Otherwise it is refused: the name may be mistyped.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="OptionsValidationException">The database does not exist.</exception>
    public async Task Migrate(bool createDatabase, CancellationToken cancellationToken)
    {
        await using var db = CreateContext();
        if (
            db.Database.GetDbConnection() is SqliteConnection { DataSource: { Length: > 0 } file }
            && file != ":memory:"
        )
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        db.Database.SetCommandTimeout(TimeSpan.Zero);
        try
        {
            if (db is PostgresDbContext)
            {
                var creator = db.GetService<IRelationalDatabaseCreator>();
                if (!await creator.ExistsAsync(cancellationToken))
                    await (createDatabase ? creator.CreateAsync(cancellationToken) : throw Missing(db));
                await db.Database.OpenConnectionAsync(cancellationToken);
                await db.Database.ExecuteSqlRawAsync(LimitedLocks, cancellationToken);
            }
            await db.Database.MigrateAsync(cancellationToken);
        }
        finally
        {
            _postgres?.Clear(); // Nobody else may get the connection with the limit.
        }
    }

    private static OptionsValidationException Missing(CancelDbContext db) =>
        new(
            "Database",
            typeof(DatabaseOptions),
            [
                $"Database:ConnectionString names the database '{db.Database.GetDbConnection().Database}', which does not exist. "
                    + "Correct the name, or create the database with: migrate --create-database",
            ]
        );

    /// <summary>Whether the database answers and has every migration of this version; later ones may have followed.</summary>
    public async Task<bool> IsUpToDate(CancellationToken cancellationToken)
    {
        await using var db = CreateContext();
        // No migration is ever taken back, so one look is enough; and while a later version migrates, it holds the list of
        // the migrations locked.
        if (_isUpToDate)
            await db.Database.ExecuteSqlRawAsync("SELECT 1", cancellationToken);
        else
            _isUpToDate = !(await db.Database.GetPendingMigrationsAsync(cancellationToken)).Any();
        return _isUpToDate;
    }

    /// <summary>
    /// A transaction whose reads all see the same instant. It waits for no writer: without <c>deferred</c>, SQLite would take
    /// its one write lock at once.
    /// </summary>
    internal static async ValueTask<DbTransaction> Snapshot(
        DbConnection connection,
        CancellationToken cancellationToken
    ) =>
        connection is SqliteConnection sqlite
            ? sqlite.BeginTransaction(deferred: true)
            : await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);

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

/// <summary>
/// Gives each query a command of its own. A connection of Npgsql keeps its last command for the next query. When sending that
/// command fails while one of its statements is being prepared, the mark of that stays on it, and the next connection is told to
/// prepare the statement again, which the server refuses (42P05), from then on for as long as the connection lives.
/// </summary>
internal sealed class FreshCommands : DbCommandInterceptor
{
    public override InterceptionResult<DbCommand> CommandCreating(
        CommandCorrelatedEventData eventData,
        InterceptionResult<DbCommand> result
    ) =>
        InterceptionResult<DbCommand>.SuppressWithResult(
            new NpgsqlCommand(null, (NpgsqlConnection)eventData.Connection)
        );
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
