using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: the service, in a separate process, gives each mutated or malformed request only answers that the protocol
/// allows. CANCELSERVICE_SEED repeats a run's requests; CANCELSERVICE_FUZZ_REQUESTS sets their number.
/// </summary>
[Trait(Category.Trait, Category.Seeded)]
[Collection(nameof(Alone))]
public sealed class FuzzTests(PostgresServer postgres)
{
    private const int Workers = 64;
    private const int MostTogether = 16;
    private const long MaxGrowth = 96 * 1024 * 1024;

    // Wait for an answer to a possibly incomplete request before the sender closes the connection.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, int> _outcomes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _receipts = new(StringComparer.Ordinal);
    private readonly DateTimeOffset _started = TimeProvider.System.GetUtcNow();
    private int _port;
    private int _run;
    private int _left;
    private int _answers;
    private volatile bool _hasFailed;

    // Time that requests are signed for: it changes rarely, so signatures can be cached.
    private DateTimeOffset Now =>
        _started
        + TimeSpan.FromMinutes(Math.Floor((TimeProvider.System.GetUtcNow() - _started).TotalMinutes / 10) * 10);

    [Fact]
    public async Task No_request_crashes_hangs_or_fools_the_service()
    {
        _run = Seeds.Common;
        var count = Seeds.Setting("CANCELSERVICE_FUZZ_REQUESTS", 10_000);
        var output = TestContext.Current.TestOutputHelper!;
        output.WriteLine(Invariant($"CANCELSERVICE_SEED={_run} CANCELSERVICE_FUZZ_REQUESTS={count}"));
        using var database = await TestDatabase.Create(
            PostgresServer.IsDistributed ? DatabaseProvider.Postgres : DatabaseProvider.Sqlite,
            postgres
        );
        string others;
        await using (var host = await TestHost.Start(database, systemClock: true))
            others = await Fill(host);
        await using var service = await ServiceProcess.Start([
            .. database.Settings,
            $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
            "--Database:Timeout=00:00:30",
            "--Limits:UnverifiedAnswersPerSecond=1000000", // Other tests cover these limits.
            "--Limits:UnknownClientsPerSecond=1000000",
            "--Limits:RefusalDelay=00:00:00",
            "--Api:RequestTimeTolerance=01:00:00",
            "--Api:Prefixes:0=",
            "--Api:Prefixes:1=/api",
            "--Serilog:MinimumLevel:Default=Warning",
            "--Serilog:MinimumLevel:Override:Microsoft.Hosting.Lifetime=Warning",
        ]);
        _port = service.PublicPort;

        // The first tenth warms up the process.
        var start = TimeProvider.System.GetTimestamp();
        await Run(service, count / 10);
        var before = service.Memory;
        await Run(service, count - (count / 10));
        var (seconds, ours) = (TimeProvider.System.GetElapsedTime(start).TotalSeconds, Environment.CpuUsage.TotalTime);
        var theirs = service.Process.TotalProcessorTime;
        output.WriteLine(
            Invariant($"{seconds:0} s; processor time: service {theirs.TotalSeconds:0} s, test {ours.TotalSeconds:0} s")
        );
        foreach (var (outcome, times) in _outcomes.OrderByDescending(o => o.Value))
            output.WriteLine(Invariant($"{times, 8} {outcome}"));

        // No memory, connection or exception is left over from these requests.
        output.WriteLine(Invariant($"{before >> 20} MiB after the warm-up, {service.Memory >> 20} MiB at the end"));
        await TestHost.Until(() => Task.FromResult(service.Memory - before < MaxGrowth)).Becomes(true);
        await TestHost.Until(() => Gauge(service, "kestrel_active_connections", "Public")).Becomes(0);
        await TestHost.Until(() => Gauge(service, "http_server_active_requests", "POST")).Becomes(0);
        var complaints = service
            .Output.Split('\n')
            .Where(line => line.Contains("Exception", StringComparison.OrdinalIgnoreCase));
        complaints.ShouldBeEmpty(string.Join('\n', complaints.Take(5)));
        _outcomes.ShouldContainKey("200 SUCCESS"); // Control: some requests reach the cancel rule.
        await service.Kill();

        // Each payment answered with S is cancelled once; all other rows are unchanged.
        await using var after = await TestHost.Start(database, systemClock: true);
        var client = new TestClient(new ClientId(FuzzOracle.Client), KeyPair.Merchant);
        foreach (var (id, code) in FuzzOracle.Payments)
        {
            var rows = await after.Rows(client, id);
            rows.Cancellations.ShouldBe(_receipts.ContainsKey(id) ? 1 : 0, id);
            (rows.Status is PaymentStatus.Cancelled).ShouldBe(_receipts.ContainsKey(id), id);
            (code == "SUCCESS" || !_receipts.ContainsKey(id)).ShouldBeTrue(id);
        }
        (await Dump(after)).ShouldBe(others);
    }

    // Adds the oracle's clients and payments; returns the rows that must not change.
    private static async Task<string> Fill(TestHost host)
    {
        var window = new CancelWindow.Lasting(TimeSpan.FromDays(7));
        var contract = new Contract
        {
            Window = window,
            RequestsPerSecond = 100_000,
            Burst = 100_000,
        };
        var key = KeyPair.Merchant.PublicKey;
        ClientKey[] keys =
        [
            new() { Version = 1, PublicKey = key },
            new()
            {
                Version = 2,
                PublicKey = key,
                RevokedAt = host.Now,
            },
            new()
            {
                Version = 3,
                PublicKey = key,
                NotAfter = host.Now,
            },
        ];
        var client = await host.AddClient(contract, keys: keys, id: FuzzOracle.Client);
        var other = await host.AddClient(contract with { RememberUnknown = false }, id: "OTHER");
        await host.AddClient(contract with { MayCancel = false }, id: "BARRED");
        await host.AddClient(contract with { RequestsPerSecond = 1, Burst = 1 }, id: "HASTY");
        await host.AddClient(contract, enabled: false, id: "DISABLED");
        State[] states = [State.Processing, State.Authorized, State.Success, State.Failed];
        foreach (var (id, _) in FuzzOracle.Payments.Where(payment => payment.Value == "SUCCESS"))
            await host.AddPayment(client, states[id[^1] % states.Length], id);
        await host.AddPayment(client, State.Success, "late", host.Now.AddDays(-30));
        await host.AddPayment(client, State.Captured, "captured");
        await host.AddPayment(client, State.Success, "poor", currency: "EUR");
        (await host.Post(client, -1, "EUR")).ShouldBeTrue();
        await host.AddPayment(other, State.Captured, "theirs");
        return await Dump(host);
    }

    private static Task<string> Dump(TestHost host) =>
        host.Dump(new TestClient(new ClientId("OTHER"), KeyPair.Merchant));

    private async Task Run(ServiceProcess service, int count)
    {
        _left = count;
        var failures = await Task.WhenAll(
            Enumerable
                .Range(0, Workers)
                .Select(i => Task.Run(() => Work(unchecked(_run + (count * 31) + (i * 1_000_003)))))
        );
        if (failures.FirstOrDefault(failure => failure is not null) is not var (request, problem))
            return;
        // When the process has ended, the culprit cannot be told from the other requests in flight.
        Assert.Fail(
            service.Process.HasExited
                ? $"CANCELSERVICE_SEED={_run}: the process has ended:\n{service.Output}\nRequests in flight:\n"
                    + string.Join('\n', failures.Select(failure => failure is var (r, _) ? Escaped(r.Bytes) : ""))
                : await Report(service, request, problem)
        );
    }

    // Pipelines several requests, up to a bent one, whose uncertain end closes the connection.
    private async Task<(FuzzRequest, Exception)?> Work(int seed)
    {
        var random = new Random(seed);
        FuzzRequest? last = null;
        var waiting = new Queue<FuzzRequest>();
        while (!_hasFailed)
        {
            while (last is null && waiting.Count < MostTogether && Interlocked.Decrement(ref _left) >= 0)
            {
                var request = FuzzCorpus.Next(_run, random, Now);
                if (request.IsBent)
                    last = request;
                else
                    waiting.Enqueue(request);
            }
            if (waiting.Count == 0 && last is null)
                break;
            try
            {
                await Exchange(waiting, last, Hang);
                last = waiting.Count == 0 ? null : last;
            }
            catch (Exception e)
            {
                _hasFailed = true;
                return (waiting.Count > 0 ? waiting.Peek() : last!, e);
            }
        }
        return null;
    }

    // Requests behind the end of the connection stay in the queue.
    private async Task Exchange(Queue<FuzzRequest> waiting, FuzzRequest? last, TimeSpan hang)
    {
        using var wire = new FuzzWire(hang);
        await wire.Send(_port, [.. waiting.Concat(last is null ? [] : [last]).SelectMany(request => request.Bytes)]);
        for (var answered = 0; waiting.Count > 0; answered++)
        {
            var request = waiting.Peek();
            var answer = await wire.Receive(request.Draft.Method);
            if (answer is null)
            {
                answered.ShouldBeGreaterThan(0, "A complete request got no answer.");
                return;
            }
            Judge(request, answer);
            waiting.Dequeue();
        }
        if (last is not null)
            await Finish(wire, last);
    }

    private async Task Finish(FuzzWire wire, FuzzRequest request)
    {
        if (request.Draft.IsNotHttp)
        {
            wire.EndSending();
            await wire.Drain();
            Count("not HTTP");
            return;
        }
        var answer = request.Draft.IsCut ? null : await wire.Receive(request.Draft.Method, Patience);
        wire.EndSending();
        answer ??= await wire.Receive(request.Draft.Method);
        Count(answer is null ? "no answer to an incomplete request" : "answer to a bent request");
        for (; answer is not null; answer = await wire.Receive(request.Draft.Method))
            Judge(request, answer);
    }

    private void Judge(FuzzRequest request, Answer answer)
    {
        if (answer.Status != 200)
        {
            Count(Invariant($"{answer.Status}"));
            (request.MayBePlain && answer.Status is (>= 400 and < 500) or 501 or 505).ShouldBeTrue(
                Invariant($"status {answer.Status}")
            );
            answer.Body.ShouldBeEmpty();
            return;
        }
        answer.Header("Content-Type").ShouldBe("application/json; charset=UTF-8");
        answer.Header("signature").ShouldStartWith("algorithm=RSA256,keyVersion=1,signature=");
        answer.Header("response-time").Length.ShouldBe("2026-11-23T12:00:00.000+00:00".Length);
        if (request.Draft.Method == "HEAD")
            return;
        using var json = JsonDocument.Parse(answer.Body);
        var result = json.RootElement.GetProperty("result");
        var code = result.GetProperty("resultCode").GetString()!;
        Count($"200 {code}");
        request.Allowed.Contains(code).ShouldBeTrue($"code {code}");
        result.GetProperty("resultStatus").GetString().ShouldBe(code == "SUCCESS" ? "S" : "F");
        result.GetProperty("resultMessage").GetString()!.Length.ShouldBeInRange(1, 256);
        if (code == "SUCCESS")
        {
            var payment = FuzzOracle.PaymentOf(request.Draft.Body).ShouldNotBeNull();
            json.RootElement.GetProperty("paymentId").GetString().ShouldBe(payment);
            json.RootElement.GetProperty("paymentRequestId").GetString().ShouldBe($"req-{payment}");
            _receipts.GetOrAdd(payment, answer.Text).ShouldBe(answer.Text);
        }
        else
            json.RootElement.EnumerateObject().Count().ShouldBe(1, answer.Text);
        // All answers pass the same code, so a sample suffices.
        if (
            !request.IsBent
            && !request.Draft.IsForeign
            && (code == "SUCCESS" || Interlocked.Increment(ref _answers) % 50 == 0)
        )
            answer.ShouldBeSigned(request.Draft.Method, request.Draft.Path, request.EchoedClientId);
    }

    // Reports the request without the mutations that the failure does not need.
    private async Task<string> Report(ServiceProcess service, FuzzRequest request, Exception problem)
    {
        var isAlone = await Problem(request) is not null;
        for (var i = request.Mutations.Count - 1; isAlone && i >= 0; i--)
        {
            var less = new FuzzRequest([.. request.Mutations.Where((_, at) => at != i)], request.Draft.Now);
            if (await Problem(less) is { } still)
                (request, problem) = (less, still);
        }
        return Told(isAlone ? "It fails on its own." : "It fails only among other requests.");

        string Told(string how) =>
            Invariant($"CANCELSERVICE_SEED={_run}: {problem.Message}\n{how} Mutations: ")
            + string.Join(", ", request.Mutations.Select(mutation => mutation.Name))
            + $"\nRequest: {Escaped(request.Bytes)}\nAllowed: {string.Join(", ", request.Allowed)}"
            + $"{(request.MayBePlain ? " or a plain 4xx" : "")}\nThe service's output:\n{service.Output}";

        async Task<Exception?> Problem(FuzzRequest candidate)
        {
            try
            {
                var (waiting, last) = candidate.IsBent ? (Array.Empty<FuzzRequest>(), candidate) : ([candidate], null);
                await Exchange(new(waiting), last, TimeSpan.FromSeconds(5));
                return null;
            }
            catch (Exception e)
            {
                return e;
            }
        }
    }

    // Sums the series of a gauge that have a label.
    private static async Task<double> Gauge(ServiceProcess service, string name, string label) =>
        (await service.Metrics())
            .Split('\n')
            .Where(line =>
                line.StartsWith(name, StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal)
            )
            .Sum(line => double.Parse(line.Split('}')[1].Trim().Split(' ')[0], CultureInfo.InvariantCulture));

    private void Count(string outcome) => _outcomes.AddOrUpdate(outcome, 1, (_, times) => times + 1);

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    private static string Escaped(byte[] bytes) =>
        string.Concat(
            bytes.Take(4096).Select(b => b is >= 32 and < 127 ? ((char)b).ToString() : Invariant($"\\x{b:x2}"))
        ) + (bytes.Length > 4096 ? Invariant($"... ({bytes.Length} bytes)") : "");
}

/// <summary>Connection of the fuzzer: sends any bytes, accepts only well-formed HTTP/1.1 answers.</summary>
internal sealed class FuzzWire : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly TimeSpan _hang;
    private byte[] _buffer = new byte[16 * 1024];
    private int _filled;
    private bool _ended;
    private Task _sending = Task.CompletedTask;

    // Leaves no port in TIME_WAIT.
    public FuzzWire(TimeSpan hang) => (_hang, _socket.LingerState) = (hang, new(true, 0));

    /// <summary>
    /// Connects and starts sending; the server may answer or close the connection before it has read all.
    /// </summary>
    public async Task Send(int port, byte[] bytes)
    {
        await _socket.ConnectAsync(IPAddress.Loopback, port);
        _sending = Sending(bytes);
    }

    /// <summary>Shuts down the sending side.</summary>
    public void EndSending()
    {
        try
        {
            if (_sending.IsCompleted)
                _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The server closed the connection first.
        }
    }

    /// <summary>Reads the next answer; null when the connection has ended or the patience is over.</summary>
    public async Task<Answer?> Receive(string method, TimeSpan? patience = null)
    {
        while (true)
        {
            int end;
            while ((end = _buffer.AsSpan(0, _filled).IndexOf("\r\n\r\n"u8)) < 0)
            {
                if (_ended && _filled > 0)
                    throw new InvalidDataException("The answer is incomplete.");
                if (_ended || !await More(_filled == 0 ? patience : null))
                    return null;
            }
            var head = Encoding.Latin1.GetString(_buffer, 0, end);
            var lines = head.Split("\r\n");
            var headers = lines[1..].Select(h => h.Split(": ", 2)).Select(h => (Name: h[0], Value: h[^1])).ToList();
            var isWhole =
                lines[0].StartsWith("HTTP/1.1 ", StringComparison.Ordinal)
                & lines.All(line => line.All(c => c is >= ' ' and <= '~'))
                & headers.Count == headers.DistinctBy(h => h.Name.ToUpperInvariant(), StringComparer.Ordinal).Count()
                & int.TryParse(lines[0].AsSpan(9, 3), CultureInfo.InvariantCulture, out var status);
            var length = headers.Find(h => h.Name == "Content-Length").Value;
            if (!isWhole || (!int.TryParse(length, CultureInfo.InvariantCulture, out var size) && status != 100))
                throw new InvalidDataException($"The head of the answer is malformed: {head}");
            size = method == "HEAD" ? 0 : size;
            while (_filled < end + 4 + size)
                _ = !_ended ? await More(null) : throw new InvalidDataException("The answer's body is incomplete.");
            var body = _buffer[(end + 4)..(end + 4 + size)];
            _filled -= end + 4 + size;
            Buffer.BlockCopy(_buffer, end + 4 + size, _buffer, 0, _filled);
            if (status != 100)
                return new Answer(status, headers, body);
        }
    }

    /// <summary>
    /// Reads until the connection ends, ignoring the bytes: a sender of another protocol may get any answer.
    /// </summary>
    public async Task Drain()
    {
        for (; !_ended; _filled = 0)
            await More(null);
    }

    public void Dispose() => _socket.Dispose();

    private async Task Sending(byte[] bytes)
    {
        try
        {
            for (var sent = 0; sent < bytes.Length; )
                sent += await _socket.SendAsync(bytes.AsMemory(sent));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The server has closed the connection.
        }
    }

    private async Task<bool> More(TimeSpan? patience)
    {
        if (_filled == _buffer.Length)
            Array.Resize(ref _buffer, _filled * 2);
        using var timeout = new CancellationTokenSource(patience ?? _hang);
        try
        {
            var read = await _socket.ReceiveAsync(_buffer.AsMemory(_filled), timeout.Token);
            _ended = read == 0;
            _filled += read;
        }
        catch (SocketException)
        {
            _ended = true;
        }
        catch (OperationCanceledException e)
        {
            return patience is not null
                ? false
                : throw new TimeoutException($"The service gave no answer within {_hang}.", e);
        }
        return true;
    }
}
