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
/// Without a synchronous standby nothing is committed. SQLite has none.
/// </remarks>
internal sealed class Barrier
{
    // Whether there are synchronous standbys, and other nodes; where there are no standbys, no commit is made.
    private const string Statement = """
        SELECT has_standby, to_regclass('pg_catalog.pg_dist_node') IS NOT NULL,
            CASE WHEN has_standby THEN pg_logical_emit_message(true, 'cancelservice', 'barrier') END
        FROM (SELECT current_setting('synchronous_standby_names') <> '' AS has_standby) AS server
        """;

    // The answer "no standby" is renewed every second. Readers use it for up to five seconds while a new answer is on its
    // way, so that a stuck connection does not block every read.
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan KnowledgeLasts = TimeSpan.FromSeconds(5);

    private readonly NpgsqlDataSource _postgres;
    private readonly TimeProvider _time;
    private readonly NodesBarrier _nodes = new();
    private readonly SharedRun _commits;
    private volatile bool _hasStandby = true;
    private volatile bool _hasNodes;
    private volatile bool _isAsked;
    private long _knownSince = long.MinValue;

    public Barrier(NpgsqlDataSource postgres, TimeProvider time) =>
        (_postgres, _time, _commits) = (postgres, time, new SharedRun(Commit));

    /// <summary>Whether the server is one of the nodes of Citus, as far as is known.</summary>
    public bool HasNodes => _hasNodes;

    /// <summary>Whether a commit without a warning may still lack a standby: on Citus, and until the server was asked.</summary>
    public bool IsAboutCommits => _hasNodes || !_isAsked;

    /// <summary>Notes whether the server names synchronous standbys, and that it is no node of Citus.</summary>
    public void Note(bool hasStandby) => Note(hasStandby, hasNodes: false);

    /// <summary>Notes that the server is a node of Citus; of the standbys only the barrier knows.</summary>
    public void NoteNodes() => (_hasNodes, _isAsked) = (true, true);

    /// <summary>Forgets what is known of the server: the next connection may lead to another one.</summary>
    public void Forget() => Volatile.Write(ref _knownSince, long.MinValue);

    /// <summary>
    /// Returns when all that was read before is safe. An exception means that this is not known, so nothing that rests on
    /// the read may be told.
    /// </summary>
    public Task Pass(CancellationToken cancellationToken)
    {
        var since = Volatile.Read(ref _knownSince);
        var age = since == long.MinValue ? TimeSpan.MaxValue : _time.GetElapsedTime(since);
        if (_hasStandby || age > KnowledgeLasts)
            return Measured(cancellationToken);
        if (age > AskAgainAfter)
            _ = _commits.Next();
        return Task.CompletedTask;
    }

    private async Task Measured(CancellationToken cancellationToken)
    {
        using var span = Telemetry.Spans.StartActivity("barrier");
        var started = _time.GetTimestamp();
        try
        {
            await _commits.Next().WaitAsync(cancellationToken);
        }
        catch
        {
            DatabaseMetrics.BarrierFailures.Add(1);
            throw;
        }
        if (_hasStandby)
            DatabaseMetrics.BarrierDuration.Record(_time.GetElapsedTime(started).TotalSeconds);
    }

    private async Task Commit()
    {
        // Not cancelled by a caller, who must not give up for all; the command's time-out bounds it.
        await using var connection = await _postgres.OpenConnectionAsync(CancellationToken.None);
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
            Note(hasStandby, hasNodes);
        warnings.ThrowIfAny();
        if (hasNodes)
            Note(hasStandby | await PassNodes(connection), hasNodes);
    }

    // After a failure nobody may rest on it that there were no standbys before.
    private async Task<bool> PassNodes(NpgsqlConnection connection)
    {
        try
        {
            return await _nodes.Pass(connection, CancellationToken.None);
        }
        catch
        {
            Note(hasStandby: true, hasNodes: true);
            throw;
        }
    }

    private void Note(bool hasStandby, bool hasNodes)
    {
        (_hasStandby, _hasNodes, _isAsked) = (hasStandby, hasNodes, true);
        Volatile.Write(ref _knownSince, _time.GetTimestamp());
    }
}

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
