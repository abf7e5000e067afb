using System.Data;
using System.Data.Common;
using System.Globalization;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Servers;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Options;
using Npgsql;
using SQLitePCL;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// The configured database: creates contexts of its provider, writes batches, reads, and checks its schema.
/// </summary>
public sealed partial class Database : IAsyncDisposable
{
    private readonly DatabaseOptions _options;
    private readonly NpgsqlDataSource? _postgres;
    private readonly StandbyBarrier? _barrier;
    private readonly StaleConnections _stale;
    private readonly Func<CancelDbContext> _createContext;
    private readonly TimeProvider _time;
    private readonly WritePrecondition? _precondition;
    private volatile bool _isUpToDate;

    /// <summary>Sets up the provider without opening a connection.</summary>
    /// <param name="options">The settings.</param>
    /// <param name="time">The clock.</param>
    /// <param name="precondition">The host's condition on every write; null when it has none.</param>
    public Database(IOptions<DatabaseOptions> options, TimeProvider time, WritePrecondition? precondition = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_options, _time, _precondition) = (options.Value, time, precondition);
        if (_options.Provider is DatabaseProvider.Postgres)
        {
            _postgres = NpgsqlDataSource.Create(_options.Postgres());
            _barrier = new StandbyBarrier(_postgres, _options.SynchronousStandbys > 0, time);
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

    /// <summary>True on PostgreSQL; false on SQLite, which has one writer at a time.</summary>
    internal bool IsPostgres => _postgres is not null;

    /// <summary>
    /// The nodes that hold the tables; a single server until the database is known to be a Citus cluster.
    /// </summary>
    internal INodes Nodes => _barrier?.Nodes ?? SingleServer.Instance;

    /// <summary>
    /// True if PostgreSQL confirms commits before they are durable (synchronous_commit), as of the last call of
    /// <see cref="Obstacles"/>. Then a crash of the server may lose a cancellation that was answered S.
    /// </summary>
    public bool MayLoseCommits { get; private set; }

    /// <summary>Creates a context for one unit of work. The caller must dispose it.</summary>
    public CancelDbContext CreateContext() => _createContext();

    /// <summary>
    /// Writes a batch. A refusal by one of the <see cref="Arbiters"/> is a lost race; a refusal by any other constraint
    /// is a defect and throws.
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

    /// <summary>Writes a batch that can't lose a race, and returns the number of rows written.</summary>
    /// <exception cref="DbException">The outcome is unknown.</exception>
    internal Task<int> Rows(AtomicBatch batch, CancellationToken cancellationToken) =>
        Confirmed(connection => batch.Execute(connection, _precondition, cancellationToken), cancellationToken);

    /// <summary>Writes a batch of one statement, and returns the rows that it returns (<c>RETURNING</c>).</summary>
    /// <exception cref="DbException">The outcome is unknown.</exception>
    internal Task<List<T>> Rows<T>(AtomicBatch batch, Func<DbDataReader, T> row, CancellationToken cancellationToken) =>
        Confirmed(connection => batch.Read(connection, _precondition, row, cancellationToken), cancellationToken);

    private async Task<T> Confirmed<T>(Func<DbConnection, Task<T>> write, CancellationToken cancellationToken)
    {
        using var span = Telemetry.Spans.StartActivity("commit");
        var (written, server) = await Warned(write, cancellationToken);
        if (_barrier is { CoversCommits: true })
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

    private async Task Pass(StandbyBarrier barrier, ServerAddress read, CancellationToken cancellationToken)
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
    /// Reads, and returns when no promotion of a synchronous standby can take back the result, so that the caller may
    /// tell it: see <see cref="StandbyBarrier"/>. The connection goes back to the pool before the wait, because waiting
    /// reads would otherwise hold all connections while the barrier needs one.
    /// </summary>
    /// <exception cref="DbException">The read failed, or the result is not known to be safe.</exception>
    internal Task<T> Read<T>(Func<CancelDbContext, Task<T>> read, CancellationToken cancellationToken) =>
        Read(read, _ => true, cancellationToken);

    /// <summary>Reads, and passes the barrier only for a result that the caller will tell.</summary>
    /// <param name="read">The query.</param>
    /// <param name="told">Decides whether the caller will tell the result.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="DbException">The read failed, or the result is not known to be safe.</exception>
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
                await db.Database.OpenConnectionAsync(cancellationToken); // All queries go to one server.
                server = ServerAddress.Of((NpgsqlConnection)db.Database.GetDbConnection());
            }
            result = await read(db);
        }
        if (_barrier is not null && told(result))
            await Pass(_barrier, server, cancellationToken);
        return result;
    }

    /// <summary>
    /// Returns true if the database has every migration of this version; it may have later ones, too.
    /// </summary>
    public async Task<bool> IsUpToDate(CancellationToken cancellationToken)
    {
        // Migrations are never undone, so cache "up to date". A later version that migrates keeps the list of
        // migrations locked.
        if (_isUpToDate)
            return true;
        await using var db = CreateContext();
        return _isUpToDate = !(await db.Database.GetPendingMigrationsAsync(cancellationToken)).Any();
    }

    /// <summary>
    /// Lists the reasons why the database can't serve, each in a sentence for operators; empty when it can.
    /// </summary>
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
        _barrier!.Note(ServerAddress.Of(server), isCitus: row.GetBoolean(4), hasStandby, askedAt);
        MayLoseCommits = row.GetString(2) is var commit && (commit == "off" || (commit == "local" && hasStandby));
        if (row.GetBoolean(0))
        {
            // The pool may hold read-only connections after the database has become writable; new connections are not.
            _postgres!.Clear();
            obstacles.Add("The database is read-only: it is a standby, or default_transaction_read_only is on.");
        }
        if (row.GetInt32(3) is var standbys && standbys < _options.SynchronousStandbys)
            obstacles.Add(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Database:SynchronousStandbys asks for {_options.SynchronousStandbys}, and {standbys} are "
                ) + "connected (a role without pg_monitor sees none)."
            );
        return obstacles;
    }

    /// <summary>
    /// Begins a transaction whose reads all see the same instant. It waits for no writer: without <c>deferred</c>,
    /// SQLite would take its only write lock at once.
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

/// <summary>Creates contexts without a connection for <c>dotnet ef migrations add</c>.</summary>
internal sealed class DesignTime
    : IDesignTimeDbContextFactory<PostgresDbContext>,
        IDesignTimeDbContextFactory<SqliteDbContext>
{
    PostgresDbContext IDesignTimeDbContextFactory<PostgresDbContext>.CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<PostgresDbContext>().UseNpgsql().UseSnakeCaseNamingConvention().Options);

    SqliteDbContext IDesignTimeDbContextFactory<SqliteDbContext>.CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<SqliteDbContext>().UseSqlite().UseSnakeCaseNamingConvention().Options);
}
