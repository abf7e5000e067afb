using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using CancelService.Api.Hosting;

namespace CancelService.Harness;

/// <summary>The service in a process of its own, which may be killed and started again on the same ports.</summary>
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
    /// The service that is started: the published one where CANCELSERVICE_TEST_SERVICE names its directory, otherwise the one that was
    /// built with the tests.
    /// </summary>
    public static string Assembly { get; } =
        Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_SERVICE") is { Length: > 0 } directory
            ? Path.Combine(directory, Path.GetFileName(typeof(ServiceHost).Assembly.Location))
            : typeof(ServiceHost).Assembly.Location;

    /// <summary>The merchants' port, on loopback.</summary>
    public int PublicPort { get; }

    /// <summary>The internal port, on loopback.</summary>
    public int InternalPort { get; }

    /// <summary>The process as it runs now.</summary>
    public Process Process => _process ?? throw new InvalidOperationException("The service was not started.");

    /// <summary>The last lines that the service wrote to its two outputs.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return string.Join('\n', _output);
        }
    }

    /// <summary>The most memory that the process ever had resident, in bytes.</summary>
    public long PeakMemory => Status("VmHWM");

    /// <summary>The memory that the process has resident, in bytes.</summary>
    public long Memory => Status("VmRSS");

    /// <summary>
    /// Starts an instance in Production on free ports of loopback, and waits until it is ready. The settings have to name
    /// the wallet's key and the database; tokens of <see cref="Bearer"/> are valid.
    /// </summary>
    /// <param name="settings">Settings as on the command line; the last one wins.</param>
    /// <param name="assembly">What runs, where that is not the service itself.</param>
    /// <param name="arguments">What comes before the settings on its command line.</param>
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

    /// <summary>A port of loopback that nobody listens on.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Starts the process again after it has ended; it is not ready yet.</summary>
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

    /// <summary>Waits until the instance says that it is ready, for three minutes at most.</summary>
    public async Task Ready()
    {
        var start = Stopwatch.GetTimestamp();
        while (!await IsReady())
        {
            if (Process.HasExited)
                throw new InvalidOperationException($"The service ended with {Process.ExitCode}:\n{Output}");
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromMinutes(3))
                throw new TimeoutException($"The service is not ready in three minutes:\n{Output}");
            await Task.Delay(20);
        }
    }

    /// <summary>Whether the instance says that it is ready.</summary>
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

    /// <summary>What <c>/metrics</c> says now, in Prometheus' text format.</summary>
    public Task<string> Metrics() => _internal.GetStringAsync(new Uri("/metrics", UriKind.Relative));

    /// <summary>Ends the process with SIGKILL.</summary>
    public async Task Kill()
    {
        Process.Kill();
        await Process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>Sends SIGTERM, and does not wait for what comes of it.</summary>
    public void Terminate() => Signal("TERM");

    /// <summary>Stops the process where it is, for a time, and lets it go on: it does not notice that time has passed.</summary>
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

    // Linux tells it in /proc, in kB.
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
