using System.Globalization;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: database sessions are durable, time-limited, and read on one snapshot where one answer needs two reads.
/// </summary>
public sealed class SessionTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Goal: an answered commit survives a power cut: every SQLite connection flushes to disk.</summary>
    [Fact]
    public async Task SQLite_connections_are_durable_and_check_foreign_keys()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        await using var first = host.Db();
        await using var second = host.Db(); // Open at the same time, so it is a second connection.
        foreach (var db in (CancelDbContext[])[first, second])
        {
            await db.Database.OpenConnectionAsync(Token);
            (await Pragma(db, "synchronous")).ShouldBe(2); // FULL
            (await Pragma(db, "foreign_keys")).ShouldBe(1);
        }

        static async Task<long> Pragma(CancelDbContext db, string name)
        {
            await using var command = db.Database.GetDbConnection().CreateCommand();
            command.CommandText = $"PRAGMA {name}";
            return Convert.ToInt64(await command.ExecuteScalarAsync(Token), CultureInfo.InvariantCulture);
        }
    }

    /// <summary>
    /// Goal: a statement times out by itself. A request gives up after Database:Timeout, but its group's work goes on
    /// and would keep its connection as long as another transaction holds the lock.
    /// </summary>
    [Theory]
    [InlineData("find")]
    [InlineData("commit")]
    public async Task Statement_times_out_although_its_caller_keeps_waiting(string what)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:01");
        var client = await host.AddClient();
        var payment = await host.AddPayment(client, State.Success);
        var change = ((CancelDecision.Cancelled)payment.Cancel(CancelWindow.Usual, State.Amount, host.Now)).Change;
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE payments IN ACCESS EXCLUSIVE MODE"
        );

        Task work = what == "find" ? host.Find(client) : host.Commit(payment, change, "{}");
        var failure = await Record.ExceptionAsync(() => work.WaitAsync(TimeSpan.FromSeconds(30), Token));

        (failure is InvalidOperationException ? failure.InnerException : failure).ShouldBeOfType<NpgsqlException>();
    }

    [Fact]
    public async Task Serving_sessions_do_not_inherit_the_timeouts_of_a_migration()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        await host.Services.GetRequiredService<Database>().Migrate(createDatabase: false, Token);

        await using var db = host.Db();
        (await db.Database.SqlQueryRaw<string>("SHOW lock_timeout").ToListAsync(Token)).ShouldBe(["0"]);
    }

    [Fact]
    public async Task Payment_and_history_are_read_on_one_snapshot()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:30");
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE payment_history IN ACCESS EXCLUSIVE MODE"
        );

        // The payment has been read and its history is locked; now the payment changes.
        var reading = host.Call("GET", $"/clients/{client.Id}/payments/p1");
        await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(1L);
        await held.Execute(
            """
            UPDATE payments SET status = 'FAILED', version = 2;
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status)
            SELECT client_id, payment_id, 2, 'FAIL', 'core', now(), 'PROCESSING', 'FAILED' FROM payments;
            COMMIT
            """
        );

        var read = (await reading).ShouldBe(200);
        // Citus takes its snapshot after acquiring the lock, so both reads may see the change.
        var version = read.Json.GetProperty("payment").GetProperty("version").GetInt32();
        read.Json.GetProperty("history").GetArrayLength().ShouldBe(version);
        if (!PostgresServer.IsDistributed)
            version.ShouldBe(1);
    }
}
