using System.Data.Common;
using System.Globalization;
using Npgsql;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// The <see cref="Barrier"/> on the nodes of Citus. Each node has a log and standbys of its own, and Citus does not pass on the
/// warning of a node whose wait for its standby was cancelled. So this commits a record on every node whose server names
/// synchronous standbys, and then asks that server whether they have it.
/// </summary>
internal sealed class NodesBarrier
{
    // The place of the record in the node's log, or nothing where there is no synchronous standby.
    private const string Records = """
        SELECT n.nodename, n.nodeport, r.success, coalesce(r.result, '')
        FROM run_command_on_all_nodes($node$
            SELECT CASE WHEN current_setting('synchronous_standby_names') <> ''
                THEN pg_logical_emit_message(true, 'cancelservice', 'barrier')::text ELSE '' END
            $node$) AS r
        JOIN pg_dist_node AS n USING (nodeid)
        """;

    private const string Confirmations = "SELECT success AND result = 't' FROM master_run_on_worker($1, $2, $3, true)";

    // Nodes that last said that they have no synchronous standby. Nobody can be promoted in place of such a node, so it may be
    // away: its commits stay on its own disk. One barrier at a time uses this set.
    private readonly HashSet<(string Name, int Port)> _withoutStandby = [];

    /// <summary>
    /// Waits until the synchronous standbys of every node have what was visible before. Returns whether any node has one.
    /// </summary>
    /// <exception cref="UnconfirmedCommitException">This is not known of a node.</exception>
    public async Task<bool> Pass(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var records = new List<(string Name, int Port, string Place)>();
        await using (var command = new NpgsqlCommand(Records, connection))
        await using (var rows = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await rows.ReadAsync(cancellationToken))
                if (Place(rows) is { Length: > 0 } place)
                    records.Add((rows.GetString(0), rows.GetInt32(1), place));
        }
        if (records.Count == 0)
            return false;

        await using var confirmations = new NpgsqlCommand(Confirmations, connection);
        confirmations.Parameters.Add(new NpgsqlParameter { Value = records.Select(r => r.Name).ToArray() });
        confirmations.Parameters.Add(new NpgsqlParameter { Value = records.Select(r => r.Port).ToArray() });
        confirmations.Parameters.Add(
            new NpgsqlParameter { Value = records.Select(r => StandbysHave(r.Place)).ToArray() }
        );
        await using var confirmed = await confirmations.ExecuteReaderAsync(cancellationToken);
        while (await confirmed.ReadAsync(cancellationToken))
            if (!confirmed.GetBoolean(0))
                throw new UnconfirmedCommitException(
                    "A node's synchronous standbys do not have what was read, or the role is not one of pg_monitor.",
                    PostgresErrorCodes.QueryCanceled
                );
        return true;
    }

    private string Place(DbDataReader row)
    {
        var node = (row.GetString(0), row.GetInt32(1));
        var place = row.GetString(3);
        if (row.GetBoolean(2))
        {
            if (place.Length > 0)
                _withoutStandby.Remove(node);
            else
                _withoutStandby.Add(node);
            return place;
        }
        return _withoutStandby.Contains(node)
            ? ""
            : throw new UnconfirmedCommitException(
                string.Create(CultureInfo.InvariantCulture, $"The node {node.Item1}:{node.Item2} does not answer."),
                PostgresErrorCodes.ConnectionFailure
            );
    }

    // As many standbys as the setting asks for: "a, b", "2 (a, b)", "FIRST 2 (a, b)" or "ANY 2 (a, b)".
    private static string StandbysHave(string place) =>
        $"""
            SELECT count(*) >= coalesce(
                substring(lower(current_setting('synchronous_standby_names')) FROM '^\s*(?:any\s+|first\s+)?(\d+)\s*\(')::int, 1)
            FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND write_lsn >= '{place}'
            """;
}
