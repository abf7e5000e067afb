using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace CancelService.Harness;

/// <summary>
/// PostgreSQL made of the machine's own programs. It listens on a Unix socket in a directory that only its owner may enter:
/// no port to collide on, no password needed.
/// </summary>
public sealed class PostgresPrograms : PostgresCluster
{
    // PostgreSQL refuses to run as root.
    internal static readonly string[] AsPostgres =
        Environment.UserName == "root" ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : [];

    // initdb takes two seconds, a copy of what it made a fifth of one. It goes with the process.
    private static readonly Lazy<Task<string>> Template = new(Initialize);

    private readonly string _arguments;

    private PostgresPrograms(string programs, string directory, string arguments) =>
        (Programs, Directory, _arguments) = (programs, directory, arguments);

    /// <summary>The directory of PostgreSQL's programs: initdb, postgres, pgbench.</summary>
    public string Programs { get; }

    /// <summary>The directory of the data, of the log and of the socket.</summary>
    public string Directory { get; }

    /// <inheritdoc />
    public override string ConnectionString => $"Host={Directory};Username=postgres";

    /// <summary>The directory that the environment names.</summary>
    public static string? Named { get; } = Environment.GetEnvironmentVariable("CANCELSERVICE_POSTGRES_PROGRAMS");

    /// <summary>Creates a cluster and starts it. What a durable one commits is synchronised, not the files that it begins with.</summary>
    /// <exception cref="InvalidOperationException">It could not be started; the message says why.</exception>
    public static new async Task<PostgresPrograms> Start(bool durable, params string[] settings)
    {
        if (OperatingSystem.IsWindows())
            throw new PlatformNotSupportedException("It is not supported on Windows.");
        var directory = NewDirectory();
        var cluster = new PostgresPrograms(
            await FindPrograms(),
            directory,
            string.Join(
                ' ',
                Arguments(durable, ["listen_addresses=''", $"unix_socket_directories={directory}", .. settings])
            )
        );
        try
        {
            await Watchdog.Watch(directory);
            await Run([.. AsPostgres, "cp", "-r", await Template.Value, directory]);
            await cluster.Start();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc />
    public override Task Start() =>
        Run([
            .. AsPostgres,
            $"{Programs}/pg_ctl",
            "start",
            "-w",
            "-D",
            Directory,
            "-l",
            $"{Directory}/server.log",
            "-o",
            _arguments,
        ]);

    /// <inheritdoc />
    public override async Task Kill()
    {
        using var server = Process.GetProcessById(
            int.Parse(
                (await File.ReadAllLinesAsync(Path.Combine(Directory, "postmaster.pid")))[0],
                CultureInfo.InvariantCulture
            )
        );
        server.Kill(entireProcessTree: true);
        await server.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>Runs one of PostgreSQL's programs, and returns what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message holds what it printed.</exception>
    public Task<string> Run(string program, params string[] arguments) =>
        Run([.. AsPostgres, $"{Programs}/{program}", .. arguments]);

    /// <inheritdoc />
    public override async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(Directory, "postmaster.pid")))
        {
            try
            {
                await Run([.. AsPostgres, $"{Programs}/pg_ctl", "stop", "-D", Directory, "-m", "immediate"]);
            }
            catch (InvalidOperationException)
            {
                // It was killed, and left its file behind.
            }
        }
        if (System.IO.Directory.Exists(Directory))
            System.IO.Directory.Delete(Directory, recursive: true);
    }

    private static async Task<string> Initialize()
    {
        var directory = NewDirectory();
        await Watchdog.Watch(directory); // The end of the process is not awaited: the watchdog removes it then.
        await Run([
            .. AsPostgres,
            $"{await FindPrograms()}/initdb",
            "-D",
            directory,
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-locale",
            "-E",
            "UTF8",
            "-N",
        ]);
        return directory;
    }

    private static string NewDirectory() =>
        Path.Combine(Path.GetTempPath(), $"cancelservice-{Guid.NewGuid().ToString("N")[..12]}");

    /// <summary>Whether the machine has the programs.</summary>
    public static async Task<bool> AreThere()
    {
        try
        {
            await FindPrograms();
            return !OperatingSystem.IsWindows();
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    internal static async Task<string> FindPrograms()
    {
        if (Named is not null)
            return Named;
        var candidates = System.IO.Directory.Exists("/usr/lib/postgresql")
            ? System
                .IO.Directory.GetDirectories("/usr/lib/postgresql")
                .OrderByDescending(d =>
                    double.TryParse(Path.GetFileName(d), CultureInfo.InvariantCulture, out var version) ? version : 0
                )
                .Select(d => Path.Combine(d, "bin"))
                .ToList()
            : [];
        try
        {
            candidates.Insert(0, (await Run(["pg_config", "--bindir"])).Trim());
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException)
        {
            // Not every installation brings pg_config along.
        }
        return candidates.Find(bin => File.Exists(Path.Combine(bin, "initdb")))
            ?? throw new InvalidOperationException(
                "There is no initdb. Install PostgreSQL's server programs (Debian: apt-get install postgresql); "
                    + "pg_config --bindir must find them, or /usr/lib/postgresql must."
            );
    }

    internal static async Task<string> Run(string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        using var process = Process.Start(start)!;
        var output = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        var text = string.Concat(await output);
        return process.ExitCode == 0
            ? text
            : throw new InvalidOperationException($"{string.Join(' ', command)} failed: {text}");
    }
}
