using Npgsql;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>A concurrent transaction that holds locks until it is released or disposed.</summary>
internal sealed class HeldLock : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;

    private HeldLock(NpgsqlConnection connection) => _connection = connection;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task<HeldLock> Take(string connectionString, string sql)
    {
        var held = new HeldLock(new NpgsqlConnection(connectionString));
        await held._connection.OpenAsync(Token);
        await held.Execute($"BEGIN; {sql}");
        return held;
    }

    /// <summary>Executes SQL inside the transaction.</summary>
    public async Task Execute(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _connection);
        await command.ExecuteNonQueryAsync(Token);
    }

    public Task Release() => Execute("ROLLBACK");

    /// <summary>Counts the database's sessions that are waiting for a lock, on every node.</summary>
    public static Task<long> Awaited(TestHost host) => Awaited(host.ConnectionString, "%");

    /// <summary>Counts the sessions that are waiting for a lock in a statement that matches the LIKE pattern.</summary>
    public static async Task<long> Awaited(string connectionString, string statement)
    {
        var waiting = $"""
            SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '{statement}'
            """;
        // Uses a separate connection: inside a transaction PostgreSQL returns the activity as of the first look.
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(
            PostgresServer.IsDistributed
                ? $"SELECT sum(result::bigint)::bigint FROM run_command_on_all_nodes($node${waiting}$node$)"
                : waiting,
            connection
        );
        return (long)(await command.ExecuteScalarAsync(Token))!;
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
