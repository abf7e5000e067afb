using CancelService.Infrastructure.Sql;
using CancelService.OperatorConsole;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests.Ops;

/// <summary>Goal: sessions and links of operators begin once and end everywhere, and need the database.</summary>
public sealed class OpsSessionTests(PostgresServer postgres)
{
    private const string SessionCookie = "cancelservice-ops";
    private const string SignedIn = "Signed in as";

    [Fact]
    public async Task Expired_or_altered_links_do_not_sign_in()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = new OpsBrowser(host);
        var expired = await OpsBrowser.Link(host, validity: TimeSpan.FromMilliseconds(1));
        (await browser.SignIn(expired)).Status.ShouldBe(400);
        var expiredInDatabase = await OpsBrowser.Link(host);
        await host.Execute("UPDATE operator_sessions SET expires_at = 0");
        (await browser.SignIn(expiredInDatabase)).Status.ShouldBe(400);

        var link = await OpsBrowser.Link(host);
        foreach (var i in (int[])[0, 20, link.Length / 2, link.Length - 3])
        {
            var changed = $"{link[..i]}{(link[i] == 'A' ? 'B' : 'A')}{link[(i + 1)..]}";
            (await browser.SignIn(changed)).Status.ShouldBe(400, changed);
        }
        foreach (var junk in (string[])["", "a", "!", new string('A', 5000), $"{link}=", $"{link}==", $" {link}"])
            (await browser.SignIn(junk)).Status.ShouldBe(400, junk);
        (await browser.Get("/ops/clients")).Text.ShouldContain("ops-link your-name");

        (await browser.SignIn(link)).Text.ShouldContain(SignedIn);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Link_signs_in_once_among_concurrent_uses_on_two_instances(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var one = await TestHost.Start(database);
        await using var two = await TestHost.Start(database);
        var link = await OpsBrowser.Link(one);
        var browsers = Enumerable.Range(0, 8).Select(i => new OpsBrowser(i % 2 == 0 ? one : two)).ToList();

        var answers = await Task.WhenAll(browsers.Select(browser => browser.SignIn(link)));

        answers.Count(answer => answer.Text.Contains(SignedIn, StringComparison.Ordinal)).ShouldBe(1);
        answers.Count(answer => answer.Status == 400).ShouldBe(7);
        browsers.ForEach(browser => browser.Dispose());
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Sign_out_ends_the_session_on_every_instance_also_for_a_copied_cookie(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var one = await TestHost.Start(database);
        await using var two = await TestHost.Start(database);
        using var browser = await OpsBrowser.SignedIn(one);
        using var copy = new OpsBrowser(two);
        copy.Cookies[SessionCookie] = browser.Cookies[SessionCookie];
        (await copy.Get("/ops")).Text.ShouldContain(SignedIn);

        (await browser.Post("/ops/sign-out")).Text.ShouldContain("<h2>Sign in</h2>");

        (await copy.Get("/ops")).Text.ShouldNotContain(SignedIn);
        copy.MoveTo(one);
        (await copy.Get("/ops")).Text.ShouldNotContain(SignedIn);
    }

    [Fact]
    public async Task Session_ends_by_the_clock_of_the_instance_and_by_the_clock_of_the_database()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(database);
        await using var late = await TestHost.Start(database, new FakeTimeProvider(TestHost.Noon.AddHours(-20)));
        using var browser = await OpsBrowser.SignedIn(host);
        host.Clock.Advance(TimeSpan.FromHours(7.9));
        (await browser.Get("/ops")).Text.ShouldContain(SignedIn);
        host.Clock.Advance(TimeSpan.FromHours(0.2));
        (await browser.Get("/ops")).Text.ShouldNotContain(SignedIn);

        browser.MoveTo(late);
        (await browser.Get("/ops")).Text.ShouldContain(SignedIn, Case.Sensitive, "by this clock the cookie is valid");
        var passed = (long)new OpsOptions().SessionTime.TotalMicroseconds;
        await host.Execute($"UPDATE operator_sessions SET expires_at = expires_at - {passed}");
        (await browser.Get("/ops")).Text.ShouldNotContain(SignedIn);
    }

    [Fact]
    public async Task Cookie_of_another_database_does_not_sign_in()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        await using var other = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = await OpsBrowser.SignedIn(other);

        browser.MoveTo(host);

        (await browser.Get("/ops")).Text.ShouldNotContain(SignedIn);
    }

    [Fact]
    public async Task Expired_sessions_are_deleted()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        for (var i = 0; i < 3; i++)
            (await OpsBrowser.SignedIn(host)).Dispose();
        await host.Execute("UPDATE operator_sessions SET expires_at = 0");

        await OpsBrowser.Link(host);

        await using var db = host.Db();
        db.Set<Infrastructure.Operators.OperatorSessionRow>().Count().ShouldBe(1);
    }

    [Fact]
    public async Task Outage_leaves_known_operators_a_view_without_the_right_to_change()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var one = await TestHost.Start(database, settings: ["--Database:Timeout=00:00:01"]);
        await using var two = await TestHost.Start(database, settings: ["--Database:Timeout=00:00:01"]);
        using var browser = await OpsBrowser.SignedIn(one);
        var token = await browser.Token("/ops/requeue");
        await using var held = await HeldLock.Take(
            one.ConnectionString,
            "LOCK TABLE operator_sessions IN ACCESS EXCLUSIVE MODE"
        );

        (await browser.Get("/ops")).Text.ShouldContain(SignedIn);
        var requeue = await browser.PostWithoutToken(
            "/ops/requeue",
            ("all", "true"),
            ("__RequestVerificationToken", token)
        );
        requeue.Status.ShouldBe(403);
        var signOut = await browser.PostWithoutToken("/ops/sign-out", ("__RequestVerificationToken", token));
        signOut.Status.ShouldBe(503);
        signOut.Text.ShouldContain("You are still signed in");
        browser.MoveTo(two);
        var unknown = await browser.Get("/ops");
        unknown.Status.ShouldBe(503);
        unknown.Text.ShouldContain("Your session can&#x27;t be checked");
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("192.0.2.1", false)]
    public async Task Scheme_and_host_of_a_browser_are_taken_from_known_proxies_alone(string proxy, bool isKnown)
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            $"--ForwardedHeaders:KnownProxies:0={proxy}",
            "--Ops:AllowedHosts:0=ops.example.com"
        );
        using var browser = new OpsBrowser(host);
        browser.Headers["X-Forwarded-Proto"] = "https";
        browser.Headers["X-Forwarded-Host"] = "ops.example.com";
        browser.Headers["Sec-Fetch-Site"] = "";
        browser.Headers["Origin"] = "https://ops.example.com";

        var link = await OpsBrowser.Link(host);
        var page = await browser.Get("/ops/sign-in?link=none");
        page.Headers.GetValues("Set-Cookie").Single().Contains("; secure", StringComparison.Ordinal).ShouldBe(isKnown);

        (await browser.SignIn(link)).Status.ShouldBe(isKnown ? 200 : 403);
    }

    [Fact]
    public async Task Session_cookie_is_secure_over_https_and_kept_from_scripts_and_other_paths()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--ForwardedHeaders:KnownNetworks:0=127.0.0.0/8"
        );
        using var browser = new OpsBrowser(host);
        browser.Headers["X-Forwarded-Proto"] = "https";

        await browser.SignIn(await OpsBrowser.Link(host));

        browser
            .SetCookies.Single(cookie => cookie.StartsWith($"{SessionCookie}=", StringComparison.Ordinal))
            .Split(';')[1..]
            .Select(attribute => attribute.Trim())
            .ShouldBe(["path=/ops", "secure", "samesite=lax", "httponly"], ignoreOrder: true);
    }
}
