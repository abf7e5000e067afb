using System.Net;

namespace CancelService.Drills;

public sealed class DatabaseAwayDrill
{
    [Fact]
    public async Task Service_recovers_after_a_database_outage()
    {
        const string alert = "CancelServiceDatabaseAway";
        var page = RunbookPage.Read(alert);
        var postgres = await PostgresCluster.Start(durable: true);
        await using var drill = await Drill.Start(postgres, Drill.Impatient);
        await drill.Pay("p1");
        await postgres.Kill();

        await drill.Prometheus.Fires(alert);
        (await drill.Cancel("p1")).ShouldBe("UNKNOWN_EXCEPTION");
        (await drill.Run(page.Take("curl -s $I/healthz/ready"))).ShouldBe("Unhealthy");
        await drill.Run(page.Take("psql"), succeeds: false);

        await postgres.Start();
        await drill.Prometheus.Ends(alert);
        (await drill.Run(page.Take("curl -s $I/healthz/ready"))).ShouldBe("Healthy");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class DatabaseCannotServeDrill
{
    [Fact]
    public async Task Service_recovers_after_the_database_was_read_only()
    {
        const string alert = "CancelServiceDatabaseCannotServe";
        var page = RunbookPage.Read(alert);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        drill.Variables["DATABASE"] = "postgres";
        await drill.Pay("p1");
        // Existing sessions keep the old setting, so end them, as a primary does when it becomes a standby.
        await drill.Sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
        await drill.Sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres' AND pid <> "
                + "pg_backend_pid()"
        );

        await drill.Prometheus.Fires(alert);
        (await drill.Cancel("p1")).ShouldBe("UNKNOWN_EXCEPTION");

        await drill.Run(page.Take("psql"));
        await drill.Run(page.Take("dotnet"));
        await drill.Prometheus.Ends(alert);
        (await drill.Run(page.Take("curl"))).ShouldBe("Healthy");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class BarrierFailsDrill
{
    [Fact]
    public async Task Service_recovers_after_the_loss_of_its_synchronous_standby()
    {
        const string alert = "CancelServiceBarrierFails";
        var page = RunbookPage.Read(alert);
        var postgres = await ReplicatedPostgres.Start();
        await using var drill = await Drill.Start(postgres, Drill.Impatient);
        await drill.Pay("p1");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        await postgres.Cut();
        await using var merchants = Drill.Meanwhile(() => drill.Cancel("p1"));

        await drill.Prometheus.Fires(alert);
        (await drill.Cancel("p1")).ShouldBe("UNKNOWN_EXCEPTION");
        (await drill.Run(page.Take("psql \"$DB\" -c \"SELECT application_name"))).ShouldContain("(0 rows)");

        await drill.Run(page.Take("psql \"$DB\" -c \"ALTER SYSTEM"));
        await drill.Prometheus.Ends(alert);
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class AnswersFailDrill
{
    [Fact]
    public async Task Service_recovers_after_a_session_has_held_a_lock()
    {
        const string alert = "CancelServiceAnswersFail";
        var page = RunbookPage.Read(alert);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true), Drill.Impatient);
        await drill.Pay("p1");
        await using var stuck = await drill.Hold("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE");
        await using var merchants = Drill.Meanwhile(() => drill.Cancel("p1"));

        await drill.Prometheus.Fires(alert);
        (await drill.Run(page.Take("curl -s $I/metrics"))).ShouldContain("UNKNOWN_EXCEPTION");
        await drill.Run(page.Take("curl -s $I/healthz/ready"));
        var sessions = await drill.Run(page.Take("psql \"$DB\" -c \"SELECT pid"));
        var line = sessions.Split('\n').Single(row => row.Contains("LOCK TABLE payments", StringComparison.Ordinal));
        drill.Variables["PID"] = line.Split('|')[0].Trim();

        (await drill.Run(page.Take("psql \"$DB\" -c \"SELECT pg_terminate_backend"))).ShouldContain("t");
        await drill.Prometheus.Ends(alert);
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class SlowDrill
{
    [Fact]
    public async Task Service_recovers_after_recurring_locks()
    {
        const string alert = "CancelServiceSlow";
        var page = RunbookPage.Read(alert);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true), Drill.Impatient);
        await drill.Pay("p1");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        await using var merchants = Drill.Meanwhile(() => drill.Cancel("p1"));
        await using (
            Drill.Meanwhile(async () =>
            {
                await using var _ = await drill.Hold("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE");
                await Task.Delay(900);
            })
        )
        {
            await drill.Prometheus.Fires(alert);
            (await drill.Run(page.Take("curl"))).ShouldContain("group_size");
        }
        await drill.Prometheus.Ends(alert);
        page.Left.ShouldBeEmpty();
    }
}

public sealed class FailoverDrill
{
    [Fact]
    public async Task Service_fails_over_to_the_promoted_standby()
    {
        const string alert = "CancelServiceDatabaseAway";
        var page = RunbookPage.Read("A failover");
        var postgres = await ReplicatedPostgres.Start();
        await using var drill = await Drill.Start(postgres);
        drill.Variables["STANDBY"] = Drill.Libpq(postgres.Second);
        await drill.Pay("p1");
        await drill.Pay("p2");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        await postgres.KillFirst();

        await drill.Prometheus.Fires(alert);
        await drill.Run(page.Take("psql"));
        await drill.Prometheus.Ends(alert);
        (await drill.Run(page.Take("curl"))).ShouldBe("Healthy");
        (await drill.Run(page.Take("dotnet"))).ShouldContain(" 0 violations");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        (await drill.Final("p2")).ShouldBe("SUCCESS");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class RestoreDrill
{
    [Fact]
    public async Task Lost_answers_are_found_after_a_restore()
    {
        var page = RunbookPage.Read("A restore");
        await using var drill = await Drill.Start(
            await PostgresCluster.Start(durable: true),
            "--Serilog:MinimumLevel:Default=Information"
        );
        await drill.Pay("p1");
        await drill.Service.Kill();
        await drill.Sql("CREATE DATABASE restored TEMPLATE postgres"); // The copy is the restored state.
        drill.Service.Launch();
        await drill.Service.Ready();
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        await drill.Service.Kill();
        await drill.Write("service.log", drill.Service.Output);
        drill.Variables["Database__ConnectionString"] = drill.Database("restored");

        var output = await drill.Run(page.Take("dotnet CancelService.Api.dll migrate"));
        output.ShouldContain("epoch");
        output.ShouldContain(" 0 violations");
        (await drill.Run(page.Take("dotnet CancelService.Api.dll find-lost"), succeeds: false)).ShouldContain(
            "LOST SHOP payment p1"
        );
        page.Left.ShouldBeEmpty();
    }
}

public sealed class RollbackDrill
{
    // One version plays both roles, the newer one on a schema expanded by a later migration.
    [Fact]
    public async Task Older_version_serves_on_the_newer_schema_after_a_rollback()
    {
        var page = RunbookPage.Read("A rollback");
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        await drill.Pay("p1");
        await drill.Pay("p2");
        (await drill.Run(page.Take("curl -s $I/metrics"))).ShouldContain($"version=\"{Api.BuildInfo.Version}\"");
        await drill.Sql(
            """
            ALTER TABLE payments ADD COLUMN later_text varchar(64) NULL;
            ALTER TABLE payment_history ADD COLUMN later_number integer NOT NULL DEFAULT 7;
            CREATE TABLE later (client_id varchar(64) NOT NULL PRIMARY KEY);
            INSERT INTO "__EFMigrationsHistory" VALUES ('99990101000000_Later', '99.0');
            """
        );
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        var (_, before, _) = await Drill.Verify("p1", drill.Service, KeyPair.Wallet.PublicKey.Pem);

        await drill.Restart();

        (await drill.Run(page.Take("curl -s $I/healthz/ready"))).ShouldBe("Healthy");
        (await drill.Run(page.Take("psql"))).ShouldContain("99990101000000_Later");
        var (_, after, isTrue) = await Drill.Verify("p1", drill.Service, KeyPair.Wallet.PublicKey.Pem);
        (after, isTrue).ShouldBe((before, true), "the older version repeats the newer one's answer byte for byte");
        (await drill.Final("p2")).ShouldBe("SUCCESS");
        (await drill.Run(page.Take("dotnet"))).ShouldContain(" 0 violations");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class DiskFillsDrill
{
    private const long Disk = 2_000_000_000;

    [Fact]
    public async Task Disk_is_freed_by_dropping_the_slot_of_a_lost_standby()
    {
        const string alert = "CancelServiceDiskFills";
        var page = RunbookPage.Read(alert);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        // Stands in for the node exporter: a disk filled only by the log that slots retain.
        await using var node = await HttpServer.Start(async () =>
        {
            var log = await drill.Number(
                "SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), min(restart_lsn)), 0)::bigint FROM "
                    + "pg_replication_slots"
            );
            return (HttpStatusCode.OK, $"node_filesystem_avail_bytes{{mountpoint=\"/data\"}} {Disk - log}\n");
        });
        await using var prometheus = await PrometheusServer.Start(drill.Service.InternalPort, node.Port);
        drill.Variables["SLOT"] = "gone";
        await drill.Sql("SELECT pg_create_physical_replication_slot('gone', true)");
        await using (
            Drill.Meanwhile(async () =>
            {
                await drill.Sql("SELECT pg_logical_emit_message(false, 'drill', repeat('x', 4000000))");
                await Task.Delay(400);
            })
        )
        {
            await prometheus.Fires(alert);
            (await drill.Run(page.Take("psql \"$DB\" -c \"SELECT slot_name"))).ShouldContain("gone");
        }

        await drill.Run(page.Take("psql \"$DB\" -c \"SELECT pg_drop_replication_slot"));
        await prometheus.Ends(alert);
        page.Left.ShouldBeEmpty();
    }
}
