using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// Statements that take effect all together or not at all. On PostgreSQL they are one round trip that holds the whole
/// transaction, from BEGIN to COMMIT; on SQLite they are one immediate transaction. The values of a statement are its
/// parameters <c>$1</c>, <c>$2</c>, and so on.
/// </summary>
/// <remarks>On PostgreSQL no command is used again, for the reason that <see cref="FreshCommands"/> gives.</remarks>
internal sealed class AtomicBatch
{
    // SQLite has one writer at a time. Queueing here is fair, and cheaper than SQLite's own retries.
    private static readonly SemaphoreSlim SqliteWriter = new(1, 1);

    private readonly List<(string Sql, object?[] Values)> _statements = [];

    /// <summary>The statements, in their order.</summary>
    public IReadOnlyList<(string Sql, object?[] Values)> Statements => _statements;

    public AtomicBatch Add(string sql, params object?[] values)
    {
        _statements.Add((sql, values));
        return this;
    }

    /// <summary>Adds the statements of another batch.</summary>
    public void Add(AtomicBatch other) => _statements.AddRange(other._statements);

    /// <summary>Executes the batch on an open connection: the number of rows written.</summary>
    public Task<int> Execute(DbConnection connection, CancellationToken cancellationToken) =>
        connection is NpgsqlConnection postgres
            ? InOneTrip(postgres, cancellationToken)
            : OneByOne(connection, cancellationToken);

    /// <summary>Executes the batch's one statement, which writes and returns rows (<c>RETURNING</c>).</summary>
    public async Task<List<T>> Read<T>(
        DbConnection connection,
        Func<DbDataReader, T> row,
        CancellationToken cancellationToken
    )
    {
        var (sql, values) = _statements.Single();
        var sqlite = connection is SqliteConnection;
        if (sqlite)
            await SqliteWriter.WaitAsync(cancellationToken);
        try
        {
            await using var command = connection is NpgsqlConnection postgres
                ? new NpgsqlCommand(null, postgres)
                : connection.CreateCommand();
            command.CommandText = sql;
            for (var i = 0; i < values.Length; i++)
                command.Parameters.Add(sqlite ? SqliteValue(i, values[i]) : PostgresValue(values[i]));
            var rows = new List<T>();
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                rows.Add(row(reader));
            return rows;
        }
        finally
        {
            if (sqlite)
                SqliteWriter.Release();
        }
    }

    private async Task<int> InOneTrip(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        // The text opens the transaction itself. PostgreSQL would run the batch as one transaction anyway; a coordinator
        // that distributes statements, or a proxy that assigns each to a connection, would not.
        var isOneStatement = _statements is [_];
        if (!isOneStatement)
            batch.BatchCommands.Add(new NpgsqlBatchCommand("BEGIN"));
        foreach (var (sql, values) in _statements)
        {
            var command = new NpgsqlBatchCommand(sql);
            foreach (var value in values)
                command.Parameters.Add(PostgresValue(value));
            batch.BatchCommands.Add(command);
        }
        if (!isOneStatement)
            batch.BatchCommands.Add(new NpgsqlBatchCommand("COMMIT"));
        return await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<int> OneByOne(DbConnection connection, CancellationToken cancellationToken)
    {
        await SqliteWriter.WaitAsync(cancellationToken);
        try
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            var written = 0;
            foreach (var (sql, values) in _statements)
            {
                await using var command = connection.CreateCommand();
                command.CommandText = sql;
                command.Transaction = transaction;
                for (var i = 0; i < values.Length; i++)
                    command.Parameters.Add(SqliteValue(i, values[i]));
                written += await command.ExecuteNonQueryAsync(cancellationToken);
            }
            await transaction.CommitAsync(cancellationToken);
            return written;
        }
        finally
        {
            SqliteWriter.Release();
        }
    }

    private static NpgsqlParameter PostgresValue(object? value) => new() { Value = value ?? DBNull.Value };

    private static SqliteParameter SqliteValue(int index, object? value) =>
        new(
            $"${index + 1}",
            (value is DateTimeOffset time ? SqliteDbContext.Microseconds(time) : value) ?? DBNull.Value
        );
}
