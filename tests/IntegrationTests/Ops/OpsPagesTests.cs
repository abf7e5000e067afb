using System.Net;
using System.Net.Http.Headers;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using CancelService.OperatorConsole;
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
        using var browser = Browser(host);
        (await Get(browser, "/ops")).Text.ShouldContain("ops-link your-name");
        var link = Links(host).Make("alice", mayRequeue: true);

        (await Get(browser, $"/ops/sign-in?link={link}")).Text.ShouldContain("<button>Sign in</button>");
        var overview = await Post(browser, "/ops/sign-in", ("link", link));

        overview.Text.ShouldContain("Signed in as ops-link:alice");
        overview.Text.ShouldContain("""<th scope="row">SUCCESS</th><td class="number">1</td>""");
        overview.Text.ShouldContain("""<th scope="row">PROCESS_FAIL</th><td class="number">1</td>""");
        overview.Text.ShouldContain("""<span class="good">Ready</span>""");
        overview.Text.ShouldContain(
            $"""<a href="/ops/clients/ENDING_{provider}">ENDING_{provider}</a></td><td>2</td><td>2026-11-28"""
        );
        overview.Text.ShouldContain("TRANSFER");
        overview.Text.ShouldNotContain("Exception");
        foreach (var page in Pages)
            (await Get(browser, page)).Status.ShouldBe(200, page);
        var timeline = (await Get(browser, "/ops/payments?id=req-p1")).Text;
        timeline.ShouldContain("SUCCESS to CANCELLED, 1,000 USD");
        timeline.ShouldContain("1,000 USD from MERCHANT to PAYERS");
        timeline.ShouldContain("event written");
        (await Get(browser, $"/ops/clients/{client.Id}")).Text.ShouldContain("for ever");
        await TestHost
            .Until(async () =>
            {
                host.Clock.Advance(TimeSpan.FromSeconds(1));
                return (await Get(browser, "/ops/payments?id=p2")).Text.Contains(
                    "cancel answered PROCESS_FAIL",
                    StringComparison.Ordinal
                );
            })
            .Becomes(true);

        using var second = Browser(host);
        (await Post(second, "/ops/sign-in", ("link", link))).Status.ShouldBe(400, "the link was used");
        await Post(browser, "/ops/sign-out");
        (await Get(browser, "/ops/clients")).Text.ShouldNotContain(client.Id.Value);
    }

    [Fact]
    public async Task Expired_or_altered_links_and_foreign_cookies_do_not_sign_in()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = Browser(host);
        var link = Links(host).Make("alice", mayRequeue: false);
        host.Clock.Advance(OpsLinks.Validity);
        (await Post(browser, "/ops/sign-in", ("link", link))).Status.ShouldBe(400);

        link = Links(host).Make("alice", mayRequeue: false);
        foreach (var i in (int[])[0, 20, link.Length / 2, link.Length - 3])
        {
            var changed = $"{link[..i]}{(link[i] == 'A' ? 'B' : 'A')}{link[(i + 1)..]}";
            (await Post(browser, "/ops/sign-in", ("link", changed))).Status.ShouldBe(400);
        }
        foreach (var junk in (string[])["", "a", "!", new string('A', 5000)])
            (await Post(browser, "/ops/sign-in", ("link", junk))).Status.ShouldBe(400);
        (await Get(browser, "/ops/clients")).Text.ShouldContain("ops-link your-name");

        // The session expires by itself.
        await Post(browser, "/ops/sign-in", ("link", link));
        (await Get(browser, "/ops")).Text.ShouldContain("Signed in as");
        host.Clock.Advance(TimeSpan.FromHours(8) + TimeSpan.FromSeconds(1));
        (await Get(browser, "/ops")).Text.ShouldNotContain("Signed in as");
    }

    [Fact]
    public async Task Session_is_valid_on_every_instance()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var one = await TestHost.Start(database);
        await using var two = await TestHost.Start(database);
        using var browser = Browser(one);
        await Post(browser, "/ops/sign-in", ("link", Links(two).Make("alice", mayRequeue: false)));

        (await Get(browser, $"http://127.0.0.1:{two.InternalPort}/ops")).Text.ShouldContain("Signed in as");
    }

    [Theory]
    // Scopes, request and expected status.
    [InlineData("payments:read clients:read", "GET /ops", 200)]
    [InlineData("payments:read", "GET /ops", 403)]
    [InlineData("clients:read", "GET /ops/clients", 403)]
    [InlineData("payments:read clients:read", "POST /ops/requeue", 403)]
    [InlineData("payments:read clients:read payments:write", "POST /ops/requeue", 302)]
    [InlineData("payments:write", "POST /ops/requeue", 403)]
    public async Task Token_grants_access_within_its_scopes(string scopes, string call, int status)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var request = new HttpRequestMessage(
            new HttpMethod(call.Split(' ')[0]),
            new Uri($"http://127.0.0.1:{host.InternalPort}{call.Split(' ')[1]}")
        );
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.Token(scopes));
        if (request.Method == HttpMethod.Post)
            request.Content = new FormUrlEncodedContent([]);
        using var browser = Browser(host, follow: false);

        using var answer = await browser.SendAsync(request, TestContext.Current.CancellationToken);

        ((int)answer.StatusCode).ShouldBe(status);
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
        using var browser = Browser(host);
        await Post(browser, "/ops/sign-in", ("link", Links(host).Make("alice", mayRequeue: true)));
        var parked = (await Get(browser, "/ops/events")).Text;
        parked.ShouldContain("&lt;script&gt;alert(1)&lt;/script&gt;");
        parked.ShouldNotContain("<script>");

        await Post(browser, "/ops/requeue", ("clientId", client.Id.Value), ("paymentId", "p2"));
        (await Parked(host)).ShouldBe("p1 p3");
        // An order that names no existing event must not mean all events.
        foreach (
            var (who, id) in ((string, string)[])[(client.Id.Value, ""), ("", "p1"), ("a.b", "p1"), ("NOBODY", "p1")]
        )
            (await Post(browser, "/ops/requeue", ("clientId", who), ("paymentId", id))).Status.ShouldBe(404);
        (await Parked(host)).ShouldBe("p1 p3");
        foreach (var state in (string[])["9", "-1", "0,1", "junk"])
            (await Get(browser, $"/ops/events?state={state}")).Status.ShouldBe(200);
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        await Post(browser, "/ops/requeue", ("reason", "the core is back"));
        (await Parked(host)).ShouldBe("");

        var changes = (await host.Call("GET", "/changes?kind=REQUEUE")).ShouldBe(200);
        changes
            .Items.Select(item =>
                $"{item.GetProperty("actor")} {item.GetProperty("subject")} {item.GetProperty("reason")}"
            )
            .ShouldBe(["ops-link:alice p2 ", "ops-link:alice  the core is back"]);
    }

    [Fact]
    public async Task Pages_block_framing_foreign_content_and_cross_site_posts()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = Browser(host);
        await Post(browser, "/ops/sign-in", ("link", Links(host).Make("alice", mayRequeue: true)));
        foreach (var page in Pages.Append("/ops/sign-in"))
        {
            using var answer = await browser.GetAsync(
                new Uri(page, UriKind.Relative),
                TestContext.Current.CancellationToken
            );
            var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
            policy.ShouldStartWith("default-src 'none'; style-src 'sha256-");
            policy.ShouldContain("frame-ancestors 'none'");
            answer.Headers.CacheControl!.NoStore.ShouldBeTrue();
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            text.ShouldNotContain("http://");
            text.ShouldNotContain("<script");
        }
        foreach (var path in (string[])["/ops/requeue", "/ops/sign-in", "/ops/sign-out"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative));
            request.Headers.Add("Sec-Fetch-Site", "cross-site");
            request.Content = new FormUrlEncodedContent([]);
            using var answer = await browser.SendAsync(request, TestContext.Current.CancellationToken);
            answer.StatusCode.ShouldBe(HttpStatusCode.Forbidden, path);
        }
    }

    [Fact]
    public async Task Page_reports_a_database_outage_and_shows_its_local_data()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:01");
        using var browser = Browser(host);
        await Post(browser, "/ops/sign-in", ("link", Links(host).Make("alice", mayRequeue: false)));
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE outbox, clients, client_keys, changes IN ACCESS EXCLUSIVE MODE"
        );
        using var stop = new CancellationTokenSource();
        var clock = Advance(host, stop.Token);

        var page = await Get(browser, "/ops");

        page.Status.ShouldBe(200);
        page.Text.ShouldContain("no answer from the database within");
        page.Text.ShouldContain("This instance answered no merchant in the last hour.");
        (await Get(browser, "/ops/clients")).Status.ShouldBe(503);
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
        using var browser = Browser(host);

        var page = await Get(browser, "/ops/sign-in/openid");

        page.Text.Contains("Signed in as alice", StringComparison.Ordinal).ShouldBe(isLetIn, page.Text);
        (await Get(browser, "/ops/clients"))
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
            host.Services.GetRequiredService<AnswersOfTheHour>().Read().Sum(minute => minute.Sum());
    }

    private static OpsLinks Links(TestHost host) => host.Services.GetRequiredService<OpsLinks>();

    private static HttpClient Browser(TestHost host, bool follow = true) =>
        new(new HttpClientHandler { AllowAutoRedirect = follow }, disposeHandler: true)
        {
            BaseAddress = new Uri($"http://127.0.0.1:{host.InternalPort}"),
        };

    private static async Task<(int Status, string Text)> Get(HttpClient browser, string path)
    {
        using var answer = await browser.GetAsync(
            new Uri(path, UriKind.RelativeOrAbsolute),
            TestContext.Current.CancellationToken
        );
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static async Task<(int Status, string Text)> Post(
        HttpClient browser,
        string path,
        params (string Name, string Value)[] fields
    )
    {
        using var form = new FormUrlEncodedContent(
            fields.Select(field => KeyValuePair.Create(field.Name, field.Value))
        );
        using var answer = await browser.PostAsync(
            new Uri(path, UriKind.Relative),
            form,
            TestContext.Current.CancellationToken
        );
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

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
