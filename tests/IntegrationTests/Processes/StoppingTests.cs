using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using CancelService.Infrastructure.Notifications;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CancelService.IntegrationTests.Processes;

/// <summary>
/// Goal: stopping and starting instances loses no request, gives no wrong answer and leaves no event claimed.
/// </summary>
public sealed class StoppingTests
{
    [Fact]
    public async Task Instance_drains_on_SIGTERM_finishes_requests_and_releases_its_claims()
    {
        // Long enough for the slowest machine to observe that the draining instance still serves.
        var (drainTime, graceTime) = (TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(60));
        var answersAfter = TimeSpan.FromSeconds(1);
        await using var receiver = await Receiver.Start(async _ =>
        {
            await Task.Delay(answersAfter);
            return 200;
        });
        await using var server = await PostgresCluster.Start(durable: true);
        using var database = TestDatabase.Of(server.ConnectionString);
        await using var books = await Books(database);
        var client = await books.AddClient();
        var payments = await AddPayments(books, client, 600);
        await using var service = await ServiceProcess.Start([
            .. Settings(database),
            $"--Shutdown:DrainTime={drainTime}",
            $"--Shutdown:GraceTime={graceTime}",
            $"--Notifications:Url={receiver.Root}/",
            Receiver.SecretSetting,
            "--Notifications:PollInterval=00:00:00.050",
            "--Notifications:Concurrency=4",
            "--Notifications:ClaimTime=00:10:00",
        ]);

        // More events than the slow receiver takes, so the relay always holds many claims.
        foreach (var payment in payments[..100])
            (await Cancel(service, payment)).Code.ShouldBe("SUCCESS");
        await TestHost.Until(() => Task.FromResult(!receiver.Received.IsEmpty)).Becomes(true);

        // Row locks keep these cancels in flight until the test releases them.
        var (held, steady) = (payments[100..105], payments[105..]);
        await using var locking = new NpgsqlConnection(server.ConnectionString);
        await locking.OpenAsync(TestContext.Current.CancellationToken);
        await Sql(locking, $"BEGIN; SELECT FROM payments WHERE payment_id IN ({Quoted(held)}) FOR UPDATE");
        var inFlight = held.Select(payment => Cancel(service, payment)).ToArray();
        await TestHost
            .Until(() => Sql(locking, "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"))
            .Becomes(held.Length);
        await using var load = new Load(service.PublicPort, connections: 4, steady);
        await load.Reaches(20);

        var (stoppedAt, stopping) = (TimeProvider.System.GetUtcNow(), Stopwatch.StartNew());
        service.Terminate();
        await TestHost.Until(() => Ready(service)).Becomes(HttpStatusCode.ServiceUnavailable);
        stopping.Elapsed.ShouldBeLessThan(drainTime);
        var answered = load.Answers.Count;
        await load.Reaches(answered + 20);
        stopping.Elapsed.ShouldBeLessThan(drainTime);

        await TestHost.Until(() => Wire.Listens(service.PublicPort)).Becomes(false);
        stopping.Elapsed.ShouldBeGreaterThan(drainTime);
        service.Process.HasExited.ShouldBeFalse();
        inFlight.ShouldAllBe(request => !request.IsCompleted);
        await Sql(locking, "ROLLBACK");
        foreach (var answer in await Task.WhenAll(inFlight))
            answer.Code.ShouldBe("SUCCESS");
        await service
            .Process.WaitForExitAsync(TestContext.Current.CancellationToken)
            .WaitAsync(graceTime, TestContext.Current.CancellationToken);
        stopping.Elapsed.ShouldBeLessThan(drainTime + graceTime);
        service.Process.ExitCode.ShouldBe(0, service.Output);

        // Requests sent before the listener closed are answered; the load balancer keeps later ones away.
        await load.Stop();
        load.Lost.Where(lost => lost.At < stoppedAt + drainTime).ShouldBeEmpty();
        load.ShouldBeRight();

        // No claim remains, no attempt is counted, and no event was sent without being marked delivered.
        var (now, rows) = (books.Now, await Outbox(books));
        var waiting = rows.FindAll(row => row.DeliveredAt is null);
        waiting.Count.ShouldBeGreaterThan(10);
        waiting.ShouldAllBe(row => row.DueAt <= now && row.Attempts == 0);
        receiver.Received.Count.ShouldBe(rows.Count - waiting.Count);

        // The next instance therefore resumes delivery at once.
        answersAfter = TimeSpan.Zero;
        service.Launch();
        await service.Ready();
        await TestHost.Until(async () => (await Outbox(books)).Count(row => row.DeliveredAt is null)).Becomes(0);
        receiver
            .Received.Select(received => received.Member("id"))
            .Distinct(StringComparer.Ordinal)
            .Count()
            .ShouldBe(rows.Count);
        receiver.Received.Count.ShouldBe(rows.Count);
        await books.ShouldPassTheAudit();
    }

    [Trait(Category.Trait, Category.Full)]
    [Fact]
    public async Task Rolling_restart_behind_a_load_balancer_loses_no_request()
    {
        await using var server = await PostgresCluster.Start(durable: true);
        using var database = TestDatabase.Of(server.ConnectionString);
        await using var books = await Books(database);
        var client = await books.AddClient();
        var payments = await AddPayments(books, client, 2000);
        await using var one = await ServiceProcess.Start(Settings(database));
        await using var two = await ServiceProcess.Start(Settings(database));
        await using var balancer = await LoadBalancer.Start(one, two);

        await using var load = new Load(balancer.Port, connections: 8, payments);
        await load.Reaches(100);
        foreach (var instance in (ServiceProcess[])[one, two, one, two])
        {
            var answered = load.Answers.Count;
            instance.Terminate();
            await instance.Process.WaitForExitAsync(TestContext.Current.CancellationToken);
            instance.Process.ExitCode.ShouldBe(0, instance.Output);
            instance.Launch();
            await instance.Ready();
            load.Answers.Count.ShouldBeGreaterThan(answered + 100);
        }
        await load.Reaches(load.Answers.Count + 100);
        await load.Stop();

        load.Lost.ShouldBeEmpty();
        load.ShouldBeRight();
        await books.ShouldPassTheAudit();
        TestContext.Current.SendDiagnosticMessage("{0} requests, none lost", load.Answers.Count);
    }

    private static string[] Settings(TestDatabase database) =>
        [
            .. database.Settings,
            $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
            "--Api:RequestTimeTolerance=00:30:00", // Requests are signed before the load begins.
            "--Database:Timeout=00:00:45", // In-flight requests outlast the drain time.
            "--Limits:MaxQueueTime=00:01:00", // No request is turned away on a slow machine.
        ];

    // An idle host that prepares and inspects the database.
    private static Task<TestHost> Books(TestDatabase database) =>
        TestHost.Start(database, systemClock: true, settings: ["--Database:MigrateAtStart=true"]);

    private static async Task<SignedCancel[]> AddPayments(TestHost books, TestClient client, int count)
    {
        await books.Post(client, State.Amount);
        var payments = new ConcurrentBag<SignedCancel>();
        await Parallel.ForEachAsync(
            Enumerable.Range(0, count),
            TestContext.Current.CancellationToken,
            async (i, _) =>
            {
                var id = $"p{i:D6}";
                await books.AddPayment(client, i % 2 == 0 ? State.Processing : State.Success, id);
                var call = new CancelCall
                {
                    Client = client,
                    At = books.Now,
                    Json = $$"""{"paymentId":"{{id}}"}""",
                };
                payments.Add(new SignedCancel(client, id, call.ToBytes()));
            }
        );
        return [.. payments.OrderBy(payment => payment.PaymentId, StringComparer.Ordinal)];
    }

    private static async Task<Answer> Cancel(ServiceProcess service, SignedCancel payment)
    {
        var answer = await Wire.Exchange(service.PublicPort, payment.Request, "POST");
        payment.ShouldBeAnsweredBy(answer);
        return answer;
    }

    private static async Task<HttpStatusCode> Ready(ServiceProcess service)
    {
        using var http = new HttpClient();
        using var response = await http.GetAsync(
            new Uri($"http://127.0.0.1:{service.InternalPort}/healthz/ready"),
            TestContext.Current.CancellationToken
        );
        return response.StatusCode;
    }

    private static async Task<long> Sql(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken) as long? ?? 0;
    }

    private static string Quoted(IEnumerable<SignedCancel> payments) =>
        string.Join(", ", payments.Select(payment => $"'{payment.PaymentId}'"));

    private static async Task<List<OutboxRow>> Outbox(TestHost books)
    {
        await using var db = books.Db();
        return await db.Set<OutboxRow>().AsNoTracking().ToListAsync();
    }
}

/// <summary>A cancel request, signed before the load begins.</summary>
internal sealed record SignedCancel(TestClient Client, string PaymentId, byte[] Request)
{
    public void ShouldBeAnsweredBy(Answer answer)
    {
        answer.ShouldBeSigned("POST", CancelCall.Path, Client.Id.Value);
        answer.Code.ShouldBe("SUCCESS", answer.Text);
        answer.Member("paymentId").ShouldBe(PaymentId);
    }
}

/// <summary>
/// Merchants' servers that cancel payment after payment and repeat each cancel a few times, at a steady pace on
/// persistent connections, until they are stopped. Once the payments run out they only repeat.
/// </summary>
internal sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(50);

    private readonly CancellationTokenSource _stop = new();
    private readonly SignedCancel[] _payments;
    private readonly Task _work;
    private int _next;

    public Load(int port, int connections, SignedCancel[] payments)
    {
        _payments = payments;
        _work = Task.WhenAll(Enumerable.Range(0, connections).Select(_ => Task.Run(() => Work(port))));
    }

    public ConcurrentQueue<(SignedCancel Payment, Answer Answer)> Answers { get; } = new();

    /// <summary>Requests without an answer, with the time at which each was sent.</summary>
    public ConcurrentQueue<(DateTimeOffset At, string Problem)> Lost { get; } = new();

    public Task Reaches(int answers) =>
        TestHost.Until(() => Task.FromResult(Answers.Count >= answers || !Lost.IsEmpty)).Becomes(true);

    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _work;
    }

    /// <summary>
    /// Fails unless every answer is a signed success and each payment always got the same body, byte for byte.
    /// </summary>
    public void ShouldBeRight()
    {
        Answers.ShouldNotBeEmpty();
        Parallel.ForEach(Answers, pair => pair.Payment.ShouldBeAnsweredBy(pair.Answer));
        foreach (var ofOne in Answers.GroupBy(pair => pair.Payment.PaymentId, StringComparer.Ordinal))
            ofOne.Select(pair => pair.Answer.Text).Distinct(StringComparer.Ordinal).ShouldHaveSingleItem();
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        _stop.Dispose();
    }

    private async Task Work(int port)
    {
        using var connection = new KeptConnection(port);
        while (!_stop.IsCancellationRequested)
        {
            var payment = _payments[(Interlocked.Increment(ref _next) - 1) % _payments.Length];
            for (var time = 0; time < 4; time++)
            {
                var at = TimeProvider.System.GetUtcNow();
                try
                {
                    Answers.Enqueue((payment, await connection.Send(payment.Request)));
                }
                catch (Exception e)
                {
                    Lost.Enqueue((at, e.Message));
                }
                await Task.Delay(Pace, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            if (Random.Shared.Next(20) == 0)
                connection.Dispose(); // Merchants reconnect now and then.
        }
    }
}
