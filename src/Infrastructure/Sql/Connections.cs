using System.Data.Common;
using CancelService.Infrastructure.Servers;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;
using SQLitePCL;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// Makes each commit on SQLite durable, because an answered commit must survive a power cut. SQLite keeps the setting
/// per connection.
/// </summary>
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
/// Creates a new command for each query. A connection of Npgsql caches its last command for the next query. A send that
/// fails during the preparation of a statement leaves a mark on that command. A later connection would then prepare the
/// statement twice, and its server would refuse it (42P05) for as long as the connection lives.
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
/// Clears the pool after a failure that says that the server can't serve writes any more: it was demoted, made
/// read-only, or is shutting down. The other pooled connections lead to the same server.
/// </summary>
internal sealed class StaleConnections(Action clear) : DbCommandInterceptor
{
    /// <summary>Clears the pool if the failure shows that its connections are stale.</summary>
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
/// Bounds the waits of migrations for locks. A statement that changes a table gives up after two seconds, because every
/// other user of the table queues behind it. The limit ends with the transaction, so that it does not stay on a pooled
/// connection, ours or a proxy's.
/// </summary>
internal sealed class LimitedLocks(INodes nodes) : DbTransactionInterceptor
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
        command.CommandText = nodes.MigrationSettings;
        command.Transaction = result;
        await command.ExecuteNonQueryAsync(cancellationToken);
        return result;
    }
}
