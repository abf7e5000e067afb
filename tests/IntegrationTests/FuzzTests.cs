using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Persistence;

namespace CancelService.IntegrationTests;

/// <summary>Alone, so that memory and threads are the fuzzer's and the host's.</summary>
[CollectionDefinition(nameof(FuzzTests), DisableParallelization = true)]
public sealed class Unaccompanied;

/// <summary>
/// Mutated and generated requests through real sockets. FUZZ_SEED repeats a run's requests, FUZZ_REQUESTS says how many
/// there are.
/// </summary>
[Collection(nameof(FuzzTests))]
public sealed class FuzzTests(PostgresServer postgres)
{
    private const int Workers = 8;
    private const int Batch = 12;
    private const long MaxGrowth = 64 * 1024 * 1024;

    private static readonly HashSet<string> Codes =
    [
        "INVALID_API",
        "METHOD_NOT_SUPPORTED",
        "MEDIA_TYPE_NOT_ACCEPTABLE",
        "PARAM_ILLEGAL",
        "CLIENT_INVALID",
        "KEY_NOT_FOUND",
        "INVALID_SIGNATURE",
        "ORDER_NOT_EXIST",
        "PROCESS_FAIL",
        "SUCCESS",
    ];

    private readonly ConcurrentDictionary<string, int> _outcomes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _receipts = new(StringComparer.Ordinal);
    private int _left;
    private int _signed;
    private int _verified;

    [Fact]
    public async Task No_request_crashes_hangs_or_fools_the_service()
    {
        var seed = Setting("FUZZ_SEED", Random.Shared.Next());
        var count = Setting("FUZZ_REQUESTS", 200_000);
        var output = TestContext.Current.TestOutputHelper!;
        output.WriteLine(Invariant($"FUZZ_SEED={seed} FUZZ_REQUESTS={count}"));
        var unobserved = new ConcurrentBag<Exception>();
        void Observe(object? sender, UnobservedTaskExceptionEventArgs e) => unobserved.Add(e.Exception);
        TaskScheduler.UnobservedTaskException += Observe;

        // The clock stands still, so clients are looked up once.
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Clients:CacheTime=00:00:10",
            "--Limits:UnverifiedAnswersPerSecond=1000000", // The bound on junk has a test of its own.
            "--Api:Prefixes:0=",
            "--Api:Prefixes:1=/api"
        );
        var (client, other) = (await host.AddClient(id: FuzzCorpus.Client), await host.AddClient(id: "OTHER"));
        foreach (var id in FuzzCorpus.Cancellable)
            await host.AddPayment(client, State.Success, id);
        await host.AddPayment(client, State.Captured, "captured");
        await host.AddPayment(other, State.Success, "theirs");
        await Run(host.PublicPort, seed, 2_000); // Warms up what is made once.
        (_left, _verified) = (0, 0);
        _outcomes.Clear();
        var theirs = await host.Dump(other);
        var before = GC.GetTotalMemory(forceFullCollection: true);

        var watch = Stopwatch.StartNew();
        await Run(host.PublicPort, seed + 1, count);
        output.WriteLine(Invariant($"{watch.Elapsed.TotalSeconds:0.0} s, {_verified} signatures of answers verified"));
        foreach (var (outcome, times) in _outcomes.OrderByDescending(o => o.Value))
            output.WriteLine(Invariant($"{times, 8} {outcome}"));

        // The process is well: it serves, holds no memory, has threads to spare and lost no exception.
        (await host.Cancel(client, """{"paymentId":"none"}""")).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Cancel(other, """{"paymentId":"none"}""")).Code.ShouldBe("ORDER_NOT_EXIST");
        await TestHost
            .Until(() => Task.FromResult(GC.GetTotalMemory(forceFullCollection: true) - before < MaxGrowth))
            .Becomes(true);
        output.WriteLine(Invariant($"{GC.GetTotalMemory(forceFullCollection: true) - before} bytes more are in use"));
        var queued = TimeProvider.System.GetTimestamp();
        await Task.Run(() => { }, TestContext.Current.CancellationToken);
        TimeProvider.System.GetElapsedTime(queued).ShouldBeLessThan(TimeSpan.FromSeconds(1));
        ThreadPool.ThreadCount.ShouldBeLessThan(100);
        GC.WaitForPendingFinalizers();
        TaskScheduler.UnobservedTaskException -= Observe;
        unobserved.ShouldBeEmpty();

        // What was answered S is cancelled, once; everything else is as it was.
        foreach (var id in FuzzCorpus.Cancellable)
        {
            var rows = await host.Rows(client, id);
            rows.Cancellations.ShouldBe(_receipts.ContainsKey(id) ? 1 : 0);
            rows.Status.ShouldBe(_receipts.ContainsKey(id) ? PaymentStatus.Cancelled : PaymentStatus.Success);
        }
        (await host.Rows(client, "captured")).Status.ShouldBe(PaymentStatus.Captured);
        (await host.Dump(other)).ShouldBe(theirs);
        _outcomes.ShouldContainKey("200 SUCCESS"); // The fuzzer gets through to the rule at all.
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var value)
            ? value
            : otherwise;

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    private async Task Run(int port, int seed, int count)
    {
        _left = count;
        await Task.WhenAll(
            Enumerable.Range(0, Workers).Select(i => Task.Run(() => Work(port, seed + (i * 1_000_003))))
        );
    }

    // Requests whose end is certain share a connection, many at a time; each of the others has one of its own.
    private async Task Work(int port, int seed)
    {
        using var corpus = new FuzzCorpus(seed);
        var waiting = new Queue<FuzzRequest>();
        while (true)
        {
            while (waiting.Count < Batch && Interlocked.Decrement(ref _left) >= 0)
            {
                var request = new FuzzRequest(corpus.Next());
                if (request.IsWhole)
                    waiting.Enqueue(request);
                else
                    await Guarded(() => request, () => Alone(port, request));
            }
            if (waiting.Count == 0)
                return;
            await Guarded(waiting.Peek, () => Together(port, waiting));
        }
    }

    private static async Task Guarded(Func<FuzzRequest> request, Func<Task> exchange)
    {
        try
        {
            await exchange();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"At the request {Escaped(request().Bytes)}: {e.Message}", e);
        }
    }

    // One after the other in one go; what stands behind a request that ends the connection is sent again.
    private async Task Together(int port, Queue<FuzzRequest> waiting)
    {
        using var wire = new FuzzWire(port);
        await wire.Send([.. waiting.SelectMany(request => request.Bytes)]);
        while (waiting.Count > 0)
        {
            var answer = await wire.Receive(waiting.Peek().Method);
            if (answer is null)
                break;
            Judge(waiting.Peek(), answer);
            waiting.Dequeue();
        }
        wire.Answered.ShouldBeGreaterThan(0, "a whole request was not answered");
    }

    private async Task Alone(int port, FuzzRequest request)
    {
        using var wire = new FuzzWire(port);
        await wire.Send(request.Bytes);
        // The end of a request that is not whole may never come, for the server's taste: then it is told so.
        if (request.IsCutOff || !await wire.HasAnswer())
            wire.EndSending();
        FuzzRequest rest = request;
        while (await wire.Receive(rest.Method) is { } answer)
        {
            Judge(rest, answer);
            rest = rest.Rest;
            wire.EndSending();
        }
        if (wire.Answered == 0)
            Count(request.IsCutOff ? "closed: cut off" : "closed");
    }

    private void Judge(FuzzRequest request, Answer answer)
    {
        if (answer.Status != 200)
        {
            answer.Body.ShouldBeEmpty();
            Count(Invariant($"{answer.Status}"));
            // 505: a version that is not HTTP/1.x.
            (answer.Status is >= 400 and < 500 || (answer.Status == 505 && !request.IsHttp1)).ShouldBeTrue(
                Invariant($"status {answer.Status}")
            );
            return;
        }
        answer.Header("Content-Type").ShouldBe("application/json; charset=UTF-8");
        if (request.Method != "HEAD")
        {
            Codes.Contains(answer.Code).ShouldBeTrue(answer.Code);
            answer.ResultStatus.ShouldBe(answer.Code == "SUCCESS" ? "S" : "F");
            answer.Message.Length.ShouldBeInRange(1, 256);
            Count($"200 {answer.Code}");
            if (answer.Code == "SUCCESS")
                JudgeSuccess(request, answer);
        }
        // Signatures are verified on a sample: they all come from the same line.
        if (request.Path is { } path && request.Method != "HEAD" && Interlocked.Increment(ref _signed) % 50 == 0)
        {
            answer.ShouldBeSigned(request.Method, path, request.EchoedClientId);
            Interlocked.Increment(ref _verified);
        }
    }

    private void JudgeSuccess(FuzzRequest request, Answer answer)
    {
        var payment = request.Entitled;
        payment.ShouldNotBeNull("an S without a right to it");
        answer.Member("paymentId").ShouldBe(payment);
        _receipts.GetOrAdd(payment, answer.Text).ShouldBe(answer.Text);
    }

    private void Count(string outcome) => _outcomes.AddOrUpdate(outcome, 1, (_, times) => times + 1);

    private static string Escaped(byte[] bytes) =>
        string.Concat(
            bytes.Take(4096).Select(b => b is >= 32 and < 127 ? ((char)b).ToString() : Invariant($"\\x{b:x2}"))
        );
}
