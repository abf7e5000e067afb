using System.Net;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: code works before, during and after the migration of its schema, and with the schema of the next version.
/// </summary>
public sealed class UpgradeTests(PostgresServer postgres)
{
    // Allowed changes of later migrations (docs/decisions/0009-expand-then-contract.md), in SQL for both databases.
    private static readonly string[] Expansions =
    [
        "ALTER TABLE {0} ADD COLUMN added_text varchar(64) NULL",
        "ALTER TABLE {0} ADD COLUMN added_number integer NOT NULL DEFAULT 7",
        "CREATE INDEX ix_{0}_added ON {0} (client_id, added_number)",
        "CREATE TABLE later_{0} (client_id varchar(64) NOT NULL PRIMARY KEY)",
    ];

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Instance_on_the_schema_of_an_earlier_release_is_not_ready_and_refuses_nothing_until_it_is_migrated(
        DatabaseProvider provider
    )
    {
        foreach (var migration in (await Migrations(provider))[..^1])
        {
            using var database = await TestDatabase.Create(provider, postgres, empty: true);
            await using var host = await TestHost.Start(
                database,
                waitForReady: false,
                settings: ["--Database:MigrateAtStart=false"]
            );
            await using (var db = host.Db())
                await db.GetService<IMigrator>().MigrateAsync(migration, TestContext.Current.CancellationToken);

            (await Health(host)).ShouldBe(HttpStatusCode.ServiceUnavailable, migration);
            // A merchant who reaches it all the same gets U, unless the schema holds all that the answer rests on.
            var early = new TestClient(new("EARLY"), KeyPair.Merchant);
            (await host.Cancel(early)).Code.ShouldBe(
                migration.EndsWith("_Initial", StringComparison.Ordinal) ? "UNKNOWN_EXCEPTION" : "CLIENT_INVALID"
            );

            await host
                .Services.GetRequiredService<Database>()
                .Migrate(createDatabase: false, TestContext.Current.CancellationToken);
            await host.Ready();
            var client = await host.AddClient();
            for (var i = 0; i < 5; i++)
                await Use(host, client, $"p{i}");
            await host.ShouldPassTheAudit();
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Instance_works_unchanged_on_a_newer_schema(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var receiver = await Receiver.Start(_ => Task.FromResult(200));
        await using var host = await TestHost.Start(
            database,
            systemClock: true,
            settings:
            [
                $"--Notifications:Url={receiver.Root}/",
                Receiver.SecretSetting,
                "--Notifications:PollInterval=00:00:00.010",
            ]
        );
        var client = await host.AddClient();
        await Use(host, client, "before");

        await using (var db = host.Db())
        {
            var tables = db
                .Model.GetEntityTypes()
                .Where(e => e.FindProperty("ClientId") is not null)
                .Select(e => e.GetTableName()!)
                .Distinct(StringComparer.Ordinal);
            foreach (var table in tables)
            {
                foreach (var expansion in Expansions)
                    await host.Execute(expansion.Replace("{0}", table, StringComparison.Ordinal));
            }
        }
        await host.Execute("""INSERT INTO "__EFMigrationsHistory" VALUES ('99990101000000_Later', '99.0')""");

        // An instance that was already running, and an instance that starts now.
        await Use(host, client, "running");
        await using var started = await TestHost.Start(database, systemClock: true);
        foreach (var instance in (TestHost[])[host, started])
        {
            await Use(instance, client, $"after-{instance.PublicPort}");
            (await instance.Call("GET", $"/clients/{client.Id}/cancellations"))
                .ShouldBe(200)
                .Items.Count.ShouldBeGreaterThan(1);
            (await instance.Call("GET", "/notifications")).ShouldBe(200).Items.Count.ShouldBeGreaterThan(1);
        }
        await TestHost.Until(receiver.Count).Becomes(4);
        await started.ShouldPassTheAudit();
    }

    [Fact]
    public async Task Migration_times_out_on_a_table_in_use_and_a_retry_completes_it()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres, empty: true);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            // A migration's lock timeout does not depend on the timeout for answers.
            settings: ["--Database:MigrateAtStart=false", "--Database:Timeout=00:00:01.9"]
        );
        await using (var db = host.Db()) // Creates only the table of migrations, still empty.
            await db.GetService<IMigrator>().MigrateAsync("0", TestContext.Current.CancellationToken);

        // An open reader of the table of migrations keeps others from altering it.
        await using var reader = new NpgsqlConnection(database.ConnectionString);
        await reader.OpenAsync(TestContext.Current.CancellationToken);
        await using (var transaction = await reader.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var look = new NpgsqlCommand("SELECT FROM \"__EFMigrationsHistory\"", reader, transaction);
            await look.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            var migrating = host.Services.GetRequiredService<Database>();
            var refused = await Should.ThrowAsync<InvalidOperationException>(() =>
                migrating
                    .Migrate(createDatabase: false, CancellationToken.None)
                    .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)
            );
            refused
                .InnerException.ShouldBeOfType<PostgresException>()
                .SqlState.ShouldBe(PostgresErrorCodes.LockNotAvailable);
        }
        await host
            .Services.GetRequiredService<Database>()
            .Migrate(createDatabase: false, TestContext.Current.CancellationToken);
        await host.Ready();
    }

    [Fact]
    public async Task Ready_instance_stays_ready_while_a_migration_locks_the_migrations_table()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:30");
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE \"__EFMigrationsHistory\" IN ACCESS EXCLUSIVE MODE"
        );

        (await Health(host).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken)).ShouldBe(
            HttpStatusCode.OK
        );
    }

    // Takes a payment from its registration to a repeated cancel.
    private static async Task Use(TestHost host, TestClient client, string id)
    {
        (await host.Register(client, id)).ShouldBe(201);
        (await host.Report(client, "succeed", $"e-{id}", id)).ShouldBe(200);
        var cancel = $$"""{"paymentId":"{{id}}"}""";
        var answer = await host.Cancel(client, cancel);
        answer.Code.ShouldBe("SUCCESS", answer.Text);
        (await host.Cancel(client, cancel)).Body.ShouldBe(answer.Body);
    }

    private async Task<List<string>> Migrations(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            settings: ["--Database:MigrateAtStart=false"]
        );
        await using var db = host.Db();
        return [.. db.Database.GetMigrations()];
    }

    private static async Task<HttpStatusCode> Health(TestHost host)
    {
        using var response = await host.Internal.GetAsync(new Uri("/healthz/ready", UriKind.Relative));
        return response.StatusCode;
    }
}
