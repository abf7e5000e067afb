using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Logging;

namespace CancelService.IntegrationTests.Internal;

/// <summary>When the internal API or the readiness check fails, the log says why, once in a while.</summary>
public sealed class OutcomeLogTests(PostgresServer postgres)
{
    [Fact]
    public async Task What_the_database_refuses_to_a_call_is_logged_with_its_SQLSTATE_once_in_a_while()
    {
        using var log = new LogLines();
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, log);
        var client = await host.AddClient();
        await host.Execute("ALTER TABLE accounts RENAME TO lost");
        async Task Call() =>
            (await host.Call("GET", $"/clients/{client.Id}/accounts/USD")).ShouldBeProblem(503, "outcome-unknown");

        for (var i = 0; i < 3; i++)
            await Call();
        host.Clock.Advance(TimeSpan.FromSeconds(10));
        await Call();

        var lines = log.Of("CallLog");
        lines.Count.ShouldBe(2);
        lines[0].Level.ShouldBe(LogLevel.Error);
        lines[0]
            .Text.ShouldStartWith(
                "The outcome of internal calls is unknown: the database refused with SQLSTATE 42P01: "
            );
        lines[0].Text.ShouldContain("now GET /internal/v1/clients/{clientId}/accounts/{currency}");
        lines[0].Exception.ShouldNotBeNull();
        lines[1].Text.ShouldContain(" 2 more since the last such line");
        log.Of("ExceptionHandlerMiddleware").ShouldBeEmpty();
    }

    [Fact]
    public async Task A_call_that_the_database_does_not_answer_in_time_is_logged()
    {
        using var log = new LogLines();
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            log: log,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), "--Database:Timeout=00:00:01"]
        );
        network.FallSilent();

        (await host.Call("GET", "/clients")).ShouldBeProblem(503, "outcome-unknown");

        var line = log.Of("CallLog").ShouldHaveSingleItem();
        line.Text.ShouldContain("no answer from the database within 1 s");
        line.Exception.ShouldBeNull();
    }

    [Fact]
    public async Task A_change_of_readiness_is_logged_once_however_often_it_is_asked_for()
    {
        using var log = new LogLines();
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            log: log,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), "--Database:Timeout=00:00:01"]
        );
        await host.Ready();
        network.FallSilent();
        network.CutAll();
        for (var i = 0; i < 3; i++)
            await host.Internal.GetAsync(
                new Uri("/healthz/ready", UriKind.Relative),
                TestContext.Current.CancellationToken
            );
        network.Speak();
        await host.Ready();

        // A server of a test may confirm commits early, which is told when it is found.
        var lines = log.Of("Readiness")
            .Where(line => !line.Text.StartsWith("PostgreSQL", StringComparison.Ordinal))
            .ToList();
        lines.Select(line => line.Level).ShouldBe([LogLevel.Information, LogLevel.Warning, LogLevel.Information]);
        lines[1].Text.ShouldStartWith("Not ready: ");
        lines[1].Exception.ShouldBeNull();
    }
}
