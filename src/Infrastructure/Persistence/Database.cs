using System.Data;
using System.Data.Common;
using System.Globalization;
using CancelService.Application.Pipeline;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Options;
using Npgsql;
using SQLitePCL;

namespace CancelService.Infrastructure.Persistence;

/// <summary>The configured database: gives contexts of the right provider, and tells about its schema.</summary>
public sealed partial class Database : IAsyncDisposable
{
    private readonly DatabaseOptions _options;
    private readonly NpgsqlDataSource? _postgres;
    private readonly Barrier? _barrier;
    private readonly StaleConnections _stale;
    private readonly Func<CancelDbContext> _createContext;
    private readonly TimeProvider _time;
    private volatile bool _isUpToDate;

    /// <summary>Sets up the provider; no connection is opened.</summary>
    public Database(IOptions<DatabaseOptions> options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_options, _time) = (options.Value, time);
        if (_options.Provider is DatabaseProvider.Postgres)
        {
            _postgres = NpgsqlDataSource.Create(_options.Postgres());
            _barrier = new Barrier(_postgres, _options.SynchronousStandbys > 0, time);
            _stale = new StaleConnections(() =>
            {
                _postgres.Clear();
                _barrier.Forget();
            });
            _createContext = Pooled(
                new DbContextOptionsBuilder<PostgresDbContext>()
                    .UseNpgsql(_postgres)
                    .AddInterceptors(new FreshCommands(), _stale)
            );
        }
        else
        {
            var connectionString = _options.Sqlite().ConnectionString;
            _stale = new StaleConnections(() =>
            {
                using var connection = new SqliteConnection(connectionString);
                SqliteConnection.ClearPool(connection);
            });
            _createContext = Pooled(
                new DbContextOptionsBuilder<SqliteDbContext>()
                    .UseSqlite(connectionString)
                    .AddInterceptors(new SqliteDurability(), _stale)
            );
        }
    }

    /// <summary>Whether it is PostgreSQL; otherwise it is SQLite, which has one writer at a time.</summary>
    internal bool IsPostgres => _postgres is not null;

    /// <summary>Whether the database is one of Citus, whose tables are distributed by client, as far as is known.</summary>
    internal bool IsDistributed => _barrier is { HasNodes: true };

    /// <summary>
    /// Whether PostgreSQL confirms commits before they are durable, by its setting synchronous_commit, when it was last asked for
    /// <see cref="Obstacles"/>: a crash of the server may lose a cancellation that was answered S.
    /// </summary>
    public bool MayLoseCommits { get; private set; }

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
    /// <exception cref="DbException">The outcome is unknown.</exception>
    internal Task<int> Rows(AtomicBatch batch, CancellationToken cancellationToken) =>
        Confirmed(connection => batch.Execute(connection, cancellationToken), cancellationToken);

    /// <summary>Writes a batch of one statement, which returns what it wrote (<c>RETURNING</c>).</summary>
    /// <exception cref="DbException">The outcome is unknown.</exception>
    internal Task<List<T>> Rows<T>(AtomicBatch batch, Func<DbDataReader, T> row, CancellationToken cancellationToken) =>
        Confirmed(connection => batch.Read(connection, row, cancellationToken), cancellationToken);

    private async Task<T> Confirmed<T>(Func<DbConnection, Task<T>> write, CancellationToken cancellationToken)
    {
        using var span = Telemetry.Spans.StartActivity("commit");
        var (written, server) = await Warned(write, cancellationToken);
        if (_barrier is { IsAboutCommits: true }) // Citus keeps the warning of the node that committed to itself.
            await Pass(_barrier, server, cancellationToken);
        return written;
    }

    private async Task<(T Written, ServerAddress Server)> Warned<T>(
        Func<DbConnection, Task<T>> write,
        CancellationToken cancellationToken
    )
    {
        await using var db = CreateContext();
        try
        {
            await db.Database.OpenConnectionAsync(cancellationToken);
            var connection = db.Database.GetDbConnection();
            if (connection is not NpgsqlConnection postgres)
                return (await write(connection), default);
            using var warnings = new CommitWarnings(postgres);
            var written = await write(connection);
            warnings.ThrowIfAny();
            return (written, ServerAddress.Of(postgres));
        }
        catch (DbException e)
        {
            _stale.Heed(e);
            throw;
        }
    }

    private async Task Pass(Barrier barrier, ServerAddress read, CancellationToken cancellationToken)
    {
        try
        {
            await barrier.Pass(read, cancellationToken);
        }
        catch (OtherServerException e)
        {
            _stale.Heed(e);
            throw;
        }
    }

    /// <summary>
    /// Reads, and returns when no promotion of a synchronous standby can take back what was read: see <see cref="Barrier"/>. So
    /// the result may be told. The connection goes back to the pool first: the barrier needs one too, and reads that wait for it
    /// must not have them all.
    /// </summary>
    /// <exception cref="DbException">Nothing was read, or it is not known to be safe.</exception>
    internal Task<T> Read<T>(Func<CancelDbContext, Task<T>> read, CancellationToken cancellationToken) =>
        Read(read, _ => true, cancellationToken);

    /// <summary>The same; what is not <paramref name="told"/> need not be safe.</summary>
    internal async Task<T> Read<T>(
        Func<CancelDbContext, Task<T>> read,
        Func<T, bool> told,
        CancellationToken cancellationToken
    )
    {
        T result;
        ServerAddress server = default;
        await using (var db = CreateContext())
        {
            if (_barrier is not null)
            {
                await db.Database.OpenConnectionAsync(cancellationToken); // One server for all that is read.
                server = ServerAddress.Of((NpgsqlConnection)db.Database.GetDbConnection());
            }
            result = await read(db);
        }
        if (_barrier is not null && told(result))
            await Pass(_barrier, server, cancellationToken);
        return result;
    }

    /// <summary>Whether the database answers and has every migration of this version; later ones may have followed.</summary>
    public async Task<bool> IsUpToDate(CancellationToken cancellationToken)
    {
        // Migrations are never undone, so one look is enough. A later version that migrates keeps the list of migrations
        // locked.
        if (_isUpToDate)
            return true;
        await using var db = CreateContext();
        return _isUpToDate = !(await db.Database.GetPendingMigrationsAsync(cancellationToken)).Any();
    }

    /// <summary>What keeps the database from serving, each in a sentence for operators; empty when nothing does.</summary>
    /// <exception cref="DbException">The database does not answer.</exception>
    public async Task<IReadOnlyList<string>> Obstacles(CancellationToken cancellationToken)
    {
        var obstacles = new List<string>();
        if (!await IsUpToDate(cancellationToken))
            obstacles.Add("The schema is out of date: run the command migrate.");
        await using var db = CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        if (db.Database.GetDbConnection() is SqliteConnection sqlite)
        {
            await db.Database.ExecuteSqlRawAsync("SELECT 1", cancellationToken);
            if (raw.sqlite3_db_readonly(sqlite.Handle, "main") == 1)
                obstacles.Add("The database's file is read-only: correct its permissions, or the mode of its mount.");
            return obstacles;
        }

        var server = (NpgsqlConnection)db.Database.GetDbConnection();
        await using var command = new NpgsqlCommand(
            """
            SELECT current_setting('transaction_read_only') = 'on', current_setting('synchronous_standby_names') <> '',
                current_setting('synchronous_commit'),
                CASE WHEN $1 = 0 THEN 0 ELSE
                    (SELECT count(*)::int FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) END,
                to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL
            """,
            server
        );
        command.Parameters.Add(new NpgsqlParameter { Value = _options.SynchronousStandbys });
        var askedAt = _time.GetTimestamp();
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        var hasStandby = row.GetBoolean(1);
        if (row.GetBoolean(4))
            _barrier!.NoteNodes();
        else
            _barrier!.Note(ServerAddress.Of(server), hasStandby, askedAt);
        MayLoseCommits = row.GetString(2) is var commit && (commit == "off" || (commit == "local" && hasStandby));
        if (row.GetBoolean(0))
        {
            // The pool may hold connections from the time before. New connections notice that the database can be written
            // again.
            _postgres!.Clear();
            obstacles.Add("The database is read-only: it is a standby, or default_transaction_read_only is on.");
        }
        if (row.GetInt32(3) is var standbys && standbys < _options.SynchronousStandbys)
            obstacles.Add(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Database:SynchronousStandbys asks for {_options.SynchronousStandbys}, and {standbys} are connected (a role without pg_monitor sees none)."
                )
            );
        return obstacles;
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
