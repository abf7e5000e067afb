using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Logging;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: when the internal API or the readiness check fails, the log gives the reason at a limited rate.
/// </summary>
public sealed class OutcomeLogTests(PostgresServer postgres)
{
    [Fact]
    public async Task Database_error_of_a_call_is_logged_with_its_SQLSTATE_at_a_limited_rate()
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
    public async Task Database_timeout_of_a_call_is_logged()
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
    public async Task Change_of_readiness_is_logged_once_despite_frequent_probes()
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

        // A test server may confirm commits early; ignore the warning about it.
        var lines = log.Of("Readiness")
            .Where(line => !line.Text.StartsWith("PostgreSQL", StringComparison.Ordinal))
            .ToList();
        lines.Select(line => line.Level).ShouldBe([LogLevel.Information, LogLevel.Warning, LogLevel.Information]);
        lines[1].Text.ShouldStartWith("Not ready: ");
        lines[1].Exception.ShouldBeNull();
    }
}
