using System.Diagnostics;
using System.Net.Http.Headers;
using CancelService.Sandbox;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

[assembly: AssemblyFixture(typeof(CancelService.BrowserTests.Site))]

namespace CancelService.BrowserTests;

/// <summary>The service with the demo wallet in a separate process, and Chromium.</summary>
public sealed class Site : IAsyncLifetime
{
    /// <summary>A host name of the service that Chromium resolves, beside every other of its domain.</summary>
    public const string HostName = "wallet.corp.example";

    /// <summary>Milliseconds, for a busy machine.</summary>
    internal const int Patience = 60_000;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cancelservice-browser-");
    private IPlaywright? _playwright;
    private ServiceProcess? _service;

    /// <summary>Headless Chromium.</summary>
    public IBrowser Browser { get; private set; } = null!;

    /// <summary>Address of the internal port.</summary>
    public string Address => $"http://127.0.0.1:{_service!.InternalPort}";

    private static string Screenshots { get; } =
        Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts/screenshots")).FullName;

    private string[] Settings =>
        [
            "--environment=Development",
            "--Database:Provider=Sqlite",
            $"--Database:ConnectionString=Data Source={_directory.FullName}/browser.db",
            $"--Sandbox:Directory={_directory.FullName}/demo",
            $"--Notifications:Url=http://127.0.0.1:{TcpForwarder.ClosedPort()}",
            "--Notifications:MaxAttempts=1",
            $"--Ops:AllowedHosts:0={HostName}",
        ];

    public async ValueTask InitializeAsync()
    {
        Assertions.SetDefaultExpectTimeout(Patience);
        _service = await ServiceProcess.Start(Settings, typeof(SandboxExtension).Assembly.Location);
        _playwright = await Playwright.CreateAsync();
        Browser = await _playwright.Chromium.LaunchAsync(
            new()
            {
                ExecutablePath = Chromium(),
                Args =
                [
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--host-resolver-rules=MAP *.corp.example 127.0.0.1",
                ],
            }
        );
    }

    public async ValueTask DisposeAsync()
    {
        if (Browser is not null)
            await Browser.DisposeAsync();
        _playwright?.Dispose();
        if (_service is not null)
            await _service.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    /// <summary>Opens a page in a new browser context; errors and requests to other hosts fail the test.</summary>
    public async Task<Visit> Open(Look look, bool withScript = true)
    {
        var context = await Browser.NewContextAsync(
            new()
            {
                BaseURL = Address,
                JavaScriptEnabled = withScript,
                ColorScheme = look.IsDark ? ColorScheme.Dark : ColorScheme.Light,
                ViewportSize = look.IsPhone
                    ? new() { Width = 390, Height = 844 }
                    : new() { Width = 1280, Height = 900 },
            }
        );
        context.SetDefaultTimeout(Patience);
        return new Visit(await context.NewPageAsync(), look, Address, Screenshots);
    }

    // Distribution packages install it on the PATH.
    private static string Chromium() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Select(directory => Path.Combine(directory, "chromium"))
            .FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException(
            "Chromium is not on the PATH. Install it (Debian: apt-get install chromium)."
        );

    /// <summary>Sign-in link that the ops-link command prints.</summary>
    public async Task<string> Link(string name)
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [
                typeof(SandboxExtension).Assembly.Location,
                "ops-link",
                name,
                "--may-requeue",
                $"--Kestrel:Endpoints:Internal:Url={Address}",
                .. Settings,
            ]
        )
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
        process.ExitCode.ShouldBe(0, output);
        return output.Split('\n').Last(line => line.StartsWith("http", StringComparison.Ordinal)).Trim();
    }

    /// <summary>Gets a response of the internal API.</summary>
    public async Task<string> Get(string path)
    {
        using var api = new HttpClient { BaseAddress = new Uri(Address) };
        api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.All);
        return await api.GetStringAsync(new Uri($"/internal/v1{path}", UriKind.Relative));
    }
}

/// <summary>Viewport and colour scheme of a page.</summary>
public sealed record Look(bool IsPhone, bool IsDark)
{
    public override string ToString() => $"{(IsPhone ? "phone" : "desktop")}-{(IsDark ? "dark" : "light")}";

    /// <summary>Covers both viewports and both colour schemes.</summary>
    public static TheoryData<bool, bool> All => new() { { false, false }, { true, true } };
}

/// <summary>An open page that records its errors and foreign requests.</summary>
public sealed class Visit : IAsyncDisposable
{
    private readonly Look _look;
    private readonly string _screenshots;
    private readonly List<string> _faults = [];

    public Visit(IPage page, Look look, string address, string screenshots)
    {
        ArgumentNullException.ThrowIfNull(page);
        (Page, _look, _screenshots) = (page, look, screenshots);
        page.Console += (_, message) =>
        {
            // The browser logs each refusal that a test provokes as an error with status 4xx.
            if (message.Type is "error" or "warning" && !message.Text.Contains("status of 4", StringComparison.Ordinal))
                _faults.Add(message.Text);
        };
        page.PageError += (_, error) => _faults.Add(error);
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(address, StringComparison.Ordinal))
                _faults.Add($"a request to {request.Url}");
        };
    }

    public IPage Page { get; }

    /// <summary>
    /// Takes a screenshot (artifacts/screenshots) and fails when axe finds a violation, the page is wider than the
    /// screen, or an error occurred since it was opened.
    /// </summary>
    public async Task IsGood(string name)
    {
        await Page.ScreenshotAsync(new() { Path = Path.Combine(_screenshots, $"{name}-{_look}.png"), FullPage = true });
        var found = await Page.RunAxe();
        found.Violations.Select(violation => $"{name}: {violation.Id}: {violation.Nodes[0].Html}").ShouldBeEmpty();
        var tooWide = await Page.EvaluateAsync<int>("document.documentElement.scrollWidth - window.innerWidth");
        tooWide.ShouldBeLessThanOrEqualTo(0, name);
        _faults.ShouldBeEmpty(name);
    }

    public async ValueTask DisposeAsync() => await Page.Context.DisposeAsync();
}
