using System.Globalization;
using System.Net.Sockets;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Images;
using Npgsql;

namespace CancelService.Harness;

/// <summary>
/// A primary PostgreSQL and its synchronous standby. The first server is the primary until the second is promoted. Both
/// run from the machine's own programs or in one container, whichever is available, as with
/// <see cref="PostgresCluster"/>.
/// </summary>
public sealed class ReplicatedPostgres : IAsyncDisposable
{
    private const int FirstPort = 5432;

    private readonly Func<string, Task<string>> _run;
    private readonly string _fsync;
    private readonly Func<ValueTask> _stop;
    private string _directory = "";

    private ReplicatedPostgres(
        Func<string, Task<string>> run,
        Func<ValueTask> stop,
        string first,
        string second,
        bool durable
    ) => (_run, _stop, First, Second, _fsync) = (run, stop, first, second, durable ? "on" : "off");

    /// <summary>The connection string of the database <c>postgres</c> on the first server.</summary>
    public string First { get; }

    /// <summary>The connection string of the database <c>postgres</c> on the second server.</summary>
    public string Second { get; }

    /// <summary>True while the second server is the primary.</summary>
    public bool IsSecondPrimary { get; private set; }

    /// <summary>The connection string of the database <c>postgres</c> on the current primary.</summary>
    public string Primary => IsSecondPrimary ? Second : First;

    private string Standby => IsSecondPrimary ? First : Second;

    private (string Name, int Port) PrimaryServer => Server(IsSecondPrimary);

    private (string Name, int Port) StandbyServer => Server(!IsSecondPrimary);

    /// <summary>One connection string with both servers as hosts.</summary>
    public string Either =>
        new NpgsqlConnectionStringBuilder(First) { Host = $"{Address(First)},{Address(Second)}" }.ConnectionString;

    /// <summary>The timestamp of the last kill of a primary.</summary>
    public long KilledAt { get; private set; }

    /// <summary>The timestamp of the end of the last promotion.</summary>
    public long PromotedAt { get; private set; }

    /// <summary>Creates both servers and waits until the second is a synchronous standby of the first.</summary>
    /// <param name="durable">True to sync commits to the disk.</param>
    public static async Task<ReplicatedPostgres> Start(bool durable = false)
    {
        var pair =
            PostgresPrograms.Named is not null || await PostgresPrograms.AreThere()
                ? await OfPrograms(durable)
                : await InContainer(durable);
        try
        {
            await pair._run(
                $"""
                initdb -D first -U postgres -A trust --no-locale -E UTF8 -N >/dev/null
                echo 'host all all all trust' >> first/pg_hba.conf
                {pair.Launch("first", FirstPort)}
                """
            );
            pair._directory = (await pair._run("pwd")).Trim();
            await pair.MakeStandby();
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    /// <summary>Disconnects the standby, so that no later commit reaches it.</summary>
    public async Task Cut()
    {
        await Execute(Standby, "ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'");
        await Execute(Standby, "SELECT pg_reload_conf()");
        await Until("SELECT count(*) = 0 FROM pg_stat_replication");
    }

    /// <summary>Reconnects the standby to the primary.</summary>
    public async Task Mend()
    {
        await Execute(Standby, $"ALTER SYSTEM SET primary_conninfo = '{PrimaryAsSeenBy(StandbyServer.Name)}'");
        await Execute(Standby, "SELECT pg_reload_conf()");
        await Until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
    }

    /// <summary>Kills the primary; commits that the standby lacks are lost.</summary>
    public Task KillFirst() => _run("pg_ctl stop -D first -m immediate >/dev/null");

    /// <summary>Promotes the standby and waits until it accepts writes.</summary>
    public Task Promote() => Execute(Second, "SELECT pg_promote()");

    /// <summary>Kills the primary, unless it has stopped by itself, and starts it again; it replays its log.</summary>
    public Task Restart() =>
        _run(
            $"""
            pg_ctl stop -D {PrimaryServer.Name} -m immediate >/dev/null 2>&1 || true
            {Launch(PrimaryServer.Name, PrimaryServer.Port)}
            """
        );

    /// <summary>
    /// Simulates a full disk on the primary until its restart: RLIMIT_FSIZE stops its processes from writing behind the
    /// first 64 KiB of a file, so writes to its log fail.
    /// </summary>
    public Task FillDisk() =>
        _run(
            $"""
            primary=$(head -n 1 {PrimaryServer.Name}/postmaster.pid)
            for stat in /proc/[0-9]*/stat; do
                read -r pid _ _ parent _ < $stat || continue
                if [ "$pid" = "$primary" ] || [ "$parent" = "$primary" ]; then prlimit --pid "$pid" --fsize=65536: || true; fi
            done 2>/dev/null
            """
        );

    /// <summary>Pauses all processes of the primary.</summary>
    public Task PausePrimary() => Signal(PrimaryServer.Name, "STOP");

    /// <summary>Resumes the primary after a pause.</summary>
    public Task ResumePrimary() => Signal(PrimaryServer.Name, "CONT");

    /// <summary>Pauses all processes of the standby; its connections stay open.</summary>
    public Task PauseStandby() => Signal(StandbyServer.Name, "STOP");

    /// <summary>Resumes the standby after a pause.</summary>
    public Task ResumeStandby() => Signal(StandbyServer.Name, "CONT");

    /// <summary>
    /// Kills the primary and promotes the standby; commits that the standby lacks are lost. The old primary returns
    /// with a copy of the new primary's data, as its synchronous standby.
    /// </summary>
    /// <param name="isPaused">True for a paused primary. It is killed after the promotion, before it resumes.</param>
    public async Task FailOver(bool isPaused = false)
    {
        if (!isPaused)
            await _run($"pg_ctl stop -D {PrimaryServer.Name} -m immediate >/dev/null");
        KilledAt = TimeProvider.System.GetTimestamp();
        await Execute(Standby, "SELECT pg_promote()");
        PromotedAt = TimeProvider.System.GetTimestamp();
        IsSecondPrimary = !IsSecondPrimary;
        var old = StandbyServer.Name;
        if (isPaused)
        {
            await Signal(old, "QUIT");
            await Signal(old, "CONT");
            await _run($"pg_ctl stop -D {old} -m immediate >/dev/null 2>&1 || true");
        }
        await _run($"rm -rf {old}");
        await MakeStandby();
    }

    // The postmaster gets the signal first, so that it forks no process that would miss the signal.
    private Task<string> Signal(string server, string signal) =>
        _run(
            $"""
            server=$(head -n 1 {server}/postmaster.pid)
            kill -{signal} "$server"
            for stat in /proc/[0-9]*/stat; do
                read -r pid _ _ parent _ < $stat || continue
                if [ "$parent" = "$server" ]; then kill -{signal} "$pid" || true; fi
            done 2>/dev/null
            """
        );

    private async Task MakeStandby()
    {
        var (name, port) = StandbyServer;
        // The backup functions of the server replace pg_basebackup, which some installations lack. Files that vanish
        // during the copy are not part of a backup; the standby fetches the log from the primary.
        await using (var backup = new NpgsqlConnection($"{Primary};Pooling=false"))
        {
            await backup.OpenAsync();
            await using var start = new NpgsqlCommand("SELECT pg_backup_start('standby', true)::text", backup);
            await start.ExecuteScalarAsync();
            await _run(
                $"""
                cp -r {PrimaryServer.Name} {name} 2>/dev/null || true
                rm -rf {name}/postmaster.* {name}/pg_wal
                mkdir -m 700 {name}/pg_wal
                """
            );
            await using var stop = new NpgsqlCommand("SELECT labelfile FROM pg_backup_stop()", backup);
            var label = (string?)await stop.ExecuteScalarAsync();
            await _run(
                $"""
                cat > {name}/backup_label <<'LABEL'
                {label?.TrimEnd()}
                LABEL
                echo "primary_conninfo = '{PrimaryAsSeenBy(name)}'" >> {name}/postgresql.auto.conf
                touch {name}/standby.signal
                {Launch(name, port)}
                """
            );
        }
        // Quoted, because FIRST is a keyword of this setting.
        await Execute(Primary, $"ALTER SYSTEM SET synchronous_standby_names = '\"{name}\"'");
        await Execute(Primary, "SELECT pg_reload_conf()");
        await Until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
    }

    /// <summary>Executes a statement on the first server.</summary>
    public Task OnFirst(string sql) => Execute(First, sql);

    /// <summary>Waits until a query on the primary is true, for 30 seconds at most.</summary>
    public async Task Until(string query)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!await Execute(Primary, query))
        {
            if (TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromSeconds(30))
                throw new TimeoutException($"The query stayed false for 30 seconds: {query}");
            await Task.Delay(10);
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _run("for data in first second; do pg_ctl stop -D $data -m immediate || true; done >/dev/null 2>&1");
        await _stop();
    }

    private static (string Name, int Port) Server(bool isSecond) =>
        isSecond ? ("second", FirstPort + 1) : ("first", FirstPort);

    private string PrimaryAsSeenBy(string standby) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"host={_directory} port={PrimaryServer.Port} user=postgres application_name={standby}"
        );

    private string Launch(string data, int port) =>
        $"""
            pg_ctl start -w -D {data} -l {data}.log -o "-p {port} -c unix_socket_directories=$PWD -c wal_level=replica -c fsync={_fsync} $LISTEN" >/dev/null
            """;

    private static async Task<ReplicatedPostgres> OfPrograms(bool durable)
    {
        var programs = await PostgresPrograms.FindPrograms();
        var directory = $"{Path.GetTempPath()}cancelservice-{Guid.NewGuid().ToString("N")[..12]}";
        await Watchdog.Watch(directory);
        await PostgresPrograms.Run([.. PostgresPrograms.AsPostgres, "mkdir", "-m", "700", directory]);
        return new ReplicatedPostgres(
            script =>
                PostgresPrograms.Run([
                    .. PostgresPrograms.AsPostgres,
                    "bash",
                    "-c",
                    $"set -e; cd {directory}; PATH={programs}:$PATH; LISTEN='-c listen_addresses=\"\"'\n{script}",
                ]),
            () =>
            {
                Directory.Delete(directory, recursive: true);
                return ValueTask.CompletedTask;
            },
            At(directory, FirstPort),
            At(directory, FirstPort + 1),
            durable
        );
    }

    private static async Task<ReplicatedPostgres> InContainer(bool durable)
    {
        var container = new ContainerBuilder(PostgresContainer.Image)
            .WithImagePullPolicy(PullPolicy.Missing)
            .WithEntrypoint("sleep")
            .WithCommand("infinity")
            .WithPortBinding(FirstPort, assignRandomHostPort: true)
            .WithPortBinding(FirstPort + 1, assignRandomHostPort: true)
            .Build();
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        await container.StartAsync(timeout.Token);
        await Run(container, "mkdir -m 700 /pair && chown postgres /pair");
        return new ReplicatedPostgres(
            script =>
                Run(
                    container,
                    $"""
                    cat > /pair/script <<'SCRIPT'
                    set -e; cd /pair; PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); LISTEN='-c listen_addresses=*'
                    {script}
                    SCRIPT
                    setpriv --reuid=postgres --regid=postgres --init-groups bash /pair/script
                    """
                ),
            container.DisposeAsync,
            await To(FirstPort),
            await To(FirstPort + 1),
            durable
        );

        // Bypass the engine's proxy where the container's network is reachable: the proxy takes 10 % of a load's CPU
        // time.
        async Task<string> To(int port) =>
            await Answers(container.IpAddress)
                ? At(container.IpAddress, port)
                : At(container.Hostname, container.GetMappedPublicPort(port));
    }

    // The server does not listen yet, but a reachable host refuses the connection.
    private static async Task<bool> Answers(string address)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await socket.ConnectAsync(address, FirstPort, patience.Token);
            return true;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode is SocketError.ConnectionRefused;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static async Task<string> Run(IContainer container, string script)
    {
        var result = await container.ExecAsync(["bash", "-c", script]);
        return result.ExitCode == 0
            ? result.Stdout
            : throw new InvalidOperationException($"{script} failed: {result.Stdout}{result.Stderr}");
    }

    private static string At(string host, int port) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"Host={host};Port={port};Username=postgres;Database=postgres;Maximum Pool Size=20"
        );

    /// <summary>Returns host and port of a server in the form for a connection string with several hosts.</summary>
    public static string Address(string connectionString)
    {
        var server = new NpgsqlConnectionStringBuilder(connectionString);
        return string.Create(CultureInfo.InvariantCulture, $"{server.Host}:{server.Port}");
    }

    private static async Task<bool> Execute(string server, string sql)
    {
        await using var connection = new NpgsqlConnection($"{server};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync() is true;
    }
}
