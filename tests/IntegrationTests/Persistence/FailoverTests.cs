using System.Net;
using CancelService.Application.Payments;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// A primary with a synchronous standby: nothing is said to have happened that a promotion takes back, and the instance finds
/// the server that takes writes.
/// </summary>
public sealed class FailoverTests(PostgresServer postgres)
{
    private const string Timeout = "--Database:Timeout=00:00:01";

    [Fact]
    public async Task What_no_standby_has_is_not_told_and_the_promoted_standby_serves()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.Either);
        await using var host = await TestHost.Start(database, settings: Timeout);
        var client = await host.AddClient();
        await host.Post(client, State.Amount);
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");
        var told = await host.Cancel(client, """{"paymentId":"p2"}""");
        told.Code.ShouldBe("SUCCESS");

        await pair.Cut();
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        // The wait for the standby was given up, so the primary shows a cancellation that only it has.
        await pair.Until("SELECT count(*) = 1 FROM payment_history WHERE payment_id = 'p1' AND action = 'CANCEL'");
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await host.Call("GET", $"/clients/{client.Id}/payments/p1")).Status.ShouldBe(503);
        (await host.Call("GET", $"/clients/{client.Id}/cancellations")).Status.ShouldBe(503);
        (await host.Call("GET", $"/clients/{client.Id}/accounts/USD")).Status.ShouldBe(503);

        await pair.KillFirst();
        await pair.Promote();
        await host.Ready();
        (await host.Find(client)).ShouldNotBeNull().Payment.Status.ShouldBe(PaymentStatus.Success);
        var answer = await host.Cancel(client);
        answer.Code.ShouldBe("SUCCESS");
        (await host.Cancel(client)).Body.ShouldBe(answer.Body);
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Body.ShouldBe(told.Body);
        (await host.Rows(client)).Cancellations.ShouldBe(1);
        (await host.Balance(client)).ShouldBe(State.Amount);
    }

    [Fact]
    public async Task A_commit_whose_wait_for_the_standby_is_cancelled_is_answered_U_until_the_standby_has_it()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(database, settings: "--Database:Timeout=00:00:30");
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);

        await pair.Cut();
        var answer = host.Cancel(client);
        await CancelWaits(pair, answer);
        (await answer).Code.ShouldBe("UNKNOWN_EXCEPTION");
        var repeat = host.Cancel(client);
        await CancelWaits(pair, repeat);
        (await repeat).Code.ShouldBe("UNKNOWN_EXCEPTION");

        var last = host.Cancel(client);
        await pair.Until("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        await pair.Mend();
        (await last).Code.ShouldBe("SUCCESS");
        (await host.Rows(client)).Cancellations.ShouldBe(1);
    }

    [Fact]
    public async Task Payment_read_to_tell_anything_waits_for_the_standby_although_it_is_not_cancelled()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(database, settings: "--Database:Timeout=00:00:30");
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);

        await pair.Cut();
        (await host.Find(client)).ShouldNotBeNull().Payment.Status.ShouldBe(PaymentStatus.Success);
        var told = host.Find(client, telling: Telling.Anything);
        await pair.Until("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        told.IsCompleted.ShouldBeFalse();
        await pair.Mend();
        (await told).ShouldNotBeNull().Payment.Status.ShouldBe(PaymentStatus.Success);
    }

    [Fact]
    public async Task Repeats_that_come_together_share_the_standbys_confirmation()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var network = new TcpForwarder(pair.First);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                TcpForwarder.Setting(pair.First, network.Port),
                "--Database:Timeout=00:00:30",
                "--Clients:CacheTime=00:01:00",
            ]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        var body = (await host.Cancel(client)).Body;

        await pair.Cut();
        var before = network.Statements;
        var repeats = Enumerable.Range(0, 20).Select(_ => host.Cancel(client)).ToList();
        // Each is found, and one confirmation is under way.
        await TestHost.Until(() => Task.FromResult(network.Statements - before)).Becomes(20 + 1);
        await pair.Until("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        await pair.Mend();

        foreach (var repeat in repeats)
            (await repeat).Body.ShouldBe(body);
        (network.Statements - before).ShouldBe(20 + 2);
    }

    /// <summary>
    /// Goal: that there is no standby is known for a second only, and not at all where the instance insists on one. What is read
    /// later waits until the server was asked again, which tells of a standby that was configured meanwhile.
    /// </summary>
    [Theory]
    [InlineData(0, 1.1)]
    [InlineData(1, 0)]
    public async Task A_standby_that_was_configured_meanwhile_is_waited_for(int insistsOn, double secondsLater)
    {
        await using var pair = await ReplicatedPostgres.Start();
        await pair.OnFirst("ALTER SYSTEM SET synchronous_standby_names = ''");
        await pair.OnFirst("SELECT pg_reload_conf()");
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            settings: [$"--Database:SynchronousStandbys={insistsOn}", Timeout]
        );
        var client = await host.AddClient();
        await host.Post(client, 2 * State.Amount);
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        (await host.Cancel(client)).Code.ShouldBe(
            "SUCCESS",
            "a repeat, after which it is known that there is no standby"
        );

        await pair.OnFirst("ALTER SYSTEM SET synchronous_standby_names = 'second'");
        await pair.OnFirst("SELECT pg_reload_conf()");
        await pair.Until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
        await pair.Cut();
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Code.ShouldBe("UNKNOWN_EXCEPTION");
        await pair.Until("SELECT count(*) = 1 FROM payment_history WHERE payment_id = 'p2' AND action = 'CANCEL'");
        host.Clock.Advance(TimeSpan.FromSeconds(secondsLater));
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Code.ShouldBe("UNKNOWN_EXCEPTION");
    }

    /// <summary>
    /// Goal: what was read from a primary that ends meanwhile is not told because its successor confirms a commit. The read waits behind
    /// a barrier that hangs, and the next barrier finds the promoted server.
    /// </summary>
    [Fact]
    public async Task What_was_read_from_one_server_is_not_safe_by_the_commit_of_another()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.Either);
        await using var network = new TcpForwarder(pair.First);
        var both = new NpgsqlConnectionStringBuilder(pair.First)
        {
            Host = $"127.0.0.1:{network.Port},{ReplicatedPostgres.Address(pair.Second)}",
            SslMode = SslMode.Disable,
        };
        both.Remove(nameof(both.Port));
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                $"--Database:ConnectionString={both.ConnectionString}",
                "--Database:Timeout=00:00:30",
                "--Clients:CacheTime=00:01:00",
            ]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Code.ShouldBe("SUCCESS");
        await pair.Cut();
        var unconfirmed = host.Cancel(client);
        await CancelWaits(pair, unconfirmed);
        (await unconfirmed).Code.ShouldBe("UNKNOWN_EXCEPTION", "the primary shows a cancellation that only it has");

        var before = network.Statements;
        var hanging = host.Cancel(client, """{"paymentId":"p2"}""");
        await TestHost.Until(() => Task.FromResult(network.Statements - before)).Becomes(2); // It is found, and waits.
        var repeat = host.Cancel(client);
        await TestHost.Until(() => Task.FromResult(network.Statements - before)).Becomes(3); // It is found.
        await pair.Promote();
        await pair.KillFirst();

        (await hanging).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await repeat).Code.ShouldBe("UNKNOWN_EXCEPTION");
        await TestHost.Until(async () => (await host.Cancel(client)).Code).Becomes("SUCCESS");
        (await host.Rows(client)).Cancellations.ShouldBe(1);
    }

    // What rests on a read, each once a row; * stands for the client.
    private static readonly string[] RestsOnARead =
    [
        "GET /clients/*/payments/p1",
        "GET /clients/*/payments?paymentRequestId=req-p1",
        "GET /clients/*/accounts/USD",
        "GET /payments?id=p1",
        "GET /clients/*/accounts",
        "GET /clients/*/transfers/d1",
        "GET /clients/*/cancellations",
        "GET /clients/*/late-reports",
        "GET /cancellations?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z",
        "GET /clients/*",
        "GET /clients/*/keys",
        "GET /clients",
        "GET /changes",
        "GET /notifications",
        "PUT /clients/*/payments/p1",
        "POST /clients/*/payments/p1/succeed",
        "POST /clients/*/accounts/USD/deposits",
        "POST /notifications/*/p1/requeue",
        "a repeated cancel",
    ];

    [Fact]
    public async Task What_waits_for_the_standby_keeps_no_connection_from_the_wait()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                // One connection, so whoever keeps it while it waits waits for ever.
                $"--Database:ConnectionString={pair.First.Replace("Size=20", "Size=1", StringComparison.Ordinal)}",
            ]
        );
        var client = await host.AddClient();
        var registration =
            $$"""{"paymentRequestId":"req-p1","kind":"PAYMENT","amount":{{InternalWire.Amount()}},"initiatedAt":"{{host.Now:O}}"}""";
        (await host.Call("PUT", $"/clients/{client.Id}/payments/p1", registration)).Status.ShouldBe(201);
        (await host.Report(client, "succeed", "e1")).Status.ShouldBe(200);
        (await host.Call("POST", $"/clients/{client.Id}/accounts/USD/deposits", Deposit)).Status.ShouldBe(201);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");

        foreach (var call in RestsOnARead)
        {
            var statuses = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Once(call)));
            statuses.ShouldAllBe(status => status == 200, call);
        }

        async Task<int> Once(string call)
        {
            if (call == "a repeated cancel")
                return (await host.Cancel(client)).Code == "SUCCESS" ? 200 : 0;
            var (method, path) = (
                call.Split(' ')[0],
                call.Split(' ')[1].Replace("*", $"{client.Id}", StringComparison.Ordinal)
            );
            var body =
                method == "PUT" ? registration
                : path.EndsWith("succeed", StringComparison.Ordinal) ? """{"eventId":"e1"}"""
                : path.EndsWith("deposits", StringComparison.Ordinal) ? Deposit
                : null;
            return (await host.Call(method, path, body)).Status;
        }
    }

    private const string Deposit = """{"id":"d1","minorUnits":1}""";

    [Fact]
    public async Task A_standby_is_not_ready_until_it_is_promoted()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var first = await Migrated(pair.First);
        using var database = TestDatabase.Of(pair.Second);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            settings: ["--Database:MigrateAtStart=false", Timeout]
        );
        await TestHost.Until(() => Readiness(host)).Becomes(HttpStatusCode.ServiceUnavailable);
        await using (var primary = await TestHost.Start(first))
        {
            var client = await primary.AddClient(id: "C");
            await primary.AddPayment(client, State.Success);
            (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        }

        await pair.KillFirst();
        await pair.Promote();
        await host.Ready();
        (await host.Cancel(new TestClient(new("C"), KeyPair.Merchant))).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task An_instance_that_insists_on_standbys_is_not_ready_without_them()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(database, settings: ["--Database:SynchronousStandbys=1", Timeout]);

        await pair.OnFirst("ALTER SYSTEM SET synchronous_standby_names = ''");
        await pair.OnFirst("SELECT pg_reload_conf()");
        await TestHost.Until(() => Readiness(host)).Becomes(HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public async Task A_database_that_is_made_read_only_is_not_ready_and_recovers_by_itself()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        var name = new NpgsqlConnectionStringBuilder(host.ConnectionString).Database;
        await using var other = new NpgsqlConnection($"{host.ConnectionString};Pooling=false");
        await other.OpenAsync(TestContext.Current.CancellationToken);

        await Set("SET default_transaction_read_only = on");
        // The first ones find that their connections have ended, the later ones that the new ones are read-only.
        for (var i = 0; i < 10; i++)
            (await Code(host, client)).ShouldBe("UNKNOWN_EXCEPTION");
        await Set("RESET default_transaction_read_only");
        await TestHost.Until(() => Code(host, client)).Becomes("SUCCESS");

        await Set("SET default_transaction_read_only = on");
        await TestHost.Until(() => Readiness(host)).Becomes(HttpStatusCode.ServiceUnavailable);
        await Set("RESET default_transaction_read_only");
        await host.Ready();

        async Task Set(string change)
        {
            await using var command = new NpgsqlCommand($"ALTER DATABASE {name} {change}", other);
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            // A database's setting counts for new sessions.
            command.CommandText =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            if (change.StartsWith("SET", StringComparison.Ordinal))
                await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task A_SQLite_connection_that_became_read_only_leaves_the_pool()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await using (var db = host.Db())
        {
            await db.Database.OpenConnectionAsync(TestContext.Current.CancellationToken);
            await using var command = db.Database.GetDbConnection().CreateCommand();
            command.CommandText = "PRAGMA query_only = ON";
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task A_SQLite_file_that_can_only_be_read_is_not_ready()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            settings:
            [
                $"--Database:ConnectionString={database.ConnectionString};Mode=ReadOnly",
                "--Database:MigrateAtStart=false",
            ]
        );

        await TestHost.Until(() => Readiness(host)).Becomes(HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public async Task A_host_that_does_not_answer_is_left_for_the_next_one()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var dead = new TcpForwarder(database.ConnectionString, silent: true);
        await using var alive = new TcpForwarder(database.ConnectionString);
        var both = new NpgsqlConnectionStringBuilder(
            TcpForwarder.Setting(database.ConnectionString, 1)["--Database:ConnectionString=".Length..]
        )
        {
            Host = $"127.0.0.1:{dead.Port},127.0.0.1:{alive.Port}",
        };
        await using var host = await TestHost.Start(
            database,
            settings: $"--Database:ConnectionString={both.ConnectionString}"
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);

        await TestHost.Until(() => Code(host, client)).Becomes("SUCCESS");
    }

    private static async Task<TestDatabase> Migrated(string connectionString)
    {
        var database = TestDatabase.Of(connectionString);
        await using var host = await TestHost.Start(database, settings: "--Database:MigrateAtStart=true");
        return database;
    }

    // Ends PostgreSQL's wait for the standby, as the driver's own cancel request does, and an operator's.
    private static async Task CancelWaits(ReplicatedPostgres pair, Task answer)
    {
        await pair.Until("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        await pair.Until("SELECT bool_and(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        await answer.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static async Task<string> Code(TestHost host, TestClient client) => (await host.Cancel(client)).Code;

    private static async Task<HttpStatusCode> Readiness(TestHost host) =>
        (await host.Internal.GetAsync(new Uri("/healthz/ready", UriKind.Relative))).StatusCode;
}
