using System.Data;
using System.Data.Common;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Sandbox;

/// <summary>What goes wrong in a wallet, on demand and for some seconds, so that a merchant's client can be tried against it.</summary>
internal sealed class Scenarios(Database database, TimeProvider time, IHostApplicationLifetime lifetime)
{
    /// <summary>The longest that one goes on.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    // SQLite's one writer, or PostgreSQL's tables, are asked for no longer than this.
    private const int LockSeconds = 5;

    private int _stalls;
    private long _turnsAwayUntil;

    /// <summary>
    /// Holds a lock that stops every write for this time. A cancel that has to write is answered UNKNOWN_EXCEPTION after
    /// Database:Timeout. Returns when the lock is held; false when an earlier stall still goes on.
    /// </summary>
    public async Task<bool> Stall(TimeSpan duration, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _stalls, 1) == 1)
            return false;
        var db = database.CreateContext();
        try
        {
            await db.Database.OpenConnectionAsync(cancellationToken);
            var held = await Lock(db, cancellationToken);
            _ = Task.Run(() => End(db, held, duration), CancellationToken.None);
            return true;
        }
        catch
        {
            await db.DisposeAsync();
            Volatile.Write(ref _stalls, 0);
            throw;
        }
    }

    /// <summary>Turns every cancel away for so long, with 503, as an instance with too much to do.</summary>
    public void TurnAway(TimeSpan duration) =>
        Interlocked.Exchange(
            ref _turnsAwayUntil,
            time.GetTimestamp() + (long)(duration.TotalSeconds * time.TimestampFrequency)
        );

    /// <summary>Has a request answered, or turns it away.</summary>
    public Task Respond(HttpContext http, RequestDelegate respond)
    {
        if (time.GetTimestamp() >= Interlocked.Read(ref _turnsAwayUntil))
            return respond(http);
        http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        http.Response.Headers.RetryAfter = "1";
        return Task.CompletedTask;
    }

    private static async Task<DbTransaction> Lock(CancelDbContext db, CancellationToken cancellationToken)
    {
        var connection = db.Database.GetDbConnection();
        if (connection is SqliteConnection sqlite)
        {
            sqlite.DefaultTimeout = LockSeconds;
            return sqlite.BeginTransaction(deferred: false);
        }
        var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        var tables = db.Model.GetEntityTypes().Select(entity => entity.GetTableName()).Distinct(StringComparer.Ordinal);
        await using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText =
            $"SET LOCAL lock_timeout = '{LockSeconds}s'; LOCK TABLE {string.Join(", ", tables)} IN EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(cancellationToken);
        return transaction;
    }

    private async Task End(CancelDbContext db, DbTransaction held, TimeSpan duration)
    {
        await Task.Delay(duration, lifetime.ApplicationStopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await held.DisposeAsync();
            await db.DisposeAsync();
        }
        finally
        {
            Volatile.Write(ref _stalls, 0);
        }
    }
}
