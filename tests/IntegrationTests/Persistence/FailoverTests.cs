using System.Net;
using CancelService.Application.Payments;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: with a synchronous standby, no answer reports a change that a promotion can undo, and an instance finds the
/// server that accepts writes.
/// </summary>
public sealed class FailoverTests(PostgresServer postgres)
{
    private static Task<Answer> Inquire(TestHost host, TestClient client, string id = "p1") =>
        host.Send(
            new CancelCall
            {
                Client = client,
                At = host.Now,
                Target = "/v2/payments/inquiryPayment",
                Json = $$"""{"paymentId":"{{id}}"}""",
            }
        );

    private const string Timeout = "--Database:Timeout=00:00:01";

    [Fact]
    public async Task Unreplicated_cancel_is_not_confirmed_and_the_promoted_standby_serves()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.Either);
        await using var host = await TestHost.Start(database, settings: Timeout);
        var client = await host.AddClient();
        await host.Post(client, State.Amount);
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");
        await host.AddPayment(client, State.Success, "p3");
        var told = await host.Cancel(client, """{"paymentId":"p2"}""");
        told.Code.ShouldBe("SUCCESS");
        (await Inquire(host, client, "p3")).Code.ShouldBe("SUCCESS");

        await pair.Cut();
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        // The wait for the standby timed out, so the primary shows a cancellation that only it has.
        await pair.Until("SELECT count(*) = 1 FROM payment_history WHERE payment_id = 'p1' AND action = 'CANCEL'");
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await Inquire(host, client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await Inquire(host, client, "p3")).Code.ShouldBe(
            "UNKNOWN_EXCEPTION",
            "no state is told that may be taken back"
        );
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
        (await host.Balance(client)).ShouldBe(2 * State.Amount); // One deposit and p3 are left.
    }

    [Fact]
    public async Task Commit_with_a_cancelled_standby_wait_is_answered_U_until_replicated()
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
    public async Task Concurrent_repeats_share_one_standby_barrier()
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
        // Every repeat has read the payment, and one barrier is in flight.
        await TestHost.Until(() => Task.FromResult(network.Statements - before)).Becomes(20 + 1);
        await pair.Until("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        await pair.Mend();

        foreach (var repeat in repeats)
            (await repeat).Body.ShouldBe(body);
        (network.Statements - before).ShouldBe(20 + 2);
    }

    /// <summary>
    /// Goal: "no standby" is cached for one second only, and not at all where the instance requires a standby. A later
    /// read waits for a fresh check, which reveals a standby configured meanwhile.
    /// </summary>
    [Theory]
    [InlineData(0, 1.1)]
    [InlineData(1, 0)]
    public async Task Barrier_waits_for_a_newly_configured_standby(int insistsOn, double secondsLater)
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
        // A loaded machine may exceed the time-out. The repeat caches the absence of a standby.
        await TestHost.Until(() => Code(host, client)).Becomes("SUCCESS");
        await TestHost.Until(() => Code(host, client)).Becomes("SUCCESS");

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
    /// Goal: a read from a primary that fails is not confirmed by a commit on its successor. The read waits behind a
    /// hanging barrier, and the next barrier reaches the promoted server.
    /// </summary>
    [Fact]
    public async Task Read_from_one_server_is_not_confirmed_by_a_commit_on_another()
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
        // It was read, and waits for the barrier.
        await TestHost.Until(() => Task.FromResult(network.Statements - before)).Becomes(2);
        var repeat = host.Cancel(client);
        await TestHost.Until(() => Task.FromResult(network.Statements - before)).Becomes(3); // It was read.
        await pair.Promote();
        await pair.KillFirst();

        (await hanging).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await repeat).Code.ShouldBe("UNKNOWN_EXCEPTION");
        await TestHost.Until(async () => (await host.Cancel(client)).Code).Becomes("SUCCESS");
        (await host.Rows(client)).Cancellations.ShouldBe(1);
    }

    // Answers that rest on a read; * stands for the client.
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
    public async Task Barrier_wait_holds_no_connection()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                // A single connection: a caller that keeps it during the wait would deadlock.
                $"--Database:ConnectionString={pair.First.Replace("Size=20", "Size=1", StringComparison.Ordinal)}",
            ]
        );
        var client = await host.AddClient();
        var registration =
            $$"""{"paymentRequestId":"req-p1","kind":"PAYMENT","amount":{{InternalWire.Amount()}}"""
            + $$""","initiatedAt":"{{host.Now:O}}"}""";
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
    public async Task Standby_is_not_ready_until_its_promotion()
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
    public async Task Instance_is_not_ready_without_its_required_standbys()
    {
        await using var pair = await ReplicatedPostgres.Start();
        using var database = await Migrated(pair.First);
        await using var host = await TestHost.Start(database, settings: ["--Database:SynchronousStandbys=1", Timeout]);

        await pair.OnFirst("ALTER SYSTEM SET synchronous_standby_names = ''");
        await pair.OnFirst("SELECT pg_reload_conf()");
        await TestHost.Until(() => Readiness(host)).Becomes(HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public async Task Instance_is_not_ready_on_a_read_only_database_and_recovers_by_itself()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        var name = new NpgsqlConnectionStringBuilder(host.ConnectionString).Database;
        await using var other = new NpgsqlConnection($"{host.ConnectionString};Pooling=false");
        await other.OpenAsync(TestContext.Current.CancellationToken);

        await Set("SET default_transaction_read_only = on");
        // The first requests meet terminated connections, the later ones new read-only connections.
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
            // A database setting applies to new sessions only.
            command.CommandText =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
                + "pid <> pg_backend_pid()";
            if (change.StartsWith("SET", StringComparison.Ordinal))
                await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Read_only_SQLite_connection_is_evicted_from_the_pool()
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
    public async Task Instance_is_not_ready_on_a_read_only_SQLite_file()
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
    public async Task Connection_fails_over_from_a_silent_host_to_the_next()
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

    // Ends PostgreSQL's wait for the standby, as a driver's cancel request or an operator can.
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
