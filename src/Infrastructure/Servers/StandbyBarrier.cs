using CancelService.Application.Pipeline;
using Npgsql;

namespace CancelService.Infrastructure.Servers;

/// <summary>
/// Delays an answer that rests on a read until the promotion of a synchronous standby can't take back the data that was
/// read. PostgreSQL shows a commit whose wait for the standby was cancelled although no standby has it, and so does a
/// primary after a restart. So the barrier commits a small record after the read and waits for its confirmation: a
/// standby that has the record has everything before it.
/// </summary>
/// <remarks>
/// One commit runs at a time, and all callers that arrive meanwhile share the next one, which begins after their reads.
/// Without a synchronous standby the barrier commits nothing. SQLite has no standby. A commit on one server proves
/// nothing about a read from another: the standby may have been promoted between the two.
/// </remarks>
internal sealed class StandbyBarrier
{
    // Returns whether the server names synchronous standbys and whether it belongs to Citus; emits a record with
    // standbys.
    private const string Statement = """
        SELECT has_standby, to_regclass('pg_catalog.pg_dist_node') IS NOT NULL,
            CASE WHEN has_standby THEN pg_logical_emit_message(true, 'cancelservice', 'barrier') END
        FROM (SELECT current_setting('synchronous_standby_names') <> '' AS has_standby) AS server
        """;

    // Cache "no standby" for one second, and refresh it in the background after half a second. So reads wait for a
    // standby that was configured meanwhile after one second at most. An instance that requires standbys does not
    // cache.
    private static readonly TimeSpan RefreshAfter = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan CacheTime = TimeSpan.FromSeconds(1);

    private readonly NpgsqlDataSource _postgres;
    private readonly bool _requiresStandbys;
    private readonly TimeProvider _time;
    private readonly CitusCluster _citus = new();
    private readonly SharedRun<ServerAddress> _commits;
    private readonly Lock _learning = new();
    private volatile Server _server = new(default, HasStandby: true, Nodes: null, AskedAt: long.MinValue);

    /// <summary>Creates the barrier of a server.</summary>
    /// <param name="postgres">The server.</param>
    /// <param name="requiresStandbys">True if the settings require synchronous standbys.</param>
    /// <param name="time">The clock.</param>
    public StandbyBarrier(NpgsqlDataSource postgres, bool requiresStandbys, TimeProvider time) =>
        (_postgres, _requiresStandbys, _time, _commits) = (
            postgres,
            requiresStandbys,
            time,
            new SharedRun<ServerAddress>(Commit)
        );

    /// <summary>The nodes of the server; a single server until it has been asked.</summary>
    public INodes Nodes => _server.Nodes ?? SingleServer.Instance;

    /// <summary>
    /// True if a commit without a warning may still lack a standby, so that it must pass the barrier: on Citus, and
    /// until the server has been asked.
    /// </summary>
    public bool CoversCommits => _server.Nodes is not { PassOnWarnings: true };

    /// <summary>
    /// Notes an answer of a server. The standbys of the nodes of Citus are known to the barrier's own commit alone.
    /// </summary>
    /// <param name="address">The server.</param>
    /// <param name="isCitus">True if the server belongs to Citus.</param>
    /// <param name="hasStandby">True if the server names synchronous standbys.</param>
    /// <param name="askedAt">A time stamp from before the question.</param>
    public void Note(ServerAddress address, bool isCitus, bool hasStandby, long askedAt)
    {
        if (!isCitus)
        {
            Learn(new(address, hasStandby, SingleServer.Instance, askedAt));
            return;
        }
        lock (_learning)
            _server = _server with { Nodes = _citus };
    }

    /// <summary>
    /// Invalidates the knowledge about standbys, because the next connection may lead to another server. Answers to
    /// earlier questions become stale as well.
    /// </summary>
    public void Forget()
    {
        lock (_learning)
            _server = _server with { HasStandby = true, AskedAt = _time.GetTimestamp() };
    }

    /// <summary>
    /// Returns when everything that was read before the call is safe. After an exception this is unknown, so nothing
    /// that rests on the read may be told.
    /// </summary>
    /// <param name="read">The server that was read.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="OtherServerException">Another server accepts writes now.</exception>
    public Task Pass(ServerAddress read, CancellationToken cancellationToken)
    {
        var server = _server;
        if (
            _requiresStandbys
            || server.HasStandby
            || server.Address != read
            || _time.GetElapsedTime(server.AskedAt) is var age && age > CacheTime
        )
            return Measured(read, cancellationToken);
        if (age > RefreshAfter)
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
            BarrierMetrics.Failures.Add(1);
            throw;
        }
        if (_server.HasStandby)
            BarrierMetrics.Duration.Record(_time.GetElapsedTime(started).TotalSeconds);
    }

    // Returns the server that has confirmed the commit, or that has no standby.
    private async Task<ServerAddress> Commit()
    {
        var askedAt = _time.GetTimestamp();
        // No caller may cancel a run that others share; the command's timeout bounds it.
        await using var connection = await _postgres.OpenConnectionAsync(CancellationToken.None);
        var address = ServerAddress.Of(connection);
        using var warnings = new CommitWarnings(connection);
        await using var command = new NpgsqlCommand(Statement, connection);
        bool hasStandby;
        INodes nodes;
        await using (var row = await command.ExecuteReaderAsync(CancellationToken.None))
        {
            await row.ReadAsync(CancellationToken.None);
            (hasStandby, nodes) = (row.GetBoolean(0), row.GetBoolean(1) ? _citus : SingleServer.Instance);
            await row.NextResultAsync(CancellationToken.None); // A failure of the commit comes behind the row.
        }
        if (hasStandby)
            Learn(new(address, HasStandby: true, nodes, askedAt));
        warnings.ThrowIfAny();
        var othersHave = await Confirmed(nodes, connection, askedAt);
        Learn(new(address, hasStandby || othersHave, nodes, askedAt));
        return address;
    }

    // A failure invalidates an earlier "no standby".
    private async Task<bool> Confirmed(INodes nodes, NpgsqlConnection connection, long askedAt)
    {
        try
        {
            return await nodes.Confirm(connection, CancellationToken.None);
        }
        catch
        {
            Learn(new(ServerAddress.Of(connection), HasStandby: true, nodes, askedAt));
            throw;
        }
    }

    // Answers may arrive out of order; the answer to the latest question wins.
    private void Learn(Server answer)
    {
        lock (_learning)
        {
            if (answer.AskedAt >= _server.AskedAt)
                _server = answer;
        }
    }

    /// <summary>The latest knowledge about the server.</summary>
    /// <param name="Address">The server.</param>
    /// <param name="HasStandby">
    /// True if it or another node names synchronous standbys, or while this is unknown.
    /// </param>
    /// <param name="Nodes">The nodes of the server; null until the server has been asked.</param>
    /// <param name="AskedAt">A time stamp from before the question.</param>
    private sealed record Server(ServerAddress Address, bool HasStandby, INodes? Nodes, long AskedAt);
}
