using System.Globalization;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>
/// Goal: the sandbox provokes failures on demand, moves its clock and exists only where it is enabled.
/// </summary>
public sealed class ScenarioTests(PostgresServer postgres)
{
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Cancel_is_unknown_while_the_database_stalls_and_succeeds_afterwards(DatabaseProvider provider)
    {
        await using var sandbox = await Site.Open(provider, postgres, "--Database:Timeout=00:00:01");

        (await sandbox.Post("scenarios/stall", ("seconds", "10"))).ShouldContain("The database stalls for 10 s.");
        // A slow machine may ask when the stall is over, so each question makes one.
        await TestHost
            .Until(async () =>
            {
                await sandbox.Post("scenarios/stall", ("seconds", "10"));
                return await sandbox.Post("scenarios/stall", ("seconds", "10"));
            })
            .Matches(page => page.Contains("The database stalls already.", StringComparison.Ordinal));
        await TestHost
            .Until(async () =>
            {
                await sandbox.Post("scenarios/stall", ("seconds", "10"));
                return await sandbox.Cancel("demo-success");
            })
            .Becomes("UNKNOWN_EXCEPTION");

        await TestHost.Until(() => sandbox.Cancel("demo-success")).Becomes("SUCCESS");
        await TestHost.Until(() => sandbox.Cancel("demo-authorized")).Becomes("SUCCESS");
        await TestHost
            .Until(async () =>
                (await sandbox.Post("scenarios/stall", ("seconds", "1"))).Contains(
                    "The database stalls for 1 s.",
                    StringComparison.Ordinal
                )
            )
            .Becomes(true);
    }

    [Fact]
    public async Task Throttling_scenario_answers_503_and_ends_by_itself()
    {
        await using var sandbox = await Site.Open(DatabaseProvider.Sqlite, postgres);

        var page = "";
        await TestHost
            .Until(async () =>
            {
                var away = await sandbox.Post("scenarios/away", ("seconds", "10"));
                away.ShouldContain("Every cancel is turned away for 10 s");
                return page = await sandbox.Post("cancel", ("id", "demo-success"), ("extendInfo", ""), ("mistake", ""));
            })
            .Matches(answer => answer.Contains("HTTP/1.1 503 Service Unavailable", StringComparison.Ordinal));
        page.ShouldContain("Retry-After: 1");
        page.ShouldContain("The answer is not signed");
        (await sandbox.Get("requests")).ShouldContain("<td>503</td>");

        await TestHost.Until(() => sandbox.Cancel("demo-success")).Becomes("SUCCESS");
    }

    [Theory]
    [InlineData("stall", "0")]
    [InlineData("stall", "61")]
    [InlineData("stall", "")]
    [InlineData("away", "-1")]
    [InlineData("away", "ten")]
    public async Task Scenario_lasts_at_most_a_minute(string scenario, string seconds)
    {
        await using var sandbox = await Site.Open(DatabaseProvider.Sqlite, postgres);
        (await sandbox.Post($"scenarios/{scenario}", ("seconds", seconds))).ShouldContain("between 1 and 60 seconds");
        (await sandbox.Cancel("demo-success")).ShouldBe("SUCCESS");
    }

    /// <summary>
    /// Goal: a developer moves the clock past the end of a payment's window and back, without waiting.
    /// </summary>
    [Fact]
    public async Task Clock_moves_past_a_cut_off_and_back()
    {
        await using var sandbox = await Site.Open(DatabaseProvider.Sqlite, postgres);
        (await sandbox.Get("scenarios")).ShouldContain("as on the machine");

        (await sandbox.Post("scenarios/clock", ("jump", "before"))).ShouldContain("ahead of the machine");
        (await sandbox.Cancel("demo-success")).ShouldBe("SUCCESS");
        await sandbox.Post("scenarios/clock", ("jump", "past"));
        (await sandbox.Cancel("demo-processing")).ShouldBe("CANCEL_WINDOW_EXCEED");
        (await sandbox.Cancel("demo-success")).ShouldBe("SUCCESS", "a cancel in time repeats its answer");
        var ahead = (await sandbox.Get("keys")).Split("data-ahead=\"")[1].Split('"')[0];
        double.Parse(ahead, CultureInfo.InvariantCulture)
            .ShouldBeGreaterThan(0, "the browser signs with this clock offset");

        (await sandbox.Post("scenarios/clock", ("jump", "back"))).ShouldContain("as on the machine");
        (await sandbox.Cancel("demo-processing")).ShouldBe("SUCCESS");
        for (var i = 0; i < 400; i++)
            await sandbox.Post("scenarios/clock", ("jump", "day"));
        (await sandbox.Get("scenarios")).ShouldContain("366.00:00:00 ahead", customMessage: "no further");
    }

    [Fact]
    public async Task Demo_contract_can_be_changed()
    {
        await using var sandbox = await Site.Open(DatabaseProvider.Sqlite, postgres);
        foreach (
            var (terms, code) in new[]
            {
                ("denied", "ACCESS_DENIED"),
                ("disabled", "CLIENT_INVALID"),
                ("usual", "SUCCESS"),
            }
        )
        {
            (await sandbox.Post("scenarios/contract", ("terms", terms))).ShouldContain("The contract was changed.");
            (await sandbox.Cancel("demo-success")).ShouldBe(code);
        }
        await sandbox.Post("scenarios/contract", ("terms", "slow"));
        await TestHost.Until(() => sandbox.Cancel("demo-success")).Becomes("REQUEST_TRAFFIC_EXCEED_LIMIT");
    }

    [Fact]
    public async Task Banner_names_everything_unusual_until_all_is_put_back()
    {
        await using var sandbox = await Site.Open(DatabaseProvider.Sqlite, postgres);
        (await sandbox.Get("core")).ShouldNotContain("Put all back");

        await sandbox.Post("scenarios/clock", ("jump", "hour"));
        await sandbox.Post("scenarios/contract", ("terms", "denied"));
        await sandbox.Post("scenarios/away", ("seconds", "60"));
        await sandbox.Post("scenarios/stall", ("seconds", "60"));
        foreach (var page in (string[])["", "core", "scenarios", "events", "keys", "requests"])
        {
            var html = await sandbox.Get(page);
            html.ShouldContain("The clock is 0.01:00:00 ahead.");
            html.ShouldContain("The contract of DEMO_CLIENT was changed.");
            html.ShouldContain("Every cancel is turned away until");
            html.ShouldContain("The database stalls until");
            html.ShouldContain("Put all back");
        }

        (await sandbox.Post("scenarios/back")).ShouldContain("Everything is as usual.");
        (await sandbox.Get("core")).ShouldNotContain("Put all back");
        (await sandbox.Cancel("demo-success")).ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task Balance_can_be_filled_and_emptied()
    {
        await using var sandbox = await Site.Open(DatabaseProvider.Sqlite, postgres);
        await sandbox.Post("core", ("id", "p1"), ("step", "payment"));
        (await sandbox.Post("core", ("id", "p1"), ("step", "fill"))).ShouldContain(
            "The account holds 10,000,000,000,000,000.00 USD now."
        );
        (await sandbox.Post("core", ("id", "p1"), ("step", "Succeed"))).ShouldContain("would hold too much");

        (await sandbox.Post("core", ("id", "p1"), ("step", "empty"))).ShouldContain("The account holds 0.00 USD now.");
        (await sandbox.Cancel("demo-success")).ShouldBe("MERCHANT_BALANCE_NOT_ENOUGH");
        await sandbox.Host.ShouldPassTheAudit();
    }

    /// <summary>A service with a sandbox, and its developer.</summary>
    private sealed class Site(TestHost host) : IAsyncDisposable
    {
        private readonly SandboxBrowser _browser = new(host);

        public TestHost Host => host;

        public static async Task<Site> Open(
            DatabaseProvider provider,
            PostgresServer postgres,
            params string[] settings
        ) =>
            await Open(
                await TestDatabase.Create(provider, postgres, empty: true),
                "Development",
                ownsDatabase: true,
                settings: settings
            );

        public static async Task<Site> Open(
            TestDatabase database,
            string environment,
            bool ownsDatabase = false,
            bool waitForReady = true,
            params string[] settings
        ) =>
            new(
                await TestHost.Start(
                    database,
                    systemClock: true,
                    waitForReady: waitForReady,
                    ownsDatabase: ownsDatabase,
                    extension: new SandboxExtension(),
                    settings:
                    [
                        $"--environment={environment}",
                        $"--Sandbox:Directory={Path.Combine(database.Directory, "demo")}",
                        .. settings,
                    ]
                )
            );

        public Task<string> Get(string page) => _browser.Get(page);

        public Task<string> Post(string form, params (string Name, string Value)[] fields) =>
            _browser.Post(form, fields);

        public Task<string> Cancel(string id) => _browser.Cancel(id);

        public ValueTask DisposeAsync()
        {
            _browser.Dispose();
            return host.DisposeAsync();
        }
    }
}
