using System.Collections.Concurrent;
using CancelService.Api.Exchange;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.DependencyInjection;
using Answer = CancelService.IntegrationTests.Fixtures.Answer;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: during a database outage a client that verifies against the cached keys always gets a signed
/// UNKNOWN_EXCEPTION. The cache decides nothing else, and unverified requests stay throttled.
/// </summary>
public sealed class OutageAnswersTests(PostgresServer postgres)
{
    private const int Connections = 64;
    private const int Requests = 600;

    private static readonly string[] NothingForUnverified =
    [
        "--Limits:UnverifiedAnswersPerSecond=1",
        "--Limits:UnverifiedAnswersBurst=1",
        "--Limits:MaxQueueTime=00:00:01",
        "--Database:Timeout=00:00:01",
    ];

    // Refused: no process listens on the port. Silent: the database accepts the connection and never answers.
    [Theory]
    [InlineData(false, "00:00:00")]
    [InlineData(false, "00:05:00")]
    [InlineData(true, "00:00:00")]
    [InlineData(true, "00:05:00")]
    public async Task Cached_client_gets_a_signed_U_for_every_request_during_an_outage(bool silent, string cacheTime)
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            systemClock: true,
            settings:
            [
                TcpForwarder.Setting(database.ConnectionString, network.Port),
                .. NothingForUnverified,
                $"--Clients:CacheTime={cacheTime}",
            ]
        );
        var client = await host.AddClient();
        await IsAnswered(host, client, "ORDER_NOT_EXIST"); // Caches the client.
        if (silent)
            network.FallSilent();
        else
            await network.DisposeAsync();

        var left = Requests;
        var codes = new ConcurrentBag<string>();
        await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => Task.Run(Ask)));

        codes.Count.ShouldBe(Requests);
        codes.Distinct(StringComparer.Ordinal).ShouldBe(["UNKNOWN_EXCEPTION"]);

        async Task Ask()
        {
            using var connection = new KeptConnection(host.PublicPort);
            for (var i = Interlocked.Decrement(ref left); i >= 0; i = Interlocked.Decrement(ref left))
            {
                var call = new CancelCall
                {
                    Client = client,
                    At = host.Now,
                    Json = $$"""{"paymentId":"p{{i}}"}""",
                };
                var answer = await connection.Send(call.ToBytes());
                if (answer.Status == 200)
                    answer.ShouldBeSigned("POST", call.Target, client.Id.Value);
                codes.Add(answer.Status == 200 ? answer.Code : $"{answer.Status}");
            }
        }
    }

    [Fact]
    public async Task Request_without_a_place_gets_U_at_once_while_the_database_is_silent()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                TcpForwarder.Setting(database.ConnectionString, network.Port),
                "--Limits:MaxConcurrentRequests=1",
                "--Limits:MaxQueueTime=00:01:00",
                "--Database:Timeout=00:01:00",
            ]
        );
        var client = await host.AddClient();
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
        network.FallSilent();
        _ = host.Cancel(client); // It holds the only place and waits for the database.
        var watch = host.Services.GetRequiredService<DatabaseWatch>();
        await TestHost
            .Until(() =>
            {
                host.Clock.Advance(TimeSpan.FromSeconds(1.1));
                return Task.FromResult(watch.IsAway);
            })
            .Becomes(true);

        var answer = await host.Cancel(client)
            .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        answer.Code.ShouldBe("UNKNOWN_EXCEPTION");
        await network.DisposeAsync(); // Ends the first cancel's wait of a minute.
    }

    [Fact]
    public async Task Cached_keys_permit_only_a_signed_U_during_an_outage()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        var port = TcpForwarder.ClosedPort();
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            settings: [TcpForwarder.Setting(database.ConnectionString, port), .. NothingForUnverified]
        );
        await using var direct = await TestHost.Start(database);
        var client = await direct.AddClient();
        await using (new TcpForwarder(database.ConnectionString, port))
            await IsAnswered(host, client, "ORDER_NOT_EXIST");

        // The instance cannot see this revocation.
        await direct.Execute("UPDATE client_keys SET revoked_at = now()");
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");

        await using var repaired = new TcpForwarder(database.ConnectionString, port);
        await host.Ready();
        await IsAnswered(host, client, "KEY_NOT_FOUND");
    }

    [Fact]
    public async Task Unverified_requests_stay_throttled_during_an_outage()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), .. NothingForUnverified]
        );
        var client = await host.AddClient();
        await IsAnswered(host, client, "ORDER_NOT_EXIST");
        await network.DisposeAsync();

        var start = TimeProvider.System.GetTimestamp();
        var answers = new List<Answer>();
        for (var i = 0; i < 40; i++)
        {
            var call = new CancelCall { Client = client, At = host.Now };
            call =
                i % 2 == 0
                    ? call with
                    {
                        Client = client with { Id = new ClientId($"NOBODY-{i}") },
                    }
                    : call with
                    {
                        Key = KeyPair.Other,
                        Target = $"{CancelCall.Path}?{i}",
                    };
            answers.Add(await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST"));
        }
        var allowed = 2 + (int)TimeProvider.System.GetElapsedTime(start).TotalSeconds;

        var signed = answers.Where(answer => answer.Status == 200).ToList();
        signed.Count.ShouldBeLessThanOrEqualTo(allowed);
        signed.ShouldAllBe(answer => answer.Code == "UNKNOWN_EXCEPTION");
        answers.ShouldAllBe(answer => answer.Status == 200 || answer.Status == 503);
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
    }

    // The one-second timeout may strike on a slow machine; the first answer is then U.
    private static Task IsAnswered(TestHost host, TestClient client, string code) =>
        TestHost
            .Until(async () => await host.Cancel(client) is { Status: 200 } answer ? answer.Code : "")
            .Becomes(code);
}
