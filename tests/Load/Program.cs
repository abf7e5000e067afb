using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using CancelService.Harness;
using Npgsql;

namespace CancelService.Load;

/// <summary>
/// Measures the cost of a cancel relative to a baseline. Figures are ratios of phases that alternate in one run, so
/// that the variance of a shared machine affects both sides alike.
/// </summary>
internal static class Program
{
    private const string Usage = """
        dotnet run -c Release --project tests/Load -- [command] [--option=value ...]
          bench      (default) every scenario, with pgbench as the baseline
          inquiry    cancels, inquiries and replays in turn
          growth     the spread scenario on databases of 50 thousand, 500 thousand and 5 million payments
          instances  the spread scenario on 1, 2 and 4 instances
          compare    the spread scenario on this service and on another, of --with=FOLDER, in turn on one database
          citus      the spread scenario on PostgreSQL and on the Citus whose coordinator CANCELSERVICE_TEST_POSTGRES names, in turn
          standby    cancels and repeats with and without a synchronous standby, in turn; then promotions until the first S
          overload   replays at 1, 2 and 4 times the capacity
          soak       full load for minutes, with the memory of the service
          start      the time of a Release build from start to ready
          statements PostgreSQL's time by statement (pg_stat_statements)
          micro      BenchmarkDotNet on the parts of a cancel that need no database
        --rounds=5 --seconds=10 --connections=32 --payments=500000 --minutes=10 --json=load.json
        --service=FOLDER   the folder of a published service; by default the build of this program is measured
        """;

    private static readonly Dictionary<string, string> Options = new(StringComparer.Ordinal)
    {
        ["rounds"] = "5",
        ["seconds"] = "10",
        ["connections"] = "32",
        ["payments"] = "500000",
        ["minutes"] = "10",
        ["json"] = "load.json",
        ["service"] = "",
        ["with"] = "",
    };

    private static readonly Report Report = new();

    private static int Rounds => Number("rounds");

    private static TimeSpan Time => TimeSpan.FromSeconds(Number("seconds"));

    private static int Connections => Number("connections");

    public static async Task<int> Main(string[] args)
    {
        foreach (var option in args.Where(arg => arg.StartsWith("--", StringComparison.Ordinal)))
        {
            if (option[2..].Split('=') is not [var name, { Length: > 0 } value] || !Options.ContainsKey(name))
            {
                await Console.Error.WriteLineAsync($"'{option}' is not an option.\n{Usage}");
                return 2;
            }
            Options[name] = value;
        }
        var command = args.FirstOrDefault(arg => !arg.StartsWith("--", StringComparison.Ordinal)) ?? "bench";
        if (command == "micro")
        {
            Micro.Run();
            return 0;
        }
        string[] settings = command is "statements"
            ? ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on"]
            : [];
        // PostgreSQL runs from the machine's own programs, because a container's network would distort the figures.
        var postgres = await PostgresPrograms.Start(durable: true, [.. Testbed.Settings, .. settings]);
        await using var stage = await Testbed.Open(
            postgres,
            Options["service"] is { Length: > 0 } folder ? Path.Combine(folder, "CancelService.Api.dll") : null
        );
        Console.CancelKeyPress += (_, _) => stage.DisposeAsync().AsTask().GetAwaiter().GetResult();
        switch (command)
        {
            case "bench":
                await Bench(stage, new Pgbench(postgres, "bench"));
                break;
            case "inquiry":
                await Inquiry(stage);
                break;
            case "growth":
                await Growth(stage);
                break;
            case "instances":
                await Instances(stage);
                break;
            case "compare":
                await Compare(stage);
                break;
            case "citus":
                await Citus(stage);
                break;
            case "standby":
                await Standby();
                break;
            case "overload":
                await Overload(stage);
                break;
            case "soak":
                await Soak(stage);
                break;
            case "start":
                await Start(stage);
                break;
            case "statements":
                await Statements(stage);
                break;
            default:
                await Console.Error.WriteLineAsync($"'{command}' is not a command.\n{Usage}");
                return 2;
        }
        Report.Save(Options["json"]);
        return Report.Errors == 0 ? 0 : 1;
    }

    private static int Number(string option) => int.Parse(Options[option], CultureInfo.InvariantCulture);

    private static async Task Bench(Testbed stage, Pgbench pgbench)
    {
        Console.WriteLine("Filling ...");
        var database = await stage.Fill("bench", Number("payments"), Number("payments"));
        var service = await stage.Serve(database);
        var supply = new Supply(stage, Report, Connections, service);

        // The warm-up compiles code, fills caches and shows how many requests a round needs.
        supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(20));
        supply.Closed("warm-up", 0, Supply.Hot, TimeSpan.FromSeconds(5));
        await pgbench.Run(hot: false, supply.Take(Supply.Spread, 20_000), Connections, 2);

        var crypto = new List<double>();
        for (var round = 1; round <= Rounds; round++)
        {
            crypto.Add(SignAndVerify(stage));
            await Yardstick("pgbench spread", hot: false, round);
            var (spread, cancelled) = supply.Closed("spread", round, Supply.Spread, Time);
            await Yardstick("pgbench hot", hot: true, round);
            supply.Closed("hot", round, Supply.Hot, Time);
            supply.Repeated("replay", round, cancelled, "SUCCESS", Time);
            supply.Repeated(
                "window closed",
                round,
                supply.Sign(Supply.Late, Testbed.LatePayments),
                "CANCEL_WINDOW_EXCEED",
                Time
            );
            supply.Repeated("inquiry", round, Inquiries(supply), "SUCCESS", Time);
            supply.Repeated("unknown payment", round, supply.Sign(Supply.Unknown, 1000), "ORDER_NOT_EXIST", Time);
            supply.Repeated(
                "bad signature",
                round,
                supply.Sign(Supply.Spread, 5000, forged: true),
                "INVALID_SIGNATURE",
                Time
            );
            supply.Open("spread at half load", round, Supply.Spread, spread.PerSecond / 2, Time);
            supply.Open("hot at half load", round, Supply.Hot, Report.Of("hot")[^1].PerSecond / 2, Time);
            if (supply.Next(Supply.Spread) > Number("payments"))
                throw new InvalidOperationException("All payments were used before the end. Raise --payments.");
        }

        Console.WriteLine();
        Report.Ratio("cancels/s, spread, to pgbench's", "spread", "pgbench spread", "0.50");
        Report.Ratio("cancels/s, one hot merchant, to our own spread", "hot", "spread", "0.90");
        Report.Ratio("cancels/s, hot, to pgbench's hot", "hot", "pgbench hot", "1.0");
        Report.Ratio("replays/s to spread cancels/s", "replay", "spread", "1.5");
        Report.Ratio("inquiries/s to spread cancels/s", "inquiry", "spread", "2.5");
        Report.Ratio("bad signatures refused/s to spread cancels/s", "bad signature", "spread", "3");
        Report.Ratio("window closed/s to spread cancels/s", "window closed", "spread");
        Report.Ratio("unknown payment/s to spread cancels/s", "unknown payment", "spread");
        Report.Add(new Figure("RSA sign + RSA verify, ms of CPU", crypto));
        Report.Add(
            new Figure(
                "service CPU per cancel to (RSA sign + RSA verify)",
                [.. Report.Of("spread").Zip(crypto).Select(pair => pair.First.ServiceCpu!.Value / pair.Second)],
                "at most 2.0"
            )
        );
        foreach (var scenario in new[] { "spread at half load", "hot at half load" })
            Report.Add(
                new Figure(
                    $"p99 to p50, {scenario}",
                    [.. Report.Of(scenario).Select(p => p.P99!.Value / p.P50!.Value)],
                    "at most 5"
                )
            );
        Report.Add(new Figure("peak memory of the service, MB", [service.PeakMemory / 1e6]));

        async Task Yardstick(string scenario, bool hot, int round)
        {
            var which = hot ? Supply.Hot : Supply.Spread;
            var (cpu, wal) = (stage.DatabaseCpu(), await stage.Wal());
            var (perSecond, transactions) = await pgbench.Run(
                hot,
                supply.Next(which),
                Connections,
                (int)Time.TotalSeconds
            );
            // Slow connections leave gaps, so the next phase begins after the last payment of the fastest connection.
            var last = await stage.Lines(
                "bench",
                $"SELECT max(substr(payment_id, 5)::bigint)::text FROM payment_history WHERE action = 'CANCEL' AND payment_id LIKE '{which}-%'"
            );
            supply.Take(which, long.Parse(last.Single(), CultureInfo.InvariantCulture) + 1 - supply.Next(which));
            // pgbench's transactions share locks on the row of the hot account, and index entries of row versions with
            // shared locks stay until a vacuum. The next phase must not pay for them.
            await stage.Execute("bench", "VACUUM accounts");
            Report.Add(
                new Phase(scenario, round, perSecond)
                {
                    Requests = (int)transactions,
                    DatabaseCpu = (stage.DatabaseCpu() - cpu) / transactions,
                    Wal = (double)(await stage.Wal() - wal) / transactions,
                }
            );
        }
    }

    private static SignedRequest[] Inquiries(Supply supply) =>
        supply.Sign(Supply.Spread, 20_000, path: SignedRequest.Inquiry);

    private static async Task Inquiry(Testbed stage)
    {
        Console.WriteLine("Filling ...");
        var database = await stage.Fill("inquiry", Number("payments"), 1);
        var supply = new Supply(stage, Report, Connections, await stage.Serve(database));
        supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(15));
        supply.Repeated("warm-up", 0, Inquiries(supply), "SUCCESS", TimeSpan.FromSeconds(5));
        for (var round = 1; round <= Rounds; round++)
        {
            var (_, cancelled) = supply.Closed("spread", round, Supply.Spread, Time);
            supply.Repeated("inquiry", round, Inquiries(supply), "SUCCESS", Time);
            supply.Repeated("replay", round, cancelled, "SUCCESS", Time);
        }
        Console.WriteLine();
        Report.Ratio("inquiries/s to spread cancels/s", "inquiry", "spread", "2.5");
        Report.Ratio("replays/s to spread cancels/s", "replay", "spread");
    }

    private static async Task Growth(Testbed stage)
    {
        var sizes = new (string Name, int Payments)[] { ("50k", 50_000), ("500k", 500_000), ("5m", 5_000_000) };
        var supplies = new List<(string Name, Supply Supply)>();
        foreach (var (name, payments) in sizes)
        {
            Console.WriteLine($"Filling {payments} payments ...");
            var database = await stage.Fill($"growth_{name}", payments, 1);
            var supply = new Supply(stage, Report, Connections, await stage.Serve(database));
            supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(5));
            supplies.Add((name, supply));
        }
        // A round must not exhaust the payments of the smallest database.
        var time = TimeSpan.FromSeconds(Math.Min(Time.TotalSeconds, 25.0 / Rounds));
        for (var round = 1; round <= Rounds; round++)
        {
            foreach (var (name, supply) in supplies)
                supply.Closed($"spread of {name}", round, Supply.Spread, time);
        }
        Console.WriteLine();
        Report.Ratio("cancels/s, 500 thousand payments to 50 thousand", "spread of 500k", "spread of 50k");
        Report.Ratio("cancels/s, 5 million payments to 50 thousand", "spread of 5m", "spread of 50k", "0.90");
    }

    private static async Task Instances(Testbed stage)
    {
        Console.WriteLine("Filling ...");
        var database = await stage.Fill("instances", Number("payments"), 1);
        var all = new List<ServiceProcess>();
        for (var i = 0; i < 4; i++)
            all.Add(await stage.Serve(database));
        var supply = new Supply(stage, Report, Connections, [.. all]);
        supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(10));
        for (var round = 1; round <= Rounds; round++)
        {
            foreach (var count in new[] { 1, 2, 4 })
                supply.Closed($"{count} instances", round, Supply.Spread, Time, [.. all.Take(count)]);
        }
        Console.WriteLine();
        Report.Ratio("cancels/s, 2 instances to 1", "2 instances", "1 instances");
        Report.Ratio("cancels/s, 4 instances to 1", "4 instances", "1 instances");
    }

    // Both services run on one schema, because a release also runs on the schema of the next one.
    private static async Task Compare(Testbed stage)
    {
        Console.WriteLine("Filling ...");
        var database = await stage.Fill("compare", Number("payments"), 1);
        var current = await stage.Serve(database);
        var other = await stage.ServeBy(Path.Combine(Options["with"], "CancelService.Api.dll"), database);
        var supply = new Supply(stage, Report, Connections, current, other);
        supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(20));
        for (var round = 1; round <= Rounds; round++)
        {
            var both = new[] { ("this", current), ("other", other) };
            // The order alternates, so that neither service always runs first.
            foreach (var (name, instance) in round % 2 == 0 ? both.Reverse() : both)
                supply.Closed(name, round, Supply.Spread, Time, [instance]);
        }
        Console.WriteLine();
        Report.Ratio("cancels/s, this service to the other", "this", "other", "0.97");
    }

    private static async Task Citus(Testbed stage)
    {
        const string Database = "cancelservice_load";
        var nodes = await CitusNodes.Of(
            Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_POSTGRES")
                ?? throw new InvalidOperationException(
                    "CANCELSERVICE_TEST_POSTGRES names no coordinator of Citus. Set it to the connection string of one."
                )
        );
        foreach (var node in nodes)
        {
            await CitusNodes.Execute(node, "postgres", $"DROP DATABASE IF EXISTS {Database} WITH (FORCE)");
            await CitusNodes.Execute(node, "postgres", $"CREATE DATABASE {Database}");
        }
        await CitusNodes.Join(nodes, Database);
        await using var cluster = await Testbed.Open(
            new GivenPostgres(nodes[0]),
            Options["service"] is { Length: > 0 } folder ? Path.Combine(folder, "CancelService.Api.dll") : null
        );
        Console.WriteLine("Filling ...");
        var one = await stage.Fill("one", Number("payments"), 1);
        var several = await cluster.FillEmpty(Database, Number("payments"), 1);
        var started = Stopwatch.GetTimestamp();
        await cluster.Migrate(Database, distribute: true);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Distributed {Number("payments")} payments in {Stopwatch.GetElapsedTime(started).TotalSeconds:F0} s"
            )
        );
        foreach (var node in nodes)
            await CitusNodes.Execute(node, Database, "VACUUM ANALYZE");

        (string Name, Supply Supply)[] both =
        [
            ("PostgreSQL", new Supply(stage, Report, Connections, await stage.Serve(one))),
            ("Citus", new Supply(cluster, Report, Connections, await cluster.Serve(several))),
        ];
        foreach (var (_, supply) in both)
            supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(15));
        for (var round = 1; round <= Rounds; round++)
        {
            foreach (var (name, supply) in round % 2 == 0 ? both.Reverse() : both)
            {
                var (_, cancelled) = supply.Closed(name, round, Supply.Spread, Time);
                supply.Repeated($"{name}, replay", round, cancelled, "SUCCESS", Time);
            }
        }
        Console.WriteLine();
        Report.Ratio("cancels/s, Citus to PostgreSQL", "Citus", "PostgreSQL");
        Report.Ratio("replays/s, Citus to PostgreSQL", "Citus, replay", "PostgreSQL, replay");
    }

    // The standby replicates in both cases; the only difference is that the primary waits for it.
    private static async Task Standby()
    {
        await using var pair = await ReplicatedPostgres.Start(durable: true);
        await using var stage = await Testbed.Open(
            new GivenPostgres(pair.First),
            Options["service"] is { Length: > 0 } folder ? Path.Combine(folder, "CancelService.Api.dll") : null
        );
        Console.WriteLine("Filling ...");
        var database = await stage.Fill("standby", Number("payments"), 1);
        var service = await stage.Serve(
            $"{pair.Either};Database={new NpgsqlConnectionStringBuilder(database).Database}"
        );
        var supply = new Supply(stage, Report, Connections, service);
        supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(15));
        (string Name, string Standbys)[] both = [("with a standby", "second"), ("without", "")];
        for (var round = 1; round <= Rounds; round++)
        {
            foreach (var (name, standbys) in round % 2 == 0 ? both.Reverse() : both)
            {
                await pair.OnFirst($"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'");
                await pair.OnFirst("SELECT pg_reload_conf()");
                await Task.Delay(TimeSpan.FromSeconds(2)); // The service refreshes its view of standbys every second.
                var (_, cancelled) = supply.Closed(name, round, Supply.Spread, Time);
                supply.Repeated($"{name}, repeats", round, cancelled, "SUCCESS", Time);
            }
        }
        Console.WriteLine();
        Report.Ratio("cancels/s with a standby to those without", "with a standby", "without");
        Report.Ratio("repeats/s with a standby to those without", "with a standby, repeats", "without, repeats");
        Report.Ratio("repeats/s to cancels/s, with a standby", "with a standby, repeats", "with a standby", "1.2");
        Report.Ratio("repeats/s to cancels/s, without", "without, repeats", "without");

        await pair.OnFirst("ALTER SYSTEM SET synchronous_standby_names = 'second'");
        await pair.OnFirst("SELECT pg_reload_conf()");
        var (afterKill, afterPromotion) = (new List<double>(), new List<double>());
        for (var round = 1; round <= Rounds; round++)
        {
            var requests = supply.Sign(Supply.Spread, 2000);
            supply.Take(Supply.Spread, requests.Length);
            var failingOver = pair.FailOver();
            var first = await Traffic.FirstSuccess(service, requests, () => pair.KilledAt, failingOver);
            await failingOver;
            afterKill.Add(Stopwatch.GetElapsedTime(pair.KilledAt, first).TotalSeconds);
            afterPromotion.Add(Math.Max(0, Stopwatch.GetElapsedTime(pair.PromotedAt, first).TotalSeconds));
            await pair.Until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
        }
        Report.Add(new Figure("from the primary's end to the first S, s", afterKill));
        Report.Add(new Figure("from the end of the promotion to the first S, s", afterPromotion, "at most 3"));
    }

    private static async Task Overload(Testbed stage)
    {
        var database = await stage.Fill("overload", 10_000, 1);
        var supply = new Supply(stage, Report, Connections, await stage.Serve(database));
        var cancelled = supply.Closed("warm-up", 0, Supply.Spread, TimeSpan.FromSeconds(5)).Requests;
        Overload(supply, cancelled, Rounds, Time);
        Console.WriteLine();
        foreach (var times in new[] { 2, 4 })
        {
            Report.Add(
                new Figure($"goodput at {times} times the capacity, to that at 1", Goodput(Report, times), "0.80")
            );
            Report.Add(
                new Figure(
                    "p99 of being turned away, ms",
                    [.. Report.Of($"{times} x").Select(p => p.TurnedAwayP99 ?? 0)]
                )
            );
        }
    }

    /// <summary>
    /// Measures the capacity in a closed loop, then alternates open loops at 1, 2 and 4 times that rate.
    /// </summary>
    internal static void Overload(Supply supply, SignedRequest[] replays, int rounds, TimeSpan time)
    {
        const int Crowd = 1000; // Exceeds the default number of places and queued requests.
        for (var round = 1; round <= rounds; round++)
        {
            var capacity = supply.Repeated("capacity", round, replays, "SUCCESS", time).PerSecond;
            foreach (var times in new[] { 1, 2, 4 })
                supply.Pressed($"{times} x", round, replays, capacity * times, Crowd, time);
        }
    }

    /// <summary>Returns the goodput of each round relative to the goodput at capacity.</summary>
    internal static IReadOnlyList<double> Goodput(Report report, int times) =>
        [.. report.Of($"{times} x").Zip(report.Of("1 x")).Select(pair => pair.First.Good / pair.Second.Good)];

    private static async Task Soak(Testbed stage)
    {
        Console.WriteLine("Filling ...");
        var minutes = Number("minutes");
        var database = await stage.Fill("soak", Number("payments"), 1);
        var service = await stage.Serve(database);
        var supply = new Supply(stage, Report, Connections, service);
        SignedRequest[] last = [];
        var memory = new List<double>();
        // Signing the next requests takes time too, but only the time under load counts.
        var loaded = TimeSpan.Zero;
        for (var round = 1; loaded < TimeSpan.FromMinutes(minutes); round++)
        {
            // Sends cancels until the payments run out, then replays.
            if (supply.Next(Supply.Spread) + 100_000 < Number("payments"))
            {
                last = supply.Closed("spread", round, Supply.Spread, TimeSpan.FromSeconds(20)).Requests;
                loaded += TimeSpan.FromSeconds(20);
            }
            supply.Repeated("replay", round, last, "SUCCESS", TimeSpan.FromSeconds(10));
            loaded += TimeSpan.FromSeconds(10);
            memory.Add(service.Memory / 1e6);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"   memory {memory[^1]:0} MB"));
        }
        Report.Add(new Figure("memory of the service, first third, MB", [.. memory.Take(memory.Count / 3)]));
        Report.Add(new Figure("memory of the service, last third, MB", [.. memory.TakeLast(memory.Count / 3)], "flat"));
        Report.Add(new Figure("peak memory of the service, MB", [service.PeakMemory / 1e6], "at most 250"));
    }

    private static async Task Start(Testbed stage)
    {
        var database = await stage.Fill("start", 1000, 1);
        var seconds = new List<double>();
        for (var round = 0; round <= Rounds; round++)
        {
            var start = Stopwatch.GetTimestamp();
            var service = await stage.Serve(database);
            if (round > 0) // The first start only warms the disk cache.
                seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            await stage.Stop(service);
        }
        Report.Add(new Figure("start to ready, s", seconds, "under 2"));
    }

    private static async Task Statements(Testbed stage)
    {
        var database = await stage.Fill("statements", 100_000, 50_000);
        await stage.Execute("statements", "CREATE EXTENSION pg_stat_statements");
        var supply = new Supply(stage, Report, Connections, await stage.Serve(database));
        foreach (
            var (scenario, which) in new[]
            {
                ("warm-up", Supply.Spread),
                ("spread", Supply.Spread),
                ("hot", Supply.Hot),
            }
        )
        {
            await stage.Execute("statements", "SELECT pg_stat_statements_reset()");
            var (phase, _) = supply.Closed(scenario, 1, which, Time);
            var lines = await stage.Lines(
                "statements",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"""
                    SELECT format('%s ms a cancel  %s calls a cancel  %s',
                        to_char((total_exec_time + total_plan_time) / {phase.Requests}, '0.000'),
                        to_char(calls::numeric / {phase.Requests}, '0.000'),
                        left(regexp_replace(query, '\s+', ' ', 'g'), 90))
                    FROM pg_stat_statements ORDER BY total_exec_time + total_plan_time DESC LIMIT 12
                    """
                )
            );
            Console.WriteLine(string.Join('\n', lines));
        }
    }

    // Returns milliseconds of CPU time on one thread.
    private static double SignAndVerify(Testbed stage)
    {
        const int Times = 1000;
        var hash = SHA256.HashData("what is signed"u8);
        using var signer = stage.Wallet.Signer();
        var signature = signer.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var self = Process.GetCurrentProcess();
        var before = self.TotalProcessorTime;
        for (var i = 0; i < Times; i++)
        {
            signer.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            stage.Wallet.PublicKey.Verifies(hash, signature);
        }
        self.Refresh();
        return (self.TotalProcessorTime - before).TotalMilliseconds / Times;
    }
}
