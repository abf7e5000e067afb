using System.Text;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Ops;

/// <summary>Goal: pages take forms from their own site only, and only forms that they understand.</summary>
public sealed class OpsFormTests(PostgresServer postgres)
{
    private static readonly string[] Forms = ["/ops/requeue", "/ops/sign-in", "/ops/sign-out"];

    public static TheoryData<string> Unreadable =>
        [
            "a NUL",
            "an escaped NUL",
            "JSON",
            "no media type",
            "multipart",
            "1,100 fields",
            "a field of a megabyte",
            "a field twice",
            "a reason of two lines",
            "a reason that is too long",
        ];

    [Theory]
    // Sec-Fetch-Site, Origin ({0} is the address) and expected status.
    [InlineData("same-origin", "", 200)]
    [InlineData("none", "", 200)]
    [InlineData("cross-site", "{0}", 403)]
    [InlineData("same-site", "{0}", 403)]
    [InlineData("", "{0}", 200)]
    [InlineData("", "", 403)]
    [InlineData("", "null", 403)]
    [InlineData("", "http://evil.example.com", 403)]
    [InlineData("", "http://127.0.0.1", 403)]
    [InlineData("", "{0}1", 403)]
    [InlineData("", "https{0}", 403)]
    public async Task Forms_of_other_origins_are_refused(string site, string origin, int status)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var address = $"http://127.0.0.1:{host.InternalPort}";
        using var browser = await OpsBrowser.SignedIn(host);
        var tokens = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var form in Forms)
            tokens[form] = await browser.Token(form);
        browser.Headers["Sec-Fetch-Site"] = site;
        browser.Headers["Origin"] = origin
            .Replace("https{0}", address.Replace("http:", "https:", StringComparison.Ordinal), StringComparison.Ordinal)
            .Replace("{0}", address, StringComparison.Ordinal);
        var link = await OpsBrowser.Link(host);

        foreach (var form in Forms)
        {
            var answer = await browser.PostWithoutToken(
                form,
                form switch
                {
                    "/ops/requeue" => ("all", "true"),
                    "/ops/sign-in" => ("link", link),
                    _ => ("none", ""),
                },
                ("__RequestVerificationToken", tokens[form])
            );
            answer.Status.ShouldBe(status, form);
        }
        (await host.Call("GET", "/changes?kind=REQUEUE")).Items.Count.ShouldBe(0);
        (await browser.Get("/ops")).Text.Contains("Signed in", StringComparison.Ordinal).ShouldBe(status != 200);
    }

    [Fact]
    public async Task Forms_without_the_token_of_the_browser_and_operator_are_refused()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = await OpsBrowser.SignedIn(host);
        using var other = await OpsBrowser.SignedIn(host);
        var foreign = await other.Token("/ops/requeue");

        foreach (var form in Forms)
        {
            (await browser.PostWithoutToken(form, ("all", "true"))).Status.ShouldBe(400, form);
            (
                await browser.PostWithoutToken(form, ("all", "true"), ("__RequestVerificationToken", foreign))
            ).Status.ShouldBe(400, form);
        }

        (await browser.Get("/ops")).Text.ShouldContain("Signed in");
    }

    [Theory]
    [MemberData(nameof(Unreadable))]
    public async Task Form_that_is_not_understood_is_refused_and_changes_nothing(string kind)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Cancel(client, """{"paymentId":"p1"}""")).Code.ShouldBe("SUCCESS");
        await host.Execute("UPDATE outbox SET due_at = NULL, parked_at = created_at");
        using var browser = await OpsBrowser.SignedIn(host);
        var fields = $"all=true&__RequestVerificationToken={Uri.EscapeDataString(await browser.Token("/ops/requeue"))}";

        var answer = await browser.PostRaw(
            "/ops/requeue",
            () =>
                kind switch
                {
                    "a NUL" => Form($"{fields}&reason=a\0b"),
                    "an escaped NUL" => Form($"{fields}&reason=a%00b"),
                    "JSON" => new StringContent("""{"all":"true"}""", Encoding.UTF8, "application/json"),
                    "no media type" => new ByteArrayContent(Encoding.UTF8.GetBytes(fields)),
                    "multipart" => new MultipartFormDataContent { { new StringContent("true"), "all" } },
                    "1,100 fields" => Form(
                        string.Concat(Enumerable.Range(0, 1100).Select(i => $"field{i}=1&")) + fields
                    ),
                    "a field of a megabyte" => Form($"{fields}&reason={new string('a', 1_000_000)}"),
                    "a field twice" => Form($"{fields}&all=true"),
                    "a reason of two lines" => Form($"{fields}&reason=a%0Ab"),
                    "a reason that is too long" => Form($"{fields}&reason={new string('a', 513)}"),
                    _ => throw new ArgumentOutOfRangeException(nameof(kind)),
                }
        );

        answer.Status.ShouldBe(400);
        (await host.Call("GET", "/notifications?state=parked")).Items.Count.ShouldBe(1);
        (await host.Call("GET", "/changes?kind=REQUEUE")).Items.Count.ShouldBe(0);
        static StringContent Form(string text) => new(text, Encoding.UTF8, "application/x-www-form-urlencoded");
    }

    [Fact]
    public async Task Pages_forbid_framing_and_foreign_content()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var browser = await OpsBrowser.SignedIn(host);
        string[] pages = ["/ops", "/ops/payments?id=p1", "/ops/events", "/ops/clients", "/ops/changes", "/ops/sign-in"];
        foreach (var page in pages)
        {
            var answer = await browser.Get(page);
            answer
                .Headers.GetValues("Content-Security-Policy")
                .ShouldBe([
                    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
                        + "frame-ancestors 'none'",
                ]);
            answer.Headers.GetValues("X-Content-Type-Options").ShouldBe(["nosniff"]);
            answer.Headers.GetValues("Referrer-Policy").ShouldBe(["same-origin"]);
            answer.Headers.CacheControl!.NoStore.ShouldBeTrue();
            answer.Text.ShouldNotContain("http://");
            answer.Text.ShouldNotContain("<script");
            answer.Text.ShouldNotContain("<style");
            answer.Text.ShouldNotContain("<!--");
        }
    }

    [Fact]
    public async Task Style_sheet_is_cached_for_ever_under_the_hash_of_its_content()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var answer = await host.Internal.GetAsync(
            new Uri(Pages.PageAsset.Style.Url, UriKind.Relative),
            TestContext.Current.CancellationToken
        );

        answer.Headers.CacheControl!.ToString().ShouldBe("public, max-age=31536000, immutable");
        answer.Content.Headers.ContentType!.MediaType.ShouldBe("text/css");
        (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldContain(":root");
    }

    [Theory]
    [InlineData("localhost", 200)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("127.1.2.3:99", 200)]
    [InlineData("[::1]", 200)]
    [InlineData("ops.example.com", 200)]
    [InlineData("a.corp.example.com", 200)]
    [InlineData("corp.example.com", 400)]
    [InlineData("evil.example.com", 400)]
    [InlineData("localhost.example.com", 400)]
    [InlineData("192.0.2.1", 400)]
    public async Task Pages_answer_under_allowed_hosts_only_and_everything_else_under_any(string name, int status)
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Ops:AllowedHosts:0=ops.example.com",
            "--Ops:AllowedHosts:1=*.corp.example.com"
        );
        using var browser = new OpsBrowser(host);
        browser.Headers["Host"] = name;

        foreach (var page in (string[])["/ops", "/ops/sign-in"])
        {
            var answer = await browser.Get(page);
            answer.Status.ShouldBe(status);
            if (status == 400)
                answer.Text.ShouldContain("Ops:AllowedHosts");
        }
        (await browser.Get("/healthz/ready")).Status.ShouldBe(200);
        (await browser.Get("/internal/v1/changes")).Status.ShouldBe(401);
    }
}
