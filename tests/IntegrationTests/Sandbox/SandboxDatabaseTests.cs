using System.Net;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox;
using Microsoft.Extensions.Options;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>Goal: the sandbox writes to its own databases alone.</summary>
public sealed class SandboxDatabaseTests(PostgresServer postgres)
{
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Database_of_the_service_is_refused_at_start_and_not_written(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var service = await TestHost.Start(database);
        var client = await service.AddClient(id: "MERCHANT_1");
        await service.AddPayment(client, State.Success);
        var before = await service.Dump(client);

        var refusal = await Should.ThrowAsync<OptionsValidationException>(() => Start(database));

        refusal.Message.ShouldContain("Database:ConnectionString names a database that the sandbox did not make.");
        refusal.Message.ShouldContain("Name an empty or a new one");
        (await service.Dump(client)).ShouldBe(before);
        (await Tables(service)).ShouldNotContain(table => table == "sandbox");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Database_of_the_sandbox_is_used_again(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        await using (var first = await Start(database))
            (await Tables(first)).ShouldContain(table => table == "sandbox");
        await using var second = await Start(database);
        using var browser = new SandboxBrowser(second);
        (await browser.Cancel("demo-success")).ShouldBe("SUCCESS");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Removed_mark_stops_scenarios_and_writes(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        await using var host = await Start(database, "--Database:Timeout=00:00:02");
        using var browser = new SandboxBrowser(host);
        var merchant = new TestClient(new("DEMO_CLIENT"), await Merchant(database));
        (await host.Cancel(merchant, """{"paymentId":"demo-success"}""")).Code.ShouldBe("SUCCESS");

        (await browser.Post("core", ("id", "p0"), ("step", "payment"))).ShouldContain("The payment is known now");

        foreach (var removal in (string[])["DELETE FROM sandbox", "DROP TABLE sandbox"])
        {
            await host.Execute(removal);
            foreach (var scenario in (string[])["scenarios/stall", "scenarios/away"])
                (await browser.Post(scenario, HttpStatusCode.Conflict, ("seconds", "10"))).ShouldContain(
                    "a database that the sandbox did not make"
                );
            (await browser.Post("core", HttpStatusCode.Conflict, ("id", "p1"), ("step", "payment"))).ShouldContain(
                "a database that the sandbox did not make"
            );
            // Over the public port nothing but the precondition of each write stands in the way.
            (await host.Cancel(merchant, """{"paymentId":"demo-authorized"}""")).Code.ShouldBe("UNKNOWN_EXCEPTION");
        }
        var payment = await host.Find(merchant, "demo-authorized");
        payment.ShouldNotBeNull().Payment.Cancellation.ShouldBeNull();
    }

    private static async Task<TestHost> Start(TestDatabase database, params string[] settings) =>
        await TestHost.Start(
            database,
            systemClock: true,
            extension: new SandboxExtension(),
            settings:
            [
                "--environment=Development",
                $"--Sandbox:Directory={Path.Combine(database.Directory, "demo")}",
                .. settings,
            ]
        );

    private static async Task<KeyPair> Merchant(TestDatabase database) =>
        KeyPair.Read(
            await File.ReadAllTextAsync(
                Path.Combine(database.Directory, "demo", "merchant-private.pem"),
                TestContext.Current.CancellationToken
            )
        );

    private static async Task<List<string>> Tables(TestHost host)
    {
        await using var db = host.Db();
        var connection = Microsoft.EntityFrameworkCore.RelationalDatabaseFacadeExtensions.GetDbConnection(db.Database);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText =
            connection is Npgsql.NpgsqlConnection
                ? "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                : "SELECT name FROM sqlite_master WHERE type = 'table'";
        var tables = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            tables.Add(reader.GetString(0));
        return tables;
    }
}
