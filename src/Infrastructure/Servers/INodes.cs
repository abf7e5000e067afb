using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CancelService.Infrastructure.Servers;

/// <summary>
/// The database servers that hold the tables: a <see cref="SingleServer"/>, or the nodes of a
/// <see cref="CitusCluster"/>. The interface carries everything that differs between the two.
/// </summary>
internal interface INodes
{
    /// <summary>
    /// True if a commit's warning reaches the client. Citus keeps the warning that a worker raises, so the absence of a
    /// warning proves nothing there.
    /// </summary>
    bool PassOnWarnings { get; }

    /// <summary>True if a query that names no client asks every shard, so that callers must send it rarely.</summary>
    bool ScatterQueries { get; }

    /// <summary>Settings of a transaction that changes tables; they bound its waits for locks.</summary>
    string MigrationSettings { get; }

    /// <summary>
    /// Settings of a transaction whose reads must see one instant on each node; each ends with a semicolon.
    /// </summary>
    string SnapshotSettings { get; }

    /// <summary>Makes migrations write the SQL that these servers need.</summary>
    /// <param name="migrations">The options of the context that migrates.</param>
    void Configure(DbContextOptionsBuilder migrations);

    /// <summary>
    /// Waits until the synchronous standbys of all nodes behind a server have everything that was visible before. The
    /// server's own standbys are the caller's to wait for.
    /// </summary>
    /// <param name="connection">A connection to the server.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>True if any of these nodes has a synchronous standby.</returns>
    /// <exception cref="UnconfirmedCommitException">A node's standbys may lack something.</exception>
    Task<bool> Confirm(NpgsqlConnection connection, CancellationToken cancellationToken);
}

/// <summary>One server that holds all tables: PostgreSQL with or without standbys, or SQLite.</summary>
internal sealed class SingleServer : INodes
{
    /// <summary>The bound of waits for locks, which every kind of server applies while tables change.</summary>
    public const string LockTimeout = "SET LOCAL lock_timeout = '2s'";

    /// <summary>The only instance, because it holds no state.</summary>
    public static readonly SingleServer Instance = new();

    private SingleServer() { }

    /// <inheritdoc/>
    public bool PassOnWarnings => true;

    /// <inheritdoc/>
    public bool ScatterQueries => false;

    /// <inheritdoc/>
    public string MigrationSettings => LockTimeout;

    /// <inheritdoc/>
    public string SnapshotSettings => "";

    /// <inheritdoc/>
    public void Configure(DbContextOptionsBuilder migrations) { }

    /// <inheritdoc/>
    public Task<bool> Confirm(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        Task.FromResult(false);
}
