using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using CancelService.Infrastructure.Sql;
using CancelService.Load;
using Measurement = CancelService.Load.Program;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: slow clients, greedy clients and overload barely affect other clients.</summary>
[Trait(Category.Trait, Category.Full)]
[Collection(nameof(Alone))]
public sealed class GreedyTests(PostgresServer postgres)
{
    private const int Idle = 2000;
    private const int Slow = 200;
    private const int Pouring = 3;
    private const int Pipelining = 3;
    private const int Merchants = 3;
    private const int Rounds = 6;

    // Multiples of the capacity.
    private static readonly int[] Overloads = [2, 4];

    // Measured: 65 to 110 MiB for Kestrel's buffers and 2,400 connections, nearly all of it in the first seconds.
    private const long MaxGrowth = 150 * 1024 * 1024;

    [Fact]
    public async Task Slow_and_greedy_clients_barely_slow_other_clients()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        CancelCall call;
        await using (var host = await TestHost.Start(database, systemClock: true))
        {
            var client = await host.AddClient();
            await host.AddPayment(client, State.Success);
            call = new CancelCall { Client = client, At = host.Now };
        }
        string[] settings =
        [
            .. database.Settings,
            $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
            "--Database:Timeout=00:00:30",
            "--Api:RequestTimeTolerance=01:00:00",
            "--Serilog:MinimumLevel:Default=Warning",
        ];
        // The second process is the control: the machine's other load, and the crowd's own, slow both alike.
        await using var attacked = await ServiceProcess.Start(settings);
        await using var spared = await ServiceProcess.Start(settings);
        await Task.WhenAll(Latencies(attacked.PublicPort, call), Latencies(spared.PublicPort, call)); // Warms up.
        var before = attacked.Memory;

        await using var crowd = await Crowd.Gather(attacked.PublicPort, call, comesBack: true);
        // Skips the peak of the simultaneous connects.
        await Task.Delay(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        var (usual, greedy) = (new List<double>(), new List<double>());
        // A p99 rests on few samples, so a doubtful ratio is measured for twice as long.
        for (var i = 0; i < Rounds || (i < 2 * Rounds && Ratio() >= 2); i++)
        {
            var both = await Task.WhenAll(Latencies(attacked.PublicPort, call), Latencies(spared.PublicPort, call));
            greedy.AddRange(both[0]);
            usual.AddRange(both[1]);
        }
        var output = TestContext.Current.TestOutputHelper!;
        output.WriteLine(Invariant($"{usual.Count} latencies of the spared and of the attacked process each, in ms"));
        foreach (var p in (int[])[50, 99])
            output.WriteLine(Invariant($"p{p}: {Percentile(usual, p):0.0} and {Percentile(greedy, p):0.0}"));
        output.WriteLine(Invariant($"memory: {before >> 20} MiB before, {attacked.PeakMemory >> 20} MiB at its peak"));

        (attacked.PeakMemory - before).ShouldBeLessThan(MaxGrowth);
        Ratio().ShouldBeLessThan(2);

        double Ratio() => Percentile(greedy, 99) / Percentile(usual, 99);
    }

    [Fact]
    public async Task Idle_and_slow_connections_are_closed_after_the_configured_timeouts()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        CancelCall call;
        await using (var host = await TestHost.Start(database, systemClock: true))
            call = new CancelCall { Client = await host.AddClient(), At = host.Now };
        await using var service = await ServiceProcess.Start([
            .. database.Settings,
            $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
            "--Database:Timeout=00:00:30",
            "--Limits:KeepAliveTimeout=00:00:03",
            "--Limits:HeadersTimeout=00:00:02",
        ]);
        await using var crowd = await Crowd.Gather(service.PublicPort, call, comesBack: false);
        // A slow body has five seconds of grace; a body over the limit is cut off with its answer.
        await TestHost
            .Until(() => Task.FromResult(crowd.Cut))
            .Becomes($"{Idle} idle, {Pouring} pouring, {Slow} slow bodies, {Slow} slow heads");
    }

    [Fact]
    public async Task Goodput_holds_and_refusals_are_fast_over_capacity()
    {
        await using var stage = await Testbed.Open(await PostgresCluster.Start(durable: true, Testbed.Settings));
        var database = await stage.Fill("overload", payments: 2000, hotPayments: 1);
        var service = await stage.Serve(
            database,
            "--Database:Timeout=00:00:30",
            "--Serilog:MinimumLevel:Default=Warning"
        );
        var report = new Report();
        var supply = new Supply(stage, report, connections: 32, service);
        var replays = supply.Sign(Supply.Spread, 2000);
        supply.Exactly("cancelled once", Supply.Spread, 2000);

        // A pausing machine distorts some rounds, so a doubtful result is measured for twice as long.
        for (var i = 0; i < 2 && (i == 0 || IsInDoubt()); i++)
            Measurement.Overload(supply, replays, rounds: 3, TimeSpan.FromSeconds(2));

        // Each answer is S, or a plain 503 with Retry-After. A machine that pauses for a second makes the database seem
        // unreachable, and queued requests then get U; most rounds must have none.
        report.Errors.ShouldBe(report.Unknown);
        report.Of("cancelled once").Concat(report.Of("capacity")).Sum(phase => phase.Unknown).ShouldBe(0);
        Unknown(1).ShouldBe(0);
        foreach (var times in Overloads)
        {
            var (goodput, refusal) = Medians(times);
            TestContext.Current.TestOutputHelper!.WriteLine(
                Invariant($"{times} times the capacity: goodput {Shown([.. Measurement.Goodput(report, times)])}, ")
                    + Invariant($"median p99 of refusals against answers {refusal:0.00}")
            );
            Unknown(times).ShouldBe(0);
            goodput.ShouldBeGreaterThan(0.8);
            refusal.ShouldBeLessThan(1);
        }

        bool IsInDoubt() =>
            Unknown(1) > 0 || Overloads.Any(times => Unknown(times) > 0 || Medians(times) is not (> 0.8, < 1));

        double Unknown(int times) => Median([.. report.Of($"{times} x").Select(phase => (double)phase.Unknown)]);

        (double Goodput, double Refusal) Medians(int times) =>
            (
                Median([.. Measurement.Goodput(report, times)]),
                // The machine's pauses affect both sides of the ratio.
                Median([.. report.Of($"{times} x").Select(phase => (phase.TurnedAwayP99 ?? 0) / phase.P99!.Value)])
            );
    }

    // Latencies in milliseconds of some merchants with occasional requests.
    private static async Task<List<double>> Latencies(int port, CancelCall call)
    {
        var request = call.ToBytes();
        var merchants = await Task.WhenAll(Enumerable.Range(0, Merchants).Select(_ => Task.Run(Ask)));
        return [.. merchants.SelectMany(latencies => latencies)];

        async Task<List<double>> Ask()
        {
            using var connection = new KeptConnection(port);
            var latencies = new List<double>();
            for (var i = 0; i < 150; i++)
            {
                await Task.Delay(Random.Shared.Next(10, 30));
                var start = TimeProvider.System.GetTimestamp();
                (await connection.Send(request)).Code.ShouldBe("SUCCESS");
                latencies.Add(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
            }
            return latencies;
        }
    }

    private static double Percentile(List<double> values, int percent) =>
        values.Order().ElementAt(values.Count * percent / 100);

    private static double Median(List<double> values) => Percentile(values, 50);

    private static string Shown(List<double> values) =>
        string.Join(", ", values.Select(value => value.ToString("0.00", CultureInfo.InvariantCulture)));

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    /// <summary>
    /// Greedy clients: they hold connections, trickle bytes, and flood forgeries and oversized bodies.
    /// </summary>
    private sealed class Crowd : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new();
        private readonly List<Task> _clients = [];
        private bool _comesBack;
        private readonly ConcurrentDictionary<string, int> _cut = new(StringComparer.Ordinal);

        /// <summary>
        /// Counts the connections that the server has closed, by kind. Pipelining ones are left out: a busy machine may
        /// stop their client within a head, which is then a slow head.
        /// </summary>
        public string Cut =>
            string.Join(
                ", ",
                _cut.Where(c => c.Key != "pipelining")
                    .OrderBy(c => c.Key, StringComparer.Ordinal)
                    .Select(c => Invariant($"{c.Value} {c.Key}"))
            );

        /// <summary>Connects all clients and waits for them; clients that are cut off may reconnect.</summary>
        public static async Task<Crowd> Gather(int port, CancelCall call, bool comesBack)
        {
            var crowd = new Crowd { _comesBack = comesBack };
            byte[] forged = (call with { SignedBody = [1] }).ToBytes();
            var lines = Encoding.Latin1.GetString((call with { Body = new byte[100_000] }).ToBytes());
            var head = Encoding.Latin1.GetBytes(lines[..(lines.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)]);
            var connected = new List<Task>();
            Add("idle", Idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), []);
            Add(
                "slow heads",
                Slow,
                "POST /v2/payments/cancel HTTP/1.1\r\nHost: x\r\n"u8.ToArray(),
                "X: y\r\n"u8.ToArray()
            );
            Add(
                "slow bodies",
                Slow,
                Encoding.Latin1.GetBytes(
                    Encoding.Latin1.GetString(head).Replace("100000", "60000", StringComparison.Ordinal)
                ),
                "x"u8.ToArray()
            );
            Add("pouring", Pouring, [], [.. head, .. new byte[100_000]], pours: true);
            Add(
                "pipelining",
                Pipelining,
                [],
                [.. Enumerable.Repeat(forged, 100).SelectMany(bytes => bytes)],
                pours: true
            );
            await Task.WhenAll(connected);
            return crowd;

            void Add(string kind, int count, byte[] first, byte[] then, bool pours = false)
            {
                for (var i = 0; i < count; i++)
                {
                    var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    connected.Add(ready.Task);
                    crowd._clients.Add(Task.Run(() => crowd.Live(kind, port, first, then, pours, ready)));
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await Task.WhenAll(_clients);
            _end.Dispose();
        }

        private async Task Live(
            string kind,
            int port,
            byte[] first,
            byte[] then,
            bool pours,
            TaskCompletionSource ready
        )
        {
            do
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.LingerState = new LingerOption(true, 0);
                using var over = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
                var reading = Task.CompletedTask;
                try
                {
                    await socket.ConnectAsync(IPAddress.Loopback, port, _end.Token);
                    await socket.SendAsync(first, _end.Token);
                    ready.TrySetResult();
                    if (!pours) // Desynchronises the clients.
                        await Task.Delay(Random.Shared.Next(1000), _end.Token);
                    reading = Read(socket, over);
                    while (then.Length > 0 && !over.IsCancellationRequested)
                    {
                        for (var sent = 0; sent < then.Length; )
                            sent += await socket.SendAsync(then.AsMemory(sent), over.Token);
                        if (!pours)
                            await Task.Delay(TimeSpan.FromSeconds(1), over.Token);
                    }
                    await reading;
                }
                catch (Exception e) when (e is SocketException or OperationCanceledException)
                {
                    ready.TrySetResult();
                }
                await over.CancelAsync();
                await reading;
                if (!_end.IsCancellationRequested)
                    _cut.AddOrUpdate(kind, 1, (_, count) => count + 1);
            } while (_comesBack && !_end.IsCancellationRequested);
        }

        // Reads until the server closes the connection.
        private static async Task Read(Socket socket, CancellationTokenSource over)
        {
            var buffer = new byte[4096];
            try
            {
                while (await socket.ReceiveAsync(buffer, over.Token) > 0) { }
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // A reset connection is closed as well.
            }
            if (!over.IsCancellationRequested)
                await over.CancelAsync();
        }
    }
}
