using System.Net;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Goal: on SQLite, which allows one writer at a time, no read waits for the writer.</summary>
public sealed class ReadTests(PostgresServer postgres)
{
    [Fact]
    public async Task Reads_are_answered_while_a_writer_holds_the_database()
    {
        // The lock is held until the end, so a read that waits for it fails after this timeout.
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, "--Database:Timeout=00:00:01");
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await using var writer = new SqliteConnection($"{host.ConnectionString};Pooling=False");
        await writer.OpenAsync(TestContext.Current.CancellationToken);
        await using var held = writer.BeginTransaction(deferred: false);

        foreach (
            var path in (string[])
                [
                    $"/clients/{client.Id}/payments/p1",
                    $"/clients/{client.Id}/payments?paymentRequestId=req-p1",
                    $"/clients/{client.Id}/accounts/USD",
                    $"/clients/{client.Id}/cancellations",
                    $"/clients/{client.Id}/late-reports",
                    $"/clients/{client.Id}/keys",
                    $"/clients/{client.Id}",
                    "/clients",
                    "/notifications",
                    "/cancellations?from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z",
                ]
        )
            (await host.Call("GET", path)).Status.ShouldBe(200, path);
        using var ready = await host.Internal.GetAsync(
            new Uri("/healthz/ready", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        ready.StatusCode.ShouldBe(HttpStatusCode.OK);
        await host.ShouldPassTheAudit();
    }
}
