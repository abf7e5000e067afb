using System.Data.Common;
using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace CancelService.Infrastructure.Servers;

/// <summary>
/// The nodes of a Citus cluster. Each node has its own log and its own standbys, and Citus does not pass on the warning
/// of a node whose wait for its standby was cancelled. So <see cref="Confirm"/> commits a record on every node that
/// names synchronous standbys, and then asks that node whether they have the record.
/// </summary>
internal sealed class CitusCluster : INodes
{
    // The record's position in the node's log; empty without a synchronous standby.
    private const string Records = """
        SELECT n.nodename, n.nodeport, r.success, coalesce(r.result, '')
        FROM run_command_on_all_nodes($node$
            SELECT CASE WHEN current_setting('synchronous_standby_names') <> ''
                THEN pg_logical_emit_message(true, 'cancelservice', 'barrier')::text ELSE '' END
            $node$) AS r
        JOIN pg_dist_node AS n USING (nodeid)
        """;

    private const string Confirmations = "SELECT success AND result = 't' FROM master_run_on_worker($1, $2, $3, true)";

    // Nodes that last reported no synchronous standby. Such a node may be down: no standby can be promoted instead of
    // it, and its commits stay on its own disk. Barriers run one at a time, so the set needs no lock.
    private readonly HashSet<(string Name, int Port)> _withoutStandby = [];

    /// <inheritdoc/>
    public bool PassOnWarnings => false;

    /// <inheritdoc/>
    public bool ScatterQueries => true;

    /// <summary>
    /// Settings of a transaction that changes tables. The bound of waits for locks holds on every node. The nodes
    /// change one after the other, so that later statements of the transaction see the effect of earlier ones.
    /// </summary>
    public string MigrationSettings =>
        "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL citus.multi_shard_modify_mode = 'sequential'; "
        + SingleServer.LockTimeout;

    /// <summary>
    /// Settings of a snapshot: a single connection per node makes all reads of a node see one instant.
    /// </summary>
    public string SnapshotSettings =>
        "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL citus.max_adaptive_executor_pool_size = 1; ";

    /// <inheritdoc/>
    public void Configure(DbContextOptionsBuilder migrations) =>
        migrations.ReplaceService<IMigrationsSqlGenerator, DistributedMigrations>();

    /// <inheritdoc/>
    public async Task<bool> Confirm(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var records = new List<(string Name, int Port, string Position)>();
        await using (var command = new NpgsqlCommand(Records, connection))
        await using (var rows = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await rows.ReadAsync(cancellationToken))
                if (Position(rows) is { Length: > 0 } position)
                    records.Add((rows.GetString(0), rows.GetInt32(1), position));
        }
        if (records.Count == 0)
            return false;

        await using var confirmations = new NpgsqlCommand(Confirmations, connection);
        confirmations.Parameters.Add(new NpgsqlParameter { Value = records.Select(r => r.Name).ToArray() });
        confirmations.Parameters.Add(new NpgsqlParameter { Value = records.Select(r => r.Port).ToArray() });
        confirmations.Parameters.Add(
            new NpgsqlParameter { Value = records.Select(r => StandbysHave(r.Position)).ToArray() }
        );
        await using var confirmed = await confirmations.ExecuteReaderAsync(cancellationToken);
        while (await confirmed.ReadAsync(cancellationToken))
            if (!confirmed.GetBoolean(0))
                throw new UnconfirmedCommitException(
                    "The synchronous standbys of a node lack a commit, or the role is no member of pg_monitor.",
                    PostgresErrorCodes.QueryCanceled
                );
        return true;
    }

    private string Position(DbDataReader row)
    {
        var node = (row.GetString(0), row.GetInt32(1));
        var position = row.GetString(3);
        if (row.GetBoolean(2))
        {
            if (position.Length > 0)
                _withoutStandby.Remove(node);
            else
                _withoutStandby.Add(node);
            return position;
        }
        return _withoutStandby.Contains(node)
            ? ""
            : throw new UnconfirmedCommitException(
                string.Create(CultureInfo.InvariantCulture, $"The node {node.Item1}:{node.Item2} does not answer."),
                PostgresErrorCodes.ConnectionFailure
            );
    }

    // Counts the standbys that the setting requires: "a, b", "2 (a, b)", "FIRST 2 (a, b)" or "ANY 2 (a, b)".
    private static string StandbysHave(string position) =>
        $"""
            SELECT count(*) >= coalesce(
                substring(lower(current_setting('synchronous_standby_names'))
                    FROM '^\s*(?:any\s+|first\s+)?(\d+)\s*\(')::int, 1)
            FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND write_lsn >= '{position}'
            """;
}
