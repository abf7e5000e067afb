using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace CancelService.Harness;

/// <summary>
/// PostgreSQL from the machine's own programs. It listens on a Unix socket in a directory that only its owner may
/// enter, so it needs no port and no password.
/// </summary>
public sealed class PostgresPrograms : PostgresCluster
{
    // PostgreSQL refuses to run as root.
    internal static readonly string[] AsPostgres =
        Environment.UserName == "root" ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : [];

    // initdb takes 2 s and copying its result 0.2 s. The template is removed when the process exits.
    private static readonly Lazy<Task<string>> Template = new(Initialize);

    private readonly string _arguments;

    private PostgresPrograms(string programs, string directory, string arguments) =>
        (Programs, Directory, _arguments) = (programs, directory, arguments);

    /// <summary>The directory that has initdb, postgres and pgbench.</summary>
    public string Programs { get; }

    /// <summary>The directory that has the data, the log and the socket.</summary>
    public string Directory { get; }

    /// <inheritdoc />
    public override string ConnectionString => $"Host={Directory};Username=postgres";

    /// <summary>The value of CANCELSERVICE_POSTGRES_PROGRAMS; null when it is not set.</summary>
    public static string? Named { get; } = Environment.GetEnvironmentVariable("CANCELSERVICE_POSTGRES_PROGRAMS");

    /// <summary>Creates and starts a cluster. A durable cluster syncs its commits, but not its initial files.</summary>
    /// <exception cref="InvalidOperationException">The start failed; the message has the reason.</exception>
    public static new async Task<PostgresPrograms> Start(bool durable, params string[] settings)
    {
        if (OperatingSystem.IsWindows())
            throw new PlatformNotSupportedException(
                "PostgreSQL's programs are not supported on Windows. Use a container."
            );
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

    /// <summary>Runs one of PostgreSQL's programs and returns its output.</summary>
    /// <exception cref="InvalidOperationException">The program failed; the message has its output.</exception>
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
                // A killed server leaves its PID file behind.
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

    /// <summary>Returns true when the machine has PostgreSQL's server programs.</summary>
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
            // pg_config is missing where only the server package is installed.
        }
        return candidates.Find(bin => File.Exists(Path.Combine(bin, "initdb")))
            ?? throw new InvalidOperationException(
                "initdb was not found. Install PostgreSQL's server programs (Debian: apt-get install postgresql); "
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
