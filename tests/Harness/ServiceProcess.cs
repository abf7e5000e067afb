using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using CancelService.Api.Hosting;

namespace CancelService.Harness;

/// <summary>The service in a process of its own that tests can kill and restart on the same ports.</summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    private const int KeptLines = 200;

    private readonly string[] _command;
    private readonly Queue<string> _output = new();
    private readonly HttpClient _internal;
    private Process? _process;

    private ServiceProcess(string[] command, int publicPort, int internalPort)
    {
        (_command, PublicPort, InternalPort) = (command, publicPort, internalPort);
        _internal = new HttpClient
        {
            BaseAddress = new Uri($"http://127.0.0.1:{internalPort}"),
            Timeout = TimeSpan.FromSeconds(5),
        };
    }

    /// <summary>
    /// The assembly of the service: the published one in the directory CANCELSERVICE_TEST_SERVICE, otherwise the output
    /// of the tests' own build.
    /// </summary>
    public static string Assembly { get; } =
        Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_SERVICE") is { Length: > 0 } directory
            ? Path.Combine(directory, Path.GetFileName(typeof(ServiceHost).Assembly.Location))
            : typeof(ServiceHost).Assembly.Location;

    /// <summary>The public port on loopback.</summary>
    public int PublicPort { get; }

    /// <summary>The internal port on loopback.</summary>
    public int InternalPort { get; }

    /// <summary>The current process; a restart replaces it.</summary>
    public Process Process => _process ?? throw new InvalidOperationException("The service was not started.");

    /// <summary>The last lines of standard output and standard error.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return string.Join('\n', _output);
        }
    }

    /// <summary>The peak resident memory of the process in bytes.</summary>
    public long PeakMemory => Status("VmHWM");

    /// <summary>The resident memory of the process in bytes.</summary>
    public long Memory => Status("VmRSS");

    /// <summary>
    /// Starts an instance in Production on free ports of loopback and waits until it is ready. The settings must name
    /// the wallet's key and the database; the instance accepts tokens of <see cref="Bearer"/>.
    /// </summary>
    /// <param name="settings">Settings in the form of the command line; the last of equal names wins.</param>
    /// <param name="assembly">The assembly to run in place of the service.</param>
    /// <param name="arguments">Arguments that precede the settings on the command line.</param>
    public static async Task<ServiceProcess> Start(
        IEnumerable<string> settings,
        string? assembly = null,
        params string[] arguments
    )
    {
        var (publicPort, internalPort) = (FreePort(), FreePort());
        var service = new ServiceProcess(
            [
                assembly ?? Assembly,
                .. arguments,
                "--environment=Production",
                $"--Kestrel:Endpoints:Public:Url=http://127.0.0.1:{publicPort}",
                $"--Kestrel:Endpoints:Internal:Url=http://127.0.0.1:{internalPort}",
                .. Bearer.Settings,
                .. settings,
            ],
            publicPort,
            internalPort
        );
        try
        {
            service.Launch();
            await service.Ready();
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    /// <summary>Finds a free port of loopback.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Starts the process again after its end, without waiting for readiness.</summary>
    public void Launch()
    {
        _process?.Dispose();
        _process = new Process
        {
            StartInfo = new ProcessStartInfo("dotnet", _command)
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Waits at most three minutes until the instance reports ready.</summary>
    public async Task Ready()
    {
        var start = Stopwatch.GetTimestamp();
        while (!await IsReady())
        {
            if (Process.HasExited)
                throw new InvalidOperationException($"The service ended with {Process.ExitCode}:\n{Output}");
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromMinutes(3))
                throw new TimeoutException($"The service did not become ready within three minutes:\n{Output}");
            await Task.Delay(20);
        }
    }

    /// <summary>Returns true when the instance reports ready.</summary>
    public async Task<bool> IsReady()
    {
        try
        {
            using var response = await _internal.GetAsync(new Uri("/healthz/ready", UriKind.Relative));
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    /// <summary>Reads <c>/metrics</c> in Prometheus' text format.</summary>
    public Task<string> Metrics() => _internal.GetStringAsync(new Uri("/metrics", UriKind.Relative));

    /// <summary>Ends the process with SIGKILL.</summary>
    public async Task Kill()
    {
        Process.Kill();
        await Process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>Sends SIGTERM without waiting for the exit.</summary>
    public void Terminate() => Signal("TERM");

    /// <summary>Pauses the process with SIGSTOP for a time, then resumes it with SIGCONT.</summary>
    public async Task Freeze(TimeSpan time)
    {
        Signal("STOP");
        await Task.Delay(time);
        Signal("CONT");
    }

    private void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", Process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
            await Kill();
        _process?.Dispose();
        _internal.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is null)
            return;
        lock (_output)
        {
            if (_output.Count == KeptLines)
                _output.Dequeue();
            _output.Enqueue(line);
        }
    }

    // Linux reports these values in kB.
    private long Status(string name) =>
        File.ReadLines($"/proc/{Process.Id}/status")
            .Where(line => line.StartsWith(name, StringComparison.Ordinal))
            .Select(line =>
                long.Parse(
                    line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
                    CultureInfo.InvariantCulture
                )
            )
            .Single() * 1024;
}
