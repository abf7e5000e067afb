using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;
using SQLitePCL;

namespace CancelService.Infrastructure.Persistence;

/// <summary>A commit that is answered must survive a power cut; SQLite forgets the setting with each connection.</summary>
internal sealed class SqliteDurability : DbConnectionInterceptor
{
    public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
    {
        using var pragma = connection.CreateCommand();
        pragma.CommandText = "PRAGMA synchronous = FULL";
        pragma.ExecuteNonQuery();
    }

    public override Task ConnectionOpenedAsync(
        DbConnection connection,
        ConnectionEndEventData eventData,
        CancellationToken cancellationToken = default
    )
    {
        ConnectionOpened(connection, eventData);
        return Task.CompletedTask;
    }
}

/// <summary>
/// Gives each query a command of its own. A connection of Npgsql keeps its last command for the next query. When sending that
/// command fails while one of its statements is being prepared, the mark of that stays on it, and the next connection is told to
/// prepare the statement again, which the server refuses (42P05), from then on for as long as the connection lives.
/// </summary>
internal sealed class FreshCommands : DbCommandInterceptor
{
    public override InterceptionResult<DbCommand> CommandCreating(
        CommandCorrelatedEventData eventData,
        InterceptionResult<DbCommand> result
    ) =>
        InterceptionResult<DbCommand>.SuppressWithResult(
            new NpgsqlCommand(null, (NpgsqlConnection)eventData.Connection)
        );
}

/// <summary>
/// Notices that the server behind a pooled connection can't serve writes any more: it was demoted, made read-only, or is
/// shutting down. The other pooled connections lead to the same server, so the whole pool is cleared.
/// </summary>
internal sealed class StaleConnections(Action clear) : DbCommandInterceptor
{
    /// <summary>Clears the pool if a failure says that its connections are of no use.</summary>
    public void Heed(Exception failure)
    {
        var isStale = failure switch
        {
            PostgresException e => e.SqlState
                is PostgresErrorCodes.ReadOnlySqlTransaction
                    or PostgresErrorCodes.AdminShutdown
                    or PostgresErrorCodes.CrashShutdown
                    or PostgresErrorCodes.CannotConnectNow,
            OtherServerException => true,
            SqliteException e => e.SqliteErrorCode == raw.SQLITE_READONLY,
            _ => false,
        };
        if (isStale)
            clear();
    }

    /// <inheritdoc/>
    public override Task CommandFailedAsync(
        DbCommand command,
        CommandErrorEventData eventData,
        CancellationToken cancellationToken = default
    )
    {
        Heed(eventData.Exception);
        return Task.CompletedTask;
    }
}

/// <summary>
/// A statement that changes a table waits two seconds for its lock, and then gives up, because everyone who needs the table
/// queues behind it. The limit ends with the transaction, so that it does not stay on a pooled connection, ours or a
/// proxy's. Of a distributed schema the limit holds on every node, and the nodes are changed one after the other, so that
/// later statements of the transaction see what earlier ones did.
/// </summary>
internal sealed class LimitedLocks(bool isDistributed) : DbTransactionInterceptor
{
    /// <inheritdoc/>
    public override async ValueTask<DbTransaction> TransactionStartedAsync(
        DbConnection connection,
        TransactionEndEventData eventData,
        DbTransaction result,
        CancellationToken cancellationToken = default
    )
    {
        await using var command = connection.CreateCommand();
        command.CommandText = isDistributed
            ? "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL citus.multi_shard_modify_mode = 'sequential'; "
                + "SET LOCAL lock_timeout = '2s'"
            : "SET LOCAL lock_timeout = '2s'";
        command.Transaction = result;
        await command.ExecuteNonQueryAsync(cancellationToken);
        return result;
    }
}
