using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// Statements that take effect together or not at all. On PostgreSQL one round trip holds the whole transaction, from
/// BEGIN to COMMIT; on SQLite they form one immediate transaction. The values of a statement are its parameters
/// <c>$1</c>, <c>$2</c>, and so on.
/// </summary>
/// <remarks>No command is reused on PostgreSQL, for the reason that <see cref="FreshCommands"/> gives.</remarks>
internal sealed class AtomicBatch
{
    // SQLite allows one writer at a time. This queue is fair, and cheaper than SQLite's own retries.
    private static readonly SemaphoreSlim SqliteWriter = new(1, 1);

    private readonly List<(string Sql, object?[] Values)> _statements = [];

    /// <summary>The statements with their values, in order.</summary>
    public IReadOnlyList<(string Sql, object?[] Values)> Statements => _statements;

    /// <summary>Adds a statement.</summary>
    public AtomicBatch Add(string sql, params object?[] values)
    {
        _statements.Add((sql, values));
        return this;
    }

    /// <summary>Adds the statements of another batch.</summary>
    public void Add(AtomicBatch other) => _statements.AddRange(other._statements);

    /// <summary>Executes the batch on an open connection and returns the number of rows written.</summary>
    public Task<int> Execute(
        DbConnection connection,
        WritePrecondition? precondition,
        CancellationToken cancellationToken
    ) =>
        connection is NpgsqlConnection postgres
            ? InOneTrip(postgres, precondition, cancellationToken)
            : OneByOne(connection, precondition, cancellationToken);

    /// <summary>Executes the batch's only statement, which writes rows and returns them (<c>RETURNING</c>).</summary>
    public async Task<List<T>> Read<T>(
        DbConnection connection,
        WritePrecondition? precondition,
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
            // A single statement is a transaction of its own; a precondition needs an explicit one.
            await using var transaction = precondition is null
                ? null
                : await connection.BeginTransactionAsync(cancellationToken);
            if (precondition is not null)
                await Check(precondition, connection, transaction!, cancellationToken);
            var rows = new List<T>();
            await using (
                var command = connection is NpgsqlConnection postgres
                    ? new NpgsqlCommand(null, postgres)
                    : connection.CreateCommand()
            )
            {
                command.CommandText = sql;
                command.Transaction = transaction;
                for (var i = 0; i < values.Length; i++)
                    command.Parameters.Add(sqlite ? SqliteValue(i, values[i]) : PostgresValue(values[i]));
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                while (await reader.ReadAsync(cancellationToken))
                    rows.Add(row(reader));
            }
            if (transaction is not null)
                await transaction.CommitAsync(cancellationToken);
            return rows;
        }
        finally
        {
            if (sqlite)
                SqliteWriter.Release();
        }
    }

    private async Task<int> InOneTrip(
        NpgsqlConnection connection,
        WritePrecondition? precondition,
        CancellationToken cancellationToken
    )
    {
        await using var batch = new NpgsqlBatch(connection);
        // An explicit transaction: PostgreSQL would run the batch as one transaction anyway, but neither would a
        // coordinator that distributes statements, nor a proxy that assigns each to a connection.
        var isOneStatement = _statements is [_] && precondition is null;
        if (!isOneStatement)
            batch.BatchCommands.Add(new NpgsqlBatchCommand("BEGIN"));
        if (precondition is not null)
            batch.BatchCommands.Add(new NpgsqlBatchCommand(precondition.Sql));
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

    private async Task<int> OneByOne(
        DbConnection connection,
        WritePrecondition? precondition,
        CancellationToken cancellationToken
    )
    {
        await SqliteWriter.WaitAsync(cancellationToken);
        try
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            if (precondition is not null)
                await Check(precondition, connection, transaction, cancellationToken);
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

    private static async Task Check(
        WritePrecondition precondition,
        DbConnection connection,
        DbTransaction transaction,
        CancellationToken cancellationToken
    )
    {
        await using var command = connection.CreateCommand();
        command.CommandText = precondition.Sql;
        command.Transaction = transaction;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static NpgsqlParameter PostgresValue(object? value) => new() { Value = value ?? DBNull.Value };

    private static SqliteParameter SqliteValue(int index, object? value) =>
        new(
            $"${index + 1}",
            (value is DateTimeOffset time ? SqliteDbContext.Microseconds(time) : value) ?? DBNull.Value
        );
}
