using System.Diagnostics;
using System.Globalization;
using System.IO.MemoryMappedFiles;
using System.Text;
using CancelService.Api.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using static System.FormattableString;

namespace CancelService.Simulation;

/// <summary>
/// The clocks of several processes: the machine's monotonic one, and what a small file adds to it for all, and for each instance. The
/// merchants' and the core's clock is the one that nothing is added to for an instance.
/// </summary>
internal sealed class SharedClock : TimeProvider, IDisposable
{
    /// <summary>The furthest that an instance's clock is from the merchants'.</summary>
    public static readonly TimeSpan MaxSkew = TimeSpan.FromSeconds(1.5);

    private const int Instances = 2;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _zero;
    private readonly int _instance;

    public SharedClock(string path, int instance = -1)
    {
        const int size = (1 + Instances) * sizeof(long);
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, null, size);
        _zero = _file.CreateViewAccessor(0, size);
        _instance = instance;
    }

    public long UtcTicks => _zero.ReadInt64(0) + Stopwatch.GetElapsedTime(0).Ticks;

    /// <summary>What an instance takes for the time.</summary>
    public long Of(int instance) => UtcTicks + (instance < 0 ? 0 : _zero.ReadInt64(At(instance)));

    /// <summary>Puts every process's clock forward, or for the first time to the right time.</summary>
    public void Jump(long ticks) => _zero.Write(0, _zero.ReadInt64(0) + ticks);

    /// <summary>Sets an instance's clock so far ahead of the merchants', or behind.</summary>
    public void Skew(int instance, TimeSpan ahead) => _zero.Write(At(instance), ahead.Ticks);

    public override DateTimeOffset GetUtcNow() => new(Of(_instance), TimeSpan.Zero);

    public void Dispose()
    {
        _zero.Dispose();
        _file.Dispose();
    }

    private static long At(int instance) => (1 + instance) * sizeof(long);
}

/// <summary>What goes wrong.</summary>
internal enum Trouble
{
    KillInstance,

    /// <summary>An instance stands still for longer than its claims and time-outs, and goes on.</summary>
    FreezeInstance,
    KillDatabase,

    /// <summary>The standby gets nothing for a while: commits wait for it, and some are visible without it.</summary>
    CutStandby,

    /// <summary>The primary dies, and the standby is promoted.</summary>
    FailOver,

    /// <summary>The same, after the standby was cut off for a while: whatever only the primary has is lost.</summary>
    CutAndFailOver,

    /// <summary>The standby stands still for a while, and goes on: what waited for it is confirmed then.</summary>
    PauseStandby,

    /// <summary>The primary stands still for longer than the instances wait, and goes on.</summary>
    PausePrimary,

    /// <summary>The primary stands still, the standby is promoted, and the old primary is killed before it goes on.</summary>
    PauseAndFailOver,

    /// <summary>Nothing fits on the primary's disk, so it stops; later there is room, and it is started.</summary>
    FillDisk,

    /// <summary>A later version's migration: each table gets a column, while instances of this version serve.</summary>
    Migrate,

    /// <summary>An instance's clock jumps ahead or behind, and stays there.</summary>
    SkewClock,
    CutAll,
    CutBefore,
    CutWithin,
    CutAfter,
    StallBefore,
    StallAfter,
    JumpToCutOff,
    JumpAnHour,
    JumpADay,
}

/// <summary>A fault, which instance it hits, and the text that it waits for on the network.</summary>
internal sealed record Fault(Trouble Trouble, int Instance, string Text)
{
    /// <summary>Whether a standby is promoted.</summary>
    public bool Promotes => Trouble is Trouble.FailOver or Trouble.CutAndFailOver or Trouble.PauseAndFailOver;

    // What a write says to PostgreSQL, whether or not its statement is prepared: the values are always sent.
    private static readonly string[] Writes =
    [
        "CANCELLED",
        "CANCELLED",
        "CANCELLED",
        "SUCCEED",
        "CAPTURE",
        "REFUND",
        "REGISTER",
        "PAYOUT",
        "payment_requests",
    ];

    /// <summary>Faults of every kind, shuffled: however short a run is, it draws most kinds; those that cost much are few.</summary>
    public static Queue<Fault> Deck(Random random, Func<Trouble, bool> canHappen)
    {
        var kinds = Enum.GetValues<Trouble>()
            .Where(canHappen)
            .SelectMany(trouble =>
                Enumerable.Repeat(
                    trouble,
                    trouble switch
                    {
                        Trouble.KillInstance
                        or Trouble.FreezeInstance
                        or Trouble.CutStandby
                        or Trouble.FillDisk
                        or Trouble.Migrate => 2,
                        Trouble.FailOver or Trouble.CutAndFailOver or Trouble.KillDatabase or Trouble.CutAll => 4,
                        _ => 8,
                    }
                )
            )
            .ToArray();
        random.Shuffle(kinds);
        return new(kinds.Select(trouble => new Fault(trouble, random.Next(2), TextFor(trouble, random))));
    }

    // Of a clock, how many milliseconds it is ahead.
    private static string TextFor(Trouble trouble, Random random)
    {
        var furthest = (int)SharedClock.MaxSkew.TotalMilliseconds;
        return trouble is Trouble.SkewClock
            ? random.Next(-furthest, furthest).ToString(CultureInfo.InvariantCulture)
            : Writes[random.Next(Writes.Length)];
    }

    public static Fault Parse(string text) =>
        text.Split('.') is [var trouble, var instance, var write]
            ? new Fault(Enum.Parse<Trouble>(trouble), int.Parse(instance, CultureInfo.InvariantCulture), write)
            : throw new FormatException($"'{text}' is no fault.");

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Trouble}.{Instance}.{Text}");
}

/// <summary>Two instances of the service, their database, the network between, and the clock.</summary>
internal sealed class Stage : IAsyncDisposable
{
    /// <summary>How long the instances go on with terms that have changed.</summary>
    public static readonly TimeSpan CacheTime = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan CutOff = new(16, 15, 0); // 00:15 at UTC+8.
    private static readonly TimeSpan DatabaseTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Longer than an answer waits for the database, so that commits are given up which are visible all the same.</summary>
    public static readonly TimeSpan Long = DatabaseTimeout + TimeSpan.FromSeconds(1);

    private readonly string _directory = Directory.CreateTempSubdirectory("cancelservice-").FullName;
    private readonly List<ServiceProcess> _instances = [];
    private readonly SemaphoreSlim _oneTrouble = new(1, 1);
    private StageDatabase? _database;
    private TcpForwarder[] _network = [];
    private SharedClock? _clock;
    private Core? _core;
    private TimeSpan _cpu;
    private long _operations;
    private long _unknown;
    private int _migrations;

    public HttpClient Http { get; } =
        new(new SocketsHttpHandler { PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1) })
        {
            Timeout = TimeSpan.FromSeconds(20),
        };

    public SharedClock Clock => _clock!;

    /// <summary>The operations with a known outcome.</summary>
    public long Operations => Interlocked.Read(ref _operations);

    /// <summary>The requests whose outcome was unknown.</summary>
    public long Unknown => Interlocked.Read(ref _unknown);

    /// <summary>How often each answer came.</summary>
    public System.Collections.Concurrent.ConcurrentDictionary<string, int> Answers { get; } =
        new(StringComparer.Ordinal);

    /// <summary>The faults so far, and when they began, in the driver's own time.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<(long At, Fault Fault)> Troubles { get; } = [];

    /// <summary>The faults that are over, with the time that each took.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<Happening> Happened { get; } = [];

    /// <summary>The wallet's core, which is told of every cancellation.</summary>
    public Core Core => _core!;

    /// <summary>Whether a fault can happen here.</summary>
    public bool Has(Trouble trouble) => _database!.Has(trouble);

    public static async Task<Stage> Set()
    {
        var stage = new Stage();
        try
        {
            await stage.Start();
            return stage;
        }
        catch
        {
            await stage.DisposeAsync();
            throw;
        }
    }

    public string Public(int instance) =>
        string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_instances[instance].PublicPort}");

    public string Internal(int instance) =>
        string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_instances[instance].InternalPort}");

    public void Count(Attempt attempt)
    {
        if (attempt.IsKnown)
            Interlocked.Increment(ref _operations);
        else
            Interlocked.Increment(ref _unknown);
        Answers.AddOrUpdate(
            $"{(attempt.Op.Act is Act.Cancel ? "cancel" : "internal")} {attempt.Code ?? "unknown"}",
            1,
            (_, n) => n + 1
        );
    }

    /// <summary>Lets a fault happen; one that takes a process down brings it up again.</summary>
    public async Task Happen(Fault fault)
    {
        await _oneTrouble.WaitAsync();
        var from = Stopwatch.GetTimestamp();
        try
        {
            Troubles.Enqueue((from, fault));
            switch (fault.Trouble)
            {
                case Trouble.KillInstance:
                    var instance = _instances[fault.Instance];
                    _cpu += instance.Process.TotalProcessorTime;
                    await instance.Kill();
                    instance.Launch();
                    await instance.Ready();
                    break;
                case Trouble.FreezeInstance:
                    await _instances[fault.Instance].Freeze(Long);
                    break;
                case Trouble.KillDatabase
                or Trouble.CutStandby
                or Trouble.FailOver
                or Trouble.CutAndFailOver
                or Trouble.PauseStandby
                or Trouble.PausePrimary
                or Trouble.PauseAndFailOver
                or Trouble.FillDisk:
                    await _database!.Happen(fault.Trouble);
                    NpgsqlConnection.ClearAllPools(); // The auditor's.
                    break;
                case Trouble.Migrate:
                    await Migrate();
                    break;
                case Trouble.SkewClock:
                    Clock.Skew(
                        fault.Instance,
                        TimeSpan.FromMilliseconds(int.Parse(fault.Text, CultureInfo.InvariantCulture))
                    );
                    break;
                case Trouble.CutAll:
                    foreach (var way in _network)
                        way.CutAll();
                    break;
                case Trouble.JumpToCutOff: // Less than a second before it: some see it come.
                    var sinceCutOff = (Clock.UtcTicks - CutOff.Ticks) % TimeSpan.TicksPerDay;
                    Clock.Jump(TimeSpan.TicksPerDay - sinceCutOff - (TimeSpan.TicksPerSecond / 2));
                    break;
                case Trouble.JumpAnHour:
                    Clock.Jump(TimeSpan.FromMinutes(61).Ticks);
                    break;
                case Trouble.JumpADay:
                    Clock.Jump(TimeSpan.FromHours(25).Ticks);
                    break;
                default:
                    // Only the primary is sent a write.
                    _network[_database!.Primary].Arm(fault.Text, Enum.Parse<Harness.Fault>(fault.Trouble.ToString()));
                    break;
            }
        }
        finally
        {
            Happened.Enqueue(new(fault, from, Stopwatch.GetTimestamp()));
            _oneTrouble.Release();
        }
    }

    // As migrate does it: it gives up when somebody uses a table for long.
    private async Task Migrate()
    {
        await using var connection = new NpgsqlConnection(_database!.ConnectionString);
        await connection.OpenAsync();
        var name = Invariant($"later_{++_migrations}");
        await using var command = new NpgsqlCommand(
            $"""
            DO $$
            DECLARE one record;
            BEGIN
                {_database.Migrating};
                FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\_\_%' LOOP
                    EXECUTE format('ALTER TABLE %I ADD COLUMN {name} integer NOT NULL DEFAULT 7', one.tablename);
                END LOOP;
                INSERT INTO "__EFMigrationsHistory" VALUES ('99990101000000_{name}', '99.0');
            END
            $$
            """,
            connection
        );
        try
        {
            await command.ExecuteNonQueryAsync();
        }
        catch (PostgresException e)
            when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
        {
            // The next one may find the tables free.
        }
    }

    /// <summary>
    /// Waits until the core was told of every cancellation, for a minute at most, and compares: what differs, or null.
    /// </summary>
    public async Task<string?> Told()
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            var differs = Core.Differs(await Cancelled());
            if (differs is null || Stopwatch.GetElapsedTime(start) > TimeSpan.FromMinutes(1))
                return differs;
            await Task.Delay(200);
        }
    }

    private async Task<Dictionary<string, (string Effect, long MinorUnits)>> Cancelled()
    {
        await using var connection = new NpgsqlConnection(_database!.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            """
            SELECT client_id || '/' || payment_id,
                CASE from_status WHEN 'AUTHORIZED' THEN 'HOLD_RELEASED' WHEN 'SUCCESS' THEN 'REFUNDED' ELSE 'CLOSED' END,
                minor_units
            FROM payment_history WHERE action = 'CANCEL'
            """,
            connection
        );
        await using var rows = await command.ExecuteReaderAsync();
        var cancelled = new Dictionary<string, (string, long)>(StringComparer.Ordinal);
        while (await rows.ReadAsync())
            cancelled[rows.GetString(0)] = (rows.GetString(1), rows.GetInt64(2));
        return cancelled;
    }

    /// <summary>What the database says of a client, or of all, in the auditor's words, and the answers that it stores.</summary>
    public async Task<IReadOnlyDictionary<string, (string Summary, Dictionary<int, string> Answers)>> Summaries(
        string? client
    )
    {
        await _oneTrouble.WaitAsync(); // Not while the database is down.
        try
        {
            return await Summarize(client);
        }
        finally
        {
            _oneTrouble.Release();
        }
    }

    private async Task<IReadOnlyDictionary<string, (string Summary, Dictionary<int, string> Answers)>> Summarize(
        string? client
    )
    {
        await using var connection = new NpgsqlConnection(_database!.ConnectionString);
        await connection.OpenAsync();
        var lines = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        var answers = new Dictionary<string, Dictionary<int, string>>(StringComparer.Ordinal);
        await Each(
            "SELECT * FROM (SELECT client_id, payment_id, payment_request_id, status, captured, refunded, version "
                + "FROM payments JOIN payment_requests USING (client_id, payment_id)) AS joined",
            row =>
                Of(lines, row)
                    .Add(
                        WorldState.Summarized(
                            Number(row, 1),
                            Number(row, 2),
                            row.GetString(3),
                            row.GetInt64(4),
                            row.GetInt64(5),
                            row.GetInt32(6)
                        )
                    )
        );
        await Each(
            "SELECT client_id, currency, balance FROM accounts",
            row =>
                Of(lines, row).Add(string.Create(CultureInfo.InvariantCulture, $"{row.GetString(1)} {row.GetInt64(2)}"))
        );
        await Each(
            "SELECT * FROM (SELECT client_id, payment_id, answer FROM payment_history WHERE action = 'CANCEL') AS cancelled",
            row => Of(answers, row).Add(Number(row, 1), Encoding.UTF8.GetString((byte[])row.GetValue(2)))
        );
        return lines.ToDictionary(
            of => of.Key,
            of => (string.Join("; ", of.Value.Order(StringComparer.Ordinal)), answers.GetValueOrDefault(of.Key, [])),
            StringComparer.Ordinal
        );

        async Task Each(string sql, Action<NpgsqlDataReader> row)
        {
            await using var command = new NpgsqlCommand($"{sql} WHERE $1 = '' OR client_id = $1", connection);
            command.Parameters.Add(new NpgsqlParameter { Value = client ?? "" });
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                row(reader);
        }

        static T Of<T>(Dictionary<string, T> all, NpgsqlDataReader row)
            where T : new() => all.TryGetValue(row.GetString(0), out var one) ? one : all[row.GetString(0)] = new T();

        static int Number(NpgsqlDataReader row, int column) =>
            int.Parse(row.GetString(column).AsSpan(1), CultureInfo.InvariantCulture);
    }

    /// <summary>Runs <c>verify-ledger</c>: what it says, null when all is well.</summary>
    public async Task<string?> VerifyLedger()
    {
        using var process = Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [ServiceProcess.Assembly, "verify-ledger", .. Settings(_database!.ConnectionString)]
            )
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        var output = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? null
            : $"verify-ledger ended with {process.ExitCode}:\n{string.Concat(await output)}";
    }

    /// <summary>The processor time of the two instances so far.</summary>
    public TimeSpan InstancesCpu =>
        _instances.Aggregate(_cpu, (sum, instance) => sum + instance.Process.TotalProcessorTime);

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in _instances)
            await instance.DisposeAsync();
        foreach (var way in _network)
            await way.DisposeAsync();
        if (_database is not null)
            await _database.DisposeAsync();
        if (_core is not null)
            await _core.DisposeAsync();
        Http.Dispose();
        _clock?.Dispose();
        _oneTrouble.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>What an executable of ours does that is started as an instance: it serves, by the shared clock.</summary>
    public static async Task Serve(string[] args)
    {
        using var clock = new SharedClock(args[0], int.Parse(args[1], CultureInfo.InvariantCulture));
        await using var app = ServiceHost.Build(args[2..], services => services.AddSingleton<TimeProvider>(clock));
        await app.RunAsync();
    }

    private async Task Start()
    {
        await File.WriteAllTextAsync(WalletKey, KeyPair.Wallet.PrivatePem);
        _clock = new SharedClock(ClockFile);
        _clock.Jump(TimeProvider.System.GetUtcNow().Ticks - _clock.UtcTicks);
        _core = await Core.Start();
        _database = await StageDatabase.Start();
        // The first instance's connections can be cut; the second one's go past the network, which costs nothing.
        _network = [.. _database.Servers.Select(server => new TcpForwarder(server))];
        var through = To(_database.Servers, _network.Select(way => Invariant($"127.0.0.1:{way.Port}")));
        through.SslMode = SslMode.Disable;
        var past = To(_database.Servers, _database.Servers.Select(ReplicatedPostgres.Address));
        foreach (var connection in new[] { through, past })
            _instances.Add(
                await ServiceProcess.Start(
                    [
                        .. Settings(connection.ConnectionString),
                        .. _core.Settings,
                        $"--Clients:CacheTime={CacheTime}",
                        "--Limits:UnverifiedAnswersPerSecond=1000000",
                        "--Limits:UnknownClientsPerSecond=1000000",
                    ],
                    typeof(Stage).Assembly.Location,
                    ["instance", ClockFile, _instances.Count.ToString(CultureInfo.InvariantCulture)]
                )
            );
    }

    private static NpgsqlConnectionStringBuilder To(IReadOnlyList<string> servers, IEnumerable<string> addresses)
    {
        var to = new NpgsqlConnectionStringBuilder(servers[0]) { Host = string.Join(',', addresses), MaxPoolSize = 8 };
        to.Remove(nameof(to.Port));
        return to;
    }

    private string WalletKey => Path.Combine(_directory, "wallet.pem");

    private string ClockFile => Path.Combine(_directory, "clock");

    private string[] Settings(string connectionString) =>
        [
            "--environment=Production",
            "--Serilog:MinimumLevel:Default=Fatal",
            "--Serilog:MinimumLevel:Override:Microsoft=Fatal",
            "--Serilog:MinimumLevel:Override:Microsoft.Hosting.Lifetime=Fatal",
            "--Serilog:MinimumLevel:Override:System=Fatal",
            $"--Wallet:SigningKeyPath={WalletKey}",
            "--Database:Provider=Postgres",
            $"--Database:ConnectionString={connectionString}",
            $"--Database:Timeout={DatabaseTimeout}",
        ];
}
