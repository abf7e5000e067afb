using Npgsql;

namespace CancelService.Harness;

/// <summary>Connection strings to the nodes of an existing Citus cluster: the coordinator, then its workers.</summary>
public static class CitusNodes
{
    /// <summary>Queries a coordinator for its workers; they share its credentials.</summary>
    public static async Task<IReadOnlyList<string>> Of(string coordinator)
    {
        await using var connection = new NpgsqlConnection(coordinator);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 AND noderole = 'primary' ORDER BY nodeid",
            connection
        );
        var nodes = new List<string> { coordinator };
        await using var rows = await command.ExecuteReaderAsync();
        while (await rows.ReadAsync())
            nodes.Add(
                new NpgsqlConnectionStringBuilder(coordinator)
                {
                    Host = rows.GetString(0),
                    Port = rows.GetInt32(1),
                }.ConnectionString
            );
        return nodes;
    }

    /// <summary>Turns a database that exists on every node into a Citus cluster of its own.</summary>
    public static async Task Join(IReadOnlyList<string> nodes, string database)
    {
        foreach (var node in nodes)
            await Execute(node, database, "CREATE EXTENSION citus");
        var coordinator = new NpgsqlConnectionStringBuilder(nodes[0]);
        await Execute(
            nodes[0],
            database,
            $"SELECT citus_set_coordinator_host('{coordinator.Host}', {coordinator.Port})"
        );
        foreach (var worker in nodes.Skip(1).Select(node => new NpgsqlConnectionStringBuilder(node)))
            await Execute(nodes[0], database, $"SELECT citus_add_node('{worker.Host}', {worker.Port})");
    }

    /// <summary>Executes a statement in a database of one node.</summary>
    public static async Task Execute(string node, string database, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(node) { Database = database, Pooling = false }.ConnectionString
        );
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
        await command.ExecuteNonQueryAsync();
    }
}
