using CancelService.Api.Exchange;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using CancelService.OperatorConsole;
using CancelService.Protocol;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Ops;

/// <summary>
/// Goal: the operations pages admit only operators, show every state and perform the permitted actions.
/// </summary>
public sealed class OpsPagesTests(PostgresServer postgres)
{
    private static readonly string[] Pages =
    [
        "/ops",
        "/ops/payments?id=p1",
        "/ops/events",
        "/ops/clients",
        "/ops/changes",
    ];

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Link_signs_in_once_and_opens_every_page(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        var client = await host.AddClient();
        await host.AddClient(
            id: $"ENDING_{provider}",
            keys:
            [
                new ClientKey
                {
                    Version = 1,
                    PublicKey = KeyPair.Merchant.PublicKey,
                    NotAfter = host.Now.AddDays(3),
                },
                new ClientKey
                {
                    Version = 2,
                    PublicKey = KeyPair.Merchant.PublicKey,
                    NotAfter = host.Now.AddDays(5),
                },
            ]
        );
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Captured, "p2");
        await host.Post(client, 700);
        await Cancel(host, client, "p1", "SUCCESS");
        await Cancel(host, client, "p2", "PROCESS_FAIL");
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        using var browser = new OpsBrowser(host);
        (await browser.Get("/ops")).Text.ShouldContain("ops-link your-name");
        var link = await OpsBrowser.Link(host);

        (await browser.Get($"/ops/sign-in?link={link}")).Text.ShouldContain("<button>Sign in</button>");
        var overview = await browser.SignIn(link);

        overview.Text.ShouldContain("Signed in as ops-link:alice");
        overview.Text.ShouldContain("""<td>cancel</td><td>SUCCESS</td><td class="number">1</td>""");
        overview.Text.ShouldContain("""<td>cancel</td><td>PROCESS_FAIL</td><td class="number">1</td>""");
        overview.Text.ShouldContain("""<span class="good">Ready</span>""");
        overview.Text.ShouldContain(
            $"""<a href="/ops/clients/ENDING_{provider}">ENDING_{provider}</a></td><td>2</td><td>2026-11-28"""
        );
        overview.Text.ShouldContain("TRANSFER");
        overview.Text.ShouldNotContain("Exception");
        foreach (var page in Pages)
            (await browser.Get(page)).Status.ShouldBe(200, page);
        var timeline = (await browser.Get("/ops/payments?id=req-p1")).Text;
        timeline.ShouldContain("SUCCESS to CANCELLED, 1,000 USD");
        timeline.ShouldContain("1,000 USD from MERCHANT to PAYERS");
        timeline.ShouldContain("event written");
        (await browser.Get($"/ops/clients/{client.Id}")).Text.ShouldContain("for ever");
        await TestHost
            .Until(async () =>
            {
                host.Clock.Advance(TimeSpan.FromSeconds(1));
                return (await browser.Get("/ops/payments?id=p2")).Text.Contains(
                    "cancel answered PROCESS_FAIL",
                    StringComparison.Ordinal
                );
            })
            .Becomes(true);

        using var second = new OpsBrowser(host);
        (await second.SignIn(link)).Status.ShouldBe(400, "the link was used");
        (await browser.Post("/ops/sign-out")).Text.ShouldContain("<h2>Sign in</h2>");
        (await browser.Get("/ops/clients")).Text.ShouldNotContain(client.Id.Value);
    }

    [Theory]
    // Scopes, request and expected status.
    [InlineData("payments:read clients:read", "GET /ops", 200)]
    [InlineData("payments:read", "GET /ops", 403)]
    [InlineData("clients:read", "GET /ops/clients", 403)]
    [InlineData("payments:read clients:read", "POST /ops/requeue", 403)]
    [InlineData("payments:read clients:read payments:write", "POST /ops/requeue", 200)]
    [InlineData("payments:write", "POST /ops/requeue", 403)]
    public async Task Token_grants_access_within_its_scopes(string scopes, string call, int status)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = new OpsBrowser(host);
        browser.Headers["Authorization"] = $"Bearer {Bearer.Token(scopes)}";
        browser.Headers["Sec-Fetch-Site"] = ""; // A program calls, no browser.
        var path = call.Split(' ')[1];

        var answer = call.StartsWith("POST", StringComparison.Ordinal)
            ? await browser.PostWithoutToken(path, ("all", "true"))
            : await browser.Get(path);

        answer.Status.ShouldBe(status);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Parked_events_are_requeued_singly_or_together_and_the_operator_recorded(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        var client = await host.AddClient();
        foreach (var id in (string[])["p1", "p2", "p3"])
        {
            await host.AddPayment(client, State.Success, id);
            await Cancel(host, client, id, "SUCCESS");
        }
        await host.Execute(
            "UPDATE outbox SET due_at = NULL, parked_at = created_at, last_error = '<script>alert(1)</script>'"
        );
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        using var browser = await OpsBrowser.SignedIn(host, mayRequeue: true);
        var parked = (await browser.Get("/ops/events")).Text;
        parked.ShouldContain("&lt;script&gt;alert(1)&lt;/script&gt;");
        parked.ShouldNotContain("<script>");

        await browser.Post("/ops/requeue", ("clientId", client.Id.Value), ("paymentId", "p2"));
        (await Parked(host)).ShouldBe("p1 p3");
        (await browser.Post("/ops/requeue", ("clientId", "NOBODY"), ("paymentId", "p1"))).Status.ShouldBe(404);
        // An order that names no existing event must not mean all events.
        foreach (var (clientId, paymentId, all) in Unclear(client.Id.Value))
        {
            var answer = await browser.Post(
                "/ops/requeue",
                ("clientId", clientId),
                ("paymentId", paymentId),
                ("all", all)
            );
            answer.Status.ShouldBe(400, $"{clientId} {paymentId} {all}");
        }
        (await browser.Post("/ops/requeue", ("reason", "no event is named"))).Status.ShouldBe(400);
        (await Parked(host)).ShouldBe("p1 p3");
        foreach (var state in (string[])["9", "-1", "0,1", "junk"])
            (await browser.Get($"/ops/events?state={state}")).Status.ShouldBe(200);
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        await browser.Post("/ops/requeue", ("all", "true"), ("reason", "the core is back"));
        (await Parked(host)).ShouldBe("");

        var changes = (await host.Call("GET", "/changes?kind=REQUEUE")).ShouldBe(200);
        changes
            .Items.Select(item =>
                $"{item.GetProperty("actor")} {item.GetProperty("subject")} {item.GetProperty("reason")}"
            )
            .ShouldBe(["ops-link:alice p2 ", "ops-link:alice  the core is back"]);
    }

    [Fact]
    public async Task Page_reports_a_database_outage_and_shows_its_local_data()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:01");
        using var browser = await OpsBrowser.SignedIn(host, mayRequeue: false);
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE outbox, clients, client_keys, changes IN ACCESS EXCLUSIVE MODE"
        );
        using var stop = new CancellationTokenSource();
        var clock = Advance(host, stop.Token);

        var page = await browser.Get("/ops");

        page.Status.ShouldBe(200);
        page.Text.ShouldContain("no answer from the database within");
        page.Text.ShouldContain("This instance answered no merchant in the last hour.");
        (await browser.Get("/ops/clients")).Status.ShouldBe(503);
        await stop.CancelAsync();
        await clock;
    }

    [Theory]
    [InlineData("payments:read clients:read payments:write", Bearer.Audience, true)]
    [InlineData("payments:read clients:read", Bearer.Audience, true)]
    [InlineData("payments:read", Bearer.Audience, false)]
    [InlineData("payments:read clients:read", "another-service", false)]
    public async Task Operator_signs_in_with_OpenID_Connect(string scopes, string audience, bool isLetIn)
    {
        await using var provider = await OpenIdProvider.Start();
        (provider.Scopes, provider.Audience) = (scopes, audience);
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(
            database,
            systemClock: true, // The provider issues tokens by the system clock.
            settings:
            [
                $"--Authentication:Schemes:Bearer:Authority={provider.Url}",
                "--Authentication:Schemes:Bearer:RequireHttpsMetadata=false",
                "--Ops:OpenIdClientId=ops-page",
            ]
        );
        using var browser = new OpsBrowser(host);

        var page = await browser.Get("/ops/sign-in/openid");

        page.Text.Contains("Signed in as alice", StringComparison.Ordinal).ShouldBe(isLetIn, page.Text);
        (await browser.Get("/ops/clients"))
            .Text.Contains("<h2>Clients</h2>", StringComparison.Ordinal)
            .ShouldBe(isLetIn);
    }

    [Fact]
    public async Task Counts_cover_only_the_last_hour()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        await Cancel(host, client, "p1", "ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromMinutes(AnswersOfTheHour.Minutes - 1));
        await Cancel(host, client, "p1", "ORDER_NOT_EXIST");
        Count(host).ShouldBe(2);
        host.Clock.Advance(TimeSpan.FromMinutes(1));
        Count(host).ShouldBe(1);
        host.Clock.Advance(TimeSpan.FromDays(30));
        Count(host).ShouldBe(0);

        static int Count(TestHost host) =>
            host.Services.GetRequiredService<AnswersOfTheHour>().Read().Sum(minute => minute.Values.Sum());
    }

    [Fact]
    public async Task Hour_of_nothing_but_unknown_outcomes_is_a_red_bar_and_a_row()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var metrics = host.Services.GetRequiredService<ApiMetrics>();
        metrics.Answered("cancel", ResultCode.UnknownException.Code, TimeSpan.Zero);
        metrics.Answered("inquiry", ResultCode.UnknownException.Code, TimeSpan.Zero);
        metrics.Answered("cancel", ResultCode.UnknownException.Code, TimeSpan.Zero);
        using var browser = await OpsBrowser.SignedIn(host);

        var overview = (await browser.Get("/ops")).Text;

        overview.ShouldContain("<rect class=\"u\"");
        overview.ShouldContain("""<td>cancel</td><td>UNKNOWN_EXCEPTION</td><td class="number">2</td>""");
        overview.ShouldContain("""<td>inquiry</td><td>UNKNOWN_EXCEPTION</td><td class="number">1</td>""");
        overview.ShouldNotContain("answered no merchant");
    }

    private static IEnumerable<(string ClientId, string PaymentId, string All)> Unclear(string clientId) =>
        [
            (clientId, "", ""),
            ("", "p1", ""),
            ("", "", ""),
            ("a.b", "p1", ""),
            (clientId, "p/1", ""),
            (clientId, "p1", "true"),
            (clientId, "", "true"),
            ("", "", "false"),
            ("", "", "TRUE"),
            ("", "", "true,true"),
        ];

    private static async Task Cancel(TestHost host, TestClient client, string id, string code) =>
        (
            await host.Send(
                new CancelCall
                {
                    Client = client,
                    At = host.Now,
                    Json = $$"""{"paymentId":"{{id}}"}""",
                }
            )
        ).Code.ShouldBe(code);

    private static async Task<string> Parked(TestHost host)
    {
        var page = (await host.Call("GET", "/notifications?state=parked")).ShouldBe(200);
        return string.Join(' ', page.Items.Select(item => item.GetProperty("paymentId").GetString()));
    }

    // Advances the service's clock, because its timeouts use it.
    private static async Task Advance(TestHost host, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            host.Clock.Advance(TimeSpan.FromSeconds(0.2));
            await Task.Delay(20, CancellationToken.None);
        }
    }
}
