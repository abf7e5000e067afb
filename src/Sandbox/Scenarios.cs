using System.Data;
using System.Data.Common;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Sandbox;

/// <summary>Faults of a wallet, on demand and for seconds, for developers whose client has to bear them.</summary>
internal sealed class Scenarios(Database database, IHostApplicationLifetime lifetime)
{
    /// <summary>The longest duration of a fault.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    // The longest wait for SQLite's one writer, or for PostgreSQL's tables.
    private const int LockSeconds = 5;

    // Durations go by the machine's clock: the sandbox's own is put ahead.
    private static readonly TimeProvider Machine = TimeProvider.System;

    private CancellationTokenSource? _stall;
    private long _stallsUntil;
    private long _turnsAwayUntil;

    /// <summary>How long the stall under way still takes; zero without one.</summary>
    public TimeSpan StallLeft => Volatile.Read(ref _stall) is null ? TimeSpan.Zero : Left(ref _stallsUntil);

    /// <summary>How long cancels are still turned away; zero when they are not.</summary>
    public TimeSpan TurnAwayLeft => Left(ref _turnsAwayUntil);

    /// <summary>
    /// Holds a lock that stops every write for this time. A cancel that has to write is answered UNKNOWN_EXCEPTION
    /// after Database:Timeout. Returns when the lock is held; false when an earlier stall still goes on.
    /// </summary>
    /// <exception cref="DbException">The lock was not to be had, or the database is not the sandbox's own.</exception>
    public async Task<bool> Stall(TimeSpan duration, CancellationToken cancellationToken)
    {
        var ending = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
        if (Interlocked.CompareExchange(ref _stall, ending, null) is not null)
        {
            ending.Dispose();
            return false;
        }
        var db = database.CreateContext();
        try
        {
            await db.Database.OpenConnectionAsync(cancellationToken);
            var held = await Lock(db, cancellationToken);
            Put(ref _stallsUntil, duration);
            _ = Task.Run(() => End(db, held, duration, ending), CancellationToken.None);
            return true;
        }
        catch
        {
            await db.DisposeAsync();
            Volatile.Write(ref _stall, null);
            ending.Dispose();
            throw;
        }
    }

    /// <summary>Turns every cancel away for this time with 503, as an overloaded instance does.</summary>
    public void TurnAway(TimeSpan duration) => Put(ref _turnsAwayUntil, duration);

    /// <summary>Ends a stall and the turning away before their time.</summary>
    public void End()
    {
        Interlocked.Exchange(ref _turnsAwayUntil, 0);
        try
        {
            Volatile.Read(ref _stall)?.Cancel();
        }
        catch (ObjectDisposedException) { } // The stall has just ended by itself.
    }

    /// <summary>Passes a request on, or turns it away.</summary>
    public Task Respond(HttpContext http, RequestDelegate respond)
    {
        if (TurnAwayLeft == TimeSpan.Zero)
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
            var writer = sqlite.BeginTransaction(deferred: false);
            await SandboxDatabase.Require(connection, writer, cancellationToken);
            return writer;
        }
        var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        await SandboxDatabase.Require(connection, transaction, cancellationToken);
        var tables = db.Model.GetEntityTypes().Select(entity => entity.GetTableName()).Distinct(StringComparer.Ordinal);
        await using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText =
            $"SET LOCAL lock_timeout = '{LockSeconds}s'; LOCK TABLE {string.Join(", ", tables)} IN EXCLUSIVE MODE";
        await command.ExecuteNonQueryAsync(cancellationToken);
        return transaction;
    }

    private async Task End(CancelDbContext db, DbTransaction held, TimeSpan duration, CancellationTokenSource ending)
    {
        await Task.Delay(duration, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await held.DisposeAsync();
            await db.DisposeAsync();
        }
        finally
        {
            Volatile.Write(ref _stall, null);
            ending.Dispose();
        }
    }

    private static void Put(ref long until, TimeSpan duration) =>
        Interlocked.Exchange(
            ref until,
            Machine.GetTimestamp() + (long)(duration.TotalSeconds * Machine.TimestampFrequency)
        );

    private static TimeSpan Left(ref long until)
    {
        var (now, end) = (Machine.GetTimestamp(), Interlocked.Read(ref until));
        return end > now ? Machine.GetElapsedTime(now, end) : TimeSpan.Zero;
    }
}
