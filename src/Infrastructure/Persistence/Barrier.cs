using System.Data.Common;
using CancelService.Application.Pipeline;
using Npgsql;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// Keeps an answer that rests on a read until the promotion of a synchronous standby can no longer take back what was read.
/// PostgreSQL shows a commit whose wait for the standby was cancelled although no standby has it, and so does a primary that
/// was restarted. So after the read this commits a small record of its own and waits for its confirmation: a standby that has
/// the record has everything before it.
/// </summary>
/// <remarks>
/// One commit is under way at a time, and all who arrive meanwhile share the next one, which begins after their reads.
/// Without a synchronous standby nothing is committed. SQLite has none. A read of one server is not safe by the commit of another:
/// the standby may be promoted between the two.
/// </remarks>
internal sealed class Barrier
{
    // Whether there are synchronous standbys, and other nodes; where there are no standbys, no commit is made.
    private const string Statement = """
        SELECT has_standby, to_regclass('pg_catalog.pg_dist_node') IS NOT NULL,
            CASE WHEN has_standby THEN pg_logical_emit_message(true, 'cancelservice', 'barrier') END
        FROM (SELECT current_setting('synchronous_standby_names') <> '' AS has_standby) AS server
        """;

    // The answer "no standby" counts for a second from when it was asked, and is renewed half-way without anybody waiting. So a
    // standby that is configured while the instance runs is waited for from a second later on. An instance that insists on standbys
    // asks each time.
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan KnowledgeLasts = TimeSpan.FromSeconds(1);

    private readonly NpgsqlDataSource _postgres;
    private readonly bool _insists;
    private readonly TimeProvider _time;
    private readonly NodesBarrier _nodes = new();
    private readonly SharedRun<ServerAddress> _commits;
    private readonly Lock _learning = new();
    private volatile Server _server = new(
        default,
        HasStandby: true,
        HasNodes: false,
        IsAsked: false,
        AskedAt: long.MinValue
    );

    /// <summary>Creates the barrier of a server.</summary>
    /// <param name="postgres">The server.</param>
    /// <param name="insists">Whether there have to be synchronous standbys: <see cref="DatabaseOptions.SynchronousStandbys"/>.</param>
    /// <param name="time">The clock.</param>
    public Barrier(NpgsqlDataSource postgres, bool insists, TimeProvider time) =>
        (_postgres, _insists, _time, _commits) = (postgres, insists, time, new SharedRun<ServerAddress>(Commit));

    /// <summary>Whether the server is one of the nodes of Citus, as far as is known.</summary>
    public bool HasNodes => _server.HasNodes;

    /// <summary>Whether a commit without a warning may still lack a standby: on Citus, and until the server was asked.</summary>
    public bool IsAboutCommits => _server is { HasNodes: true } or { IsAsked: false };

    /// <summary>Notes whether the server names synchronous standbys, and that it is no node of Citus.</summary>
    /// <param name="address">Which server it is.</param>
    /// <param name="hasStandby">What it said.</param>
    /// <param name="askedAt">A time stamp from before it was asked.</param>
    public void Note(ServerAddress address, bool hasStandby, long askedAt) =>
        Learn(new(address, hasStandby, HasNodes: false, IsAsked: true, askedAt));

    /// <summary>Notes that the server is a node of Citus; of the standbys only the barrier knows.</summary>
    public void NoteNodes()
    {
        lock (_learning)
            _server = _server with { HasNodes = true, IsAsked = true };
    }

    /// <summary>
    /// Forgets whether there are standbys, because the next connection may lead to another server. An answer to an earlier question
    /// no longer counts, either.
    /// </summary>
    public void Forget()
    {
        lock (_learning)
            _server = _server with { HasStandby = true, AskedAt = _time.GetTimestamp() };
    }

    /// <summary>
    /// Returns when all that was read before is safe. An exception means that this is not known, so nothing that rests on
    /// the read may be told.
    /// </summary>
    /// <param name="read">The server that was read.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task Pass(ServerAddress read, CancellationToken cancellationToken)
    {
        var server = _server;
        if (
            _insists
            || server.HasStandby
            || server.Address != read
            || _time.GetElapsedTime(server.AskedAt) is var age && age > KnowledgeLasts
        )
            return Measured(read, cancellationToken);
        if (age > AskAgainAfter)
            _ = _commits.Next();
        return Task.CompletedTask;
    }

    private async Task Measured(ServerAddress read, CancellationToken cancellationToken)
    {
        using var span = Telemetry.Spans.StartActivity("barrier");
        var started = _time.GetTimestamp();
        try
        {
            if (await _commits.Next().WaitAsync(cancellationToken) != read)
                throw new OtherServerException();
        }
        catch
        {
            DatabaseMetrics.BarrierFailures.Add(1);
            throw;
        }
        if (_server.HasStandby)
            DatabaseMetrics.BarrierDuration.Record(_time.GetElapsedTime(started).TotalSeconds);
    }

    // Returns the server that has confirmed the commit, or has no standby.
    private async Task<ServerAddress> Commit()
    {
        var askedAt = _time.GetTimestamp();
        // Not cancelled by a caller, who must not give up for all; the command's time-out bounds it.
        await using var connection = await _postgres.OpenConnectionAsync(CancellationToken.None);
        var address = ServerAddress.Of(connection);
        using var warnings = new CommitWarnings(connection);
        await using var command = new NpgsqlCommand(Statement, connection);
        var (hasStandby, hasNodes) = (false, false);
        await using (var row = await command.ExecuteReaderAsync(CancellationToken.None))
        {
            await row.ReadAsync(CancellationToken.None);
            (hasStandby, hasNodes) = (row.GetBoolean(0), row.GetBoolean(1));
            await row.NextResultAsync(CancellationToken.None); // Its commit's failure comes behind the row.
        }
        if (hasStandby || !hasNodes)
            Learn(new(address, hasStandby, hasNodes, IsAsked: true, askedAt));
        warnings.ThrowIfAny();
        if (hasNodes)
        {
            hasStandby |= await PassNodes(connection, askedAt);
            Learn(new(address, hasStandby, hasNodes, IsAsked: true, askedAt));
        }
        return address;
    }

    // After a failure nobody may rest on it that there were no standbys before.
    private async Task<bool> PassNodes(NpgsqlConnection connection, long askedAt)
    {
        try
        {
            return await _nodes.Pass(connection, CancellationToken.None);
        }
        catch
        {
            Learn(new(ServerAddress.Of(connection), HasStandby: true, HasNodes: true, IsAsked: true, askedAt));
            throw;
        }
    }

    // The newest answer counts, whichever comes last.
    private void Learn(Server answer)
    {
        lock (_learning)
        {
            if (answer.AskedAt >= _server.AskedAt)
                _server = answer;
        }
    }

    /// <summary>What the server last said of itself.</summary>
    /// <param name="Address">Which server it is.</param>
    /// <param name="HasStandby">Whether it, or another node, names synchronous standbys; true also when that is not known.</param>
    /// <param name="HasNodes">Whether it is one of the nodes of Citus.</param>
    /// <param name="IsAsked">Whether it was ever asked.</param>
    /// <param name="AskedAt">A time stamp from before it was asked.</param>
    private sealed record Server(ServerAddress Address, bool HasStandby, bool HasNodes, bool IsAsked, long AskedAt);
}

/// <summary>
/// One of the servers that the connection string names. Servers behind one name, of a proxy or a virtual address, are not told apart.
/// </summary>
internal readonly record struct ServerAddress(string? Host, int Port)
{
    /// <summary>The server that an open connection leads to.</summary>
    public static ServerAddress Of(NpgsqlConnection connection) => new(connection.Host, connection.Port);
}

/// <summary>
/// The barrier's commit went to another server than the read. A standby was promoted between the two, perhaps without what was read.
/// </summary>
internal sealed class OtherServerException()
    : DbException("What was read came from another server than the one that takes writes now.");

/// <summary>
/// Listens to the server's warnings while it commits. When somebody cancels PostgreSQL's wait for a synchronous standby, the
/// commit succeeds with nothing but a warning, and a failover may still lose it.
/// </summary>
internal sealed class CommitWarnings : IDisposable
{
    private readonly NpgsqlConnection _connection;
    private PostgresNotice? _warning;

    public CommitWarnings(NpgsqlConnection connection) => (_connection = connection).Notice += Listen;

    /// <exception cref="UnconfirmedCommitException">There was a warning, so the outcome is unknown.</exception>
    public void ThrowIfAny()
    {
        if (_warning is { } warning)
            throw new UnconfirmedCommitException(warning.MessageText, warning.SqlState);
    }

    public void Dispose() => _connection.Notice -= Listen;

    private void Listen(object sender, NpgsqlNoticeEventArgs e)
    {
        if (e.Notice.InvariantSeverity == "WARNING")
            _warning = e.Notice;
    }
}

/// <summary>The server committed, but warned: the commit may be lost, so its outcome is unknown.</summary>
internal sealed class UnconfirmedCommitException(string warning, string sqlState) : DbException(warning)
{
    /// <inheritdoc/>
    public override string SqlState => sqlState;
}
