using System.Net;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: during a database outage every answer is true and in time, and the service recovers by itself.
/// </summary>
public sealed class OutageTests(PostgresServer postgres)
{
    private const string Timeout = "--Database:Timeout=00:00:01";

    // Longer than any answer takes on the slowest machine, unless it hangs.
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Service_starts_without_a_database_answers_U_and_becomes_ready_with_it(bool silent)
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres, empty: true);
        var port = TcpForwarder.ClosedPort();
        await using var blackHole = silent ? new TcpForwarder(database.ConnectionString, port, silent: true) : null;
        await using var host = await TestHost.Start(
            database,
            systemClock: true,
            waitForReady: false,
            settings: [TcpForwarder.Setting(database.ConnectionString, port), "--Database:MigrateAtStart=true", Timeout]
        );
        (await Health(host, "live")).ShouldBe(HttpStatusCode.OK);
        (await Health(host, "ready")).ShouldBe(HttpStatusCode.ServiceUnavailable);
        await AnswersUnknownInTime(host, new TestClient(new ClientId("C"), KeyPair.Merchant));

        await using var repaired = silent ? null : new TcpForwarder(database.ConnectionString, port);
        blackHole?.Speak();
        await host.Ready();
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        // A loaded machine may take longer than the time-out.
        await TestHost.Until(async () => (await host.Cancel(client)).Code).Becomes("SUCCESS");
        (await Health(host, "live")).ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData(Fault.CutBefore, 0)]
    [InlineData(Fault.StallBefore, 0)]
    [InlineData(Fault.CutAfter, 1)]
    [InlineData(Fault.StallAfter, 1)]
    public async Task Commit_without_a_reply_is_answered_U_and_resolved_by_a_repeat(Fault fault, int committed)
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), Timeout]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await host.Post(client, State.Amount);

        network.Arm("INSERT INTO outbox", fault);
        await AnswersUnknownInTime(host, client);

        await using var direct = await TestHost.Start(database);
        (await direct.Rows(client)).Cancellations.ShouldBe(committed);
        var dump = await direct.Dump(client);
        var repeat = await host.Cancel(client);
        repeat.Code.ShouldBe("SUCCESS");
        (await host.Cancel(client)).Body.ShouldBe(repeat.Body);
        var rows = await direct.Rows(client);
        rows.Cancellations.ShouldBe(1);
        rows.Outbox.ShouldBe(1);
        rows.Effect.ShouldBe(CancelEffect.Refunded);
        (await direct.Balance(client)).ShouldBe(State.Amount);
        if (committed == 1)
            (await direct.Dump(client)).ShouldBe(dump);
    }

    [Fact]
    public async Task Service_reconnects_when_every_connection_breaks()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), "--Database:Timeout=00:00:10"]
        );
        var client = await host.AddClient();
        for (var i = 0; i < 20; i++)
            await host.AddPayment(client, State.Success, $"p{i}");
        // Fills the connection pool.
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => host.Cancel(client, """{"paymentId":"none"}""")));

        network.CutAll();
        var codes = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            var id = $$"""{"paymentId":"p{{i}}"}""";
            await TestHost
                .Until(async () =>
                {
                    codes.Add((await host.Cancel(client, id)).Code);
                    return codes[^1];
                })
                .Becomes("SUCCESS");
        }
        codes.ShouldAllBe(code => code == "SUCCESS" || code == "UNKNOWN_EXCEPTION");
        // The pool is cleared at the first broken connection, not one connection at a time.
        codes.Count(code => code == "UNKNOWN_EXCEPTION").ShouldBeLessThanOrEqualTo(2, string.Join(' ', codes));
        (await host.Balance(client)).ShouldBe(0);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Service_without_its_schema_is_not_ready_and_answers_U(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            settings: ["--Database:MigrateAtStart=false"]
        );
        (await Health(host, "ready")).ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await Health(host, "live")).ShouldBe(HttpStatusCode.OK);
        var nobody = new TestClient(new ClientId("NOBODY"), KeyPair.Merchant);
        (await host.Cancel(nobody)).Code.ShouldBe("UNKNOWN_EXCEPTION");

        await using (var other = await TestHost.Start(database, settings: ["--Database:MigrateAtStart=true"])) { }
        await host.Ready();
        (await host.Cancel(nobody)).Code.ShouldBe("CLIENT_INVALID");
    }

    [Fact]
    public async Task Locked_row_is_answered_U_instead_of_hanging()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Timeout);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await using (var db = host.Db())
        {
            await using var transaction = await db.Database.BeginTransactionAsync(
                TestContext.Current.CancellationToken
            );
            await db.Set<AccountRow>()
                .Where(a => a.ClientId == client.Id)
                .ExecuteUpdateAsync(set => set.SetProperty(a => a.Balance, a => a.Balance), CancellationToken.None);
            await AnswersUnknownInTime(host, client);
        }
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        (await host.Rows(client)).Cancellations.ShouldBe(1);
        (await host.Balance(client)).ShouldBe(0);
    }

    private static async Task AnswersUnknownInTime(TestHost host, TestClient client)
    {
        var answer = await host.Cancel(client).WaitAsync(Hang);
        answer.Text.ShouldBe(
            """{"result":{"resultCode":"UNKNOWN_EXCEPTION","resultStatus":"U","resultMessage":"""
                + "\"An API calling is failed, which is caused by unknown reasons.\"}}"
        );
    }

    private static async Task<HttpStatusCode> Health(TestHost host, string kind) =>
        (await host.Internal.GetAsync(new Uri($"/healthz/{kind}", UriKind.Relative))).StatusCode;
}
