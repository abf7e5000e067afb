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
/// A clock that several processes share: the monotonic clock of the machine, plus an offset for all processes and one
/// for each instance, both in a memory-mapped file. Merchants and core have no offset of their own.
/// </summary>
internal sealed class SharedClock : TimeProvider, IDisposable
{
    /// <summary>The maximum skew of an instance's clock against the merchants' clock.</summary>
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

    /// <summary>Returns the UTC ticks on the clock of an instance; -1 stands for merchants and core.</summary>
    public long Of(int instance) => UtcTicks + (instance < 0 ? 0 : _zero.ReadInt64(At(instance)));

    /// <summary>Advances the clock of every process; the first jump sets the time.</summary>
    public void Jump(long ticks) => _zero.Write(0, _zero.ReadInt64(0) + ticks);

    /// <summary>Sets the skew of an instance's clock against the merchants' clock.</summary>
    public void Skew(int instance, TimeSpan ahead) => _zero.Write(At(instance), ahead.Ticks);

    public override DateTimeOffset GetUtcNow() => new(Of(_instance), TimeSpan.Zero);

    public void Dispose()
    {
        _zero.Dispose();
        _file.Dispose();
    }

    private static long At(int instance) => (1 + instance) * sizeof(long);
}

/// <summary>The kind of a fault.</summary>
internal enum Trouble
{
    KillInstance,

    /// <summary>Pauses an instance for longer than its claims and timeouts.</summary>
    FreezeInstance,
    KillDatabase,

    /// <summary>Disconnects the standby for a while: commits wait for it, and some become visible without it.</summary>
    CutStandby,

    /// <summary>Kills the primary and promotes the standby.</summary>
    FailOver,

    /// <summary>
    /// Fails over after the standby was disconnected for a while, so that commits of the primary are lost.
    /// </summary>
    CutAndFailOver,

    /// <summary>Pauses the standby for a while; it confirms the waiting commits when it resumes.</summary>
    PauseStandby,

    /// <summary>Pauses the primary for longer than the timeout of the instances.</summary>
    PausePrimary,

    /// <summary>
    /// Pauses the primary, promotes the standby, and kills the old primary before it resumes.
    /// </summary>
    PauseAndFailOver,

    /// <summary>Fills the disk of the primary until it stops; later frees the disk and starts it again.</summary>
    FillDisk,

    /// <summary>Runs the migration of a later version, which adds a column to each table, under load.</summary>
    Migrate,

    /// <summary>Sets the clock of an instance ahead or back for good.</summary>
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

/// <summary>A fault with the instance that it hits and the text on the network that triggers it.</summary>
internal sealed record Fault(Trouble Trouble, int Instance, string Text)
{
    /// <summary>True for faults that promote the standby.</summary>
    public bool Promotes => Trouble is Trouble.FailOver or Trouble.CutAndFailOver or Trouble.PauseAndFailOver;

    // Values of writes on the wire. They occur there also when the statement is prepared.
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

    /// <summary>
    /// Returns shuffled faults of every kind, so that even a short run draws most kinds; expensive ones are rare.
    /// </summary>
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

    // For a clock, the text is its skew in milliseconds.
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
            : throw new FormatException($"'{text}' is not a fault. Write KIND.INSTANCE.TEXT.");

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Trouble}.{Instance}.{Text}");
}

/// <summary>The system under test: two instances, their database, the network in between, and the clocks.</summary>
internal sealed class Stage : IAsyncDisposable
{
    /// <summary>The time for which instances may serve stale terms.</summary>
    public static readonly TimeSpan CacheTime = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan CutOff = new(16, 15, 0); // 00:15 at UTC+8.
    private static readonly TimeSpan DatabaseTimeout = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Longer than the timeout of the database, so that instances give up on commits that still become visible.
    /// </summary>
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

    /// <summary>The number of operations with a known outcome.</summary>
    public long Operations => Interlocked.Read(ref _operations);

    /// <summary>The number of attempts of unknown outcome.</summary>
    public long Unknown => Interlocked.Read(ref _unknown);

    /// <summary>The number of answers by code.</summary>
    public System.Collections.Concurrent.ConcurrentDictionary<string, int> Answers { get; } =
        new(StringComparer.Ordinal);

    /// <summary>The faults so far with their start as a timestamp of the driver.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<(long At, Fault Fault)> Troubles { get; } = [];

    /// <summary>The faults that have ended, with their start and end.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<Happening> Happened { get; } = [];

    /// <summary>The wallet's core, which receives an event about every cancellation.</summary>
    public Core Core => _core!;

    /// <summary>Returns true when the database supports a fault.</summary>
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

    /// <summary>Injects a fault; a killed process is restarted before the return.</summary>
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
                    NpgsqlConnection.ClearAllPools(); // The pooled connections of this process are broken.
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
                case Trouble.JumpToCutOff: // Half a second before the cut-off, so that some requests straddle it.
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
                    // Writes go to the primary alone.
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

    // Migrates as the command does, with a lock timeout for tables in use.
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
            // The tables were in use; a later migration may succeed.
        }
    }

    /// <summary>
    /// Waits at most a minute until the core has received every cancellation. Returns the difference, or null.
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

    /// <summary>
    /// Returns the state of a client, or of all, in the auditor's notation, with the stored answers.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, (string Summary, Dictionary<int, string> Answers)>> Summaries(
        string? client
    )
    {
        await _oneTrouble.WaitAsync(); // A fault may have taken the database down.
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

    /// <summary>Runs <c>verify-ledger</c>; returns its findings, or null when it has none.</summary>
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

    /// <summary>The CPU time of both instances so far.</summary>
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

    /// <summary>
    /// Runs an instance of the service with the shared clock; the entry point of the child processes.
    /// </summary>
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
        // The first instance connects through the forwarders, which can cut it off; the second connects directly, which
        // is cheaper.
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
