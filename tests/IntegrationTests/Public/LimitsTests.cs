using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: strangers and greedy clients cannot starve others, and an instance stops gracefully.</summary>
public sealed class LimitsTests(PostgresServer postgres)
{
    [Fact]
    public async Task Request_over_capacity_is_turned_away_at_once_and_later_ones_are_served()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                "--Limits:MaxConcurrentRequests=1",
                "--Limits:MaxQueuedRequests=0",
                "--Database:Timeout=00:00:10",
            ]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        await host.AddPayment(client, State.Processing, "p2");

        // A writer holds the database, so one cancel keeps the only place.
        await using var writer = new SqliteConnection(database.ConnectionString);
        await writer.OpenAsync(TestContext.Current.CancellationToken);
        await using (var transaction = await writer.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            var held = Task.Run(async () =>
            {
                var call = new CancelCall { Client = client, At = host.Now }.ToBytes();
                Answer answer;
                do answer = await Wire.Exchange(host.PublicPort, call, "POST");
                while (answer.Status == 503); // A lookup below may have taken the place.
                return answer;
            });
            // A lookup writes nothing, so it is answered while the place is free.
            var lookUp = new CancelCall
            {
                Client = client,
                At = host.Now,
                Json = """{"paymentId":"none"}""",
            };
            await TestHost
                .Until(async () => (await Wire.Exchange(host.PublicPort, lookUp.ToBytes(), "POST")).Status)
                .Becomes(503);

            var turnedAway = await Wire.Exchange(host.PublicPort, lookUp.ToBytes(), "POST");
            turnedAway.Body.ShouldBeEmpty();
            turnedAway.Header("Retry-After").ShouldBe("1");
            await transaction.RollbackAsync(TestContext.Current.CancellationToken);
            (await held).Code.ShouldBe("SUCCESS");
        }
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task Request_that_waits_too_long_is_turned_away_before_any_work()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(
            database,
            settings:
            [
                "--Limits:MaxConcurrentRequests=1",
                "--Limits:MaxQueueTime=00:00:00.1",
                "--Database:Timeout=00:00:30",
            ]
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var call = new CancelCall { Client = client, At = host.Now }.ToBytes();
        await using var writer = new SqliteConnection(database.ConnectionString);
        await writer.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await writer.BeginTransactionAsync(TestContext.Current.CancellationToken);

        // The writer blocks the first cancel, and the second waits for its place.
        var answers = Enumerable.Range(0, 2).Select(_ => Wire.Exchange(host.PublicPort, call, "POST")).ToList();
        var turnedAway = await await Task.WhenAny(answers);
        turnedAway.Status.ShouldBe(503);
        turnedAway.Header("Retry-After").ShouldBe("1");

        await transaction.RollbackAsync(TestContext.Current.CancellationToken);
        (await Task.WhenAll(answers)).Single(answer => answer.Status == 200).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task Forged_requests_are_throttled_and_use_up_no_clients_rate()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Limits:UnverifiedAnswersPerSecond=5",
            "--Limits:UnverifiedAnswersBurst=1"
        );
        var client = await host.AddClient(new() { RequestsPerSecond = 1, Burst = 1 });
        await host.AddPayment(client, State.Processing);
        var forged = new CancelCall
        {
            Client = client,
            At = host.Now,
            SignedBody = [1],
        };
        // A distinct query each, so no two answers share a cached signature.
        var forgeries = Enumerable
            .Range(0, 100)
            .Select(i => forged with { Target = $"{CancelCall.Path}?{i}" })
            .Select(call => call.ToBytes())
            .ToList();

        var clock = Stopwatch.StartNew();
        var answers = await Task.WhenAll(forgeries.Select(forgery => Wire.Exchange(host.PublicPort, forgery, "POST")));
        var seconds = clock.Elapsed.TotalSeconds;

        var answered = answers.Count(answer => answer.Status == 200);
        answered.ShouldBeInRange(1, 5 * (2 + (int)seconds));
        answers.Count(answer => answer.Status == 503).ShouldBe(100 - answered);
        // The forgeries, a hundred times the client's rate, must not use it up.
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task Lookups_of_unknown_clients_are_throttled_and_known_clients_served()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Limits:UnknownClientsPerSecond=5",
            "--Clients:CacheTime=00:05:00"
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        (await host.Cancel(client, """{"paymentId":"none"}""")).Code.ShouldBe("ORDER_NOT_EXIST"); // Caches the client.

        var clock = Stopwatch.StartNew();
        var answers = await Task.WhenAll(
            Enumerable
                .Range(0, 100)
                .Select(i => new CancelCall { Client = client with { Id = new($"made-up-{i}") }, At = host.Now })
                .Select(call => Wire.Exchange(host.PublicPort, call.ToBytes(), "POST"))
        );
        var seconds = clock.Elapsed.TotalSeconds;

        var lookedFor = answers.Count(answer => answer.Status == 200 && answer.Code == "CLIENT_INVALID");
        lookedFor.ShouldBeInRange(1, 5 * (2 + (int)seconds));
        answers.Count(answer => answer.Status == 503).ShouldBe(100 - lookedFor);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
    }

    public static readonly TheoryData<string, bool> RefusalDelays = new()
    {
        { "a good request", false },
        { "a refusal by the rules", false },
        { "a forged signature", true },
        { "another path", true },
        { "more than the contract's rate", true },
    };

    /// <summary>Goal: a connection that sends junk is slowed down, and a served client does not wait.</summary>
    [Theory]
    [MemberData(nameof(RefusalDelays))]
    public async Task Refusals_are_rate_limited_per_connection(string what, bool isDelayed)
    {
        var delay = TimeSpan.FromSeconds(1);
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            $"--Limits:RefusalDelay={delay}",
            "--Clients:CacheTime=00:05:00"
        );
        var client = await host.AddClient(
            what.Contains("rate", StringComparison.Ordinal) ? new() { RequestsPerSecond = 1, Burst = 1 } : new()
        );
        await host.AddPayment(client, State.Processing);
        var call = new CancelCall { Client = client, At = host.Now };
        // Uses up the contract's rate.
        (await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST")).Code.ShouldBe("SUCCESS");
        var (request, code) = what switch
        {
            "a forged signature" => (call with { SignedBody = [1] }, "INVALID_SIGNATURE"),
            "a refusal by the rules" => (call with { Json = """{"paymentId":"none"}""" }, "ORDER_NOT_EXIST"),
            "another path" => (call with { Target = "/v2/payments/refund" }, "INVALID_API"),
            "more than the contract's rate" => (call, "REQUEST_TRAFFIC_EXCEED_LIMIT"),
            _ => (call, "SUCCESS"),
        };

        using var connection = new KeptConnection(host.PublicPort);
        var times = new List<TimeSpan>();
        for (var i = 0; i < 20 && times.Count < 3; i++)
        {
            var clock = Stopwatch.StartNew();
            if ((await connection.Send(request.ToBytes())).Code == code) // Each second one request is within the rate.
                times.Add(clock.Elapsed);
        }

        times.Count.ShouldBe(3);
        (times.Min() > delay - TimeSpan.FromMilliseconds(20)).ShouldBe(isDelayed, times.Min().ToString());
    }

    [Fact]
    public async Task Slow_headers_time_out_while_other_requests_are_served()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Limits:HeadersTimeout=00:00:01"
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        using var slow = new TcpClient();
        await slow.ConnectAsync(IPAddress.Loopback, host.PublicPort, TestContext.Current.CancellationToken);
        await slow.GetStream()
            .WriteAsync(
                "POST /v2/payments/cancel HTTP/1.1\r\nHost: x\r\n"u8.ToArray(),
                TestContext.Current.CancellationToken
            );

        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var rest = new MemoryStream();
        await slow.GetStream().CopyToAsync(rest, deadline.Token);
        Encoding.ASCII.GetString(rest.ToArray()).ShouldStartWith("HTTP/1.1 408");
    }

    [Theory] // The service does not read the body of an unknown path; the server drains it.
    [InlineData("a chunk without a size", "/v2/payments/cancel", "\r\n\r\n12\r\n", "\r\n\r\nx\r\n", 400)]
    [InlineData("a chunk without a size", "/nowhere", "\r\n\r\n12\r\n", "\r\n\r\nx\r\n", 200)]
    [InlineData("a NUL in a trailer", "/v2/payments/cancel", "\r\n0\r\n\r\n", "\r\n0\r\nX: \0\r\n\r\n", 400)]
    [InlineData("a NUL in a trailer", "/nowhere", "\r\n0\r\n\r\n", "\r\n0\r\nX: \0\r\n\r\n", 200)]
    public async Task Malformed_HTTP_body_leaves_no_trace_in_the_log(
        string what,
        string path,
        string sound,
        string spoilt,
        int status
    )
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        TestClient client;
        await using (var host = await TestHost.Start(database, systemClock: true))
            client = await host.AddClient();
        await using var service = await ServiceProcess.Start([
            .. database.Settings,
            $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
            "--Database:Timeout=00:00:30",
        ]);
        var whole = new CancelCall
        {
            Client = client,
            At = TimeProvider.System.GetUtcNow(),
            Chunks = 1000,
        };
        var broken = Encoding
            .Latin1.GetString(whole.ToBytes())
            .Replace("/v2/payments/cancel", path, StringComparison.Ordinal)
            .Replace(sound, spoilt, StringComparison.Ordinal);

        broken.ShouldContain(spoilt, Case.Sensitive, what);
        (await Wire.Exchange(service.PublicPort, Encoding.Latin1.GetBytes(broken), "POST")).Status.ShouldBe(status);
        (await Wire.Exchange(service.PublicPort, whole.ToBytes(), "POST")).Code.ShouldBe("ORDER_NOT_EXIST");

        // The log is ordered, so any line about the broken request precedes that of the good one.
        await TestHost
            .Until(() => Task.FromResult(service.Output.Contains("ORDER_NOT_EXIST", StringComparison.Ordinal)))
            .Becomes(true);
        service.Output.ShouldNotContain("Exception");
    }

    [Fact]
    public async Task Process_may_take_its_drain_time_and_grace_time_to_stop()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Shutdown:DrainTime=00:00:00.5",
            "--Shutdown:GraceTime=00:00:07"
        );

        host.Services.GetRequiredService<IOptions<HostOptions>>()
            .Value.ShutdownTimeout.ShouldBe(TimeSpan.FromSeconds(7.5));
    }

    [Fact]
    public async Task Stopping_instance_reports_not_ready_first_and_keeps_serving()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, "--Shutdown:DrainTime=00:00:03");
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);

        var stopped = host.Stop();

        await TestHost
            .Until(async () => (await host.Internal.GetAsync(new Uri("/healthz/ready", UriKind.Relative))).StatusCode)
            .Becomes(HttpStatusCode.ServiceUnavailable);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        stopped.IsCompleted.ShouldBeFalse();
        await stopped;
        await Should.ThrowAsync<SocketException>(() => host.Cancel(client));
    }
}
