using System.Net;
using System.Text;
using CancelService.Infrastructure.Persistence;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>The page on which a merchant's developer cancels a demo payment, makes a mistake, and is told it.</summary>
public sealed class SandboxTests(SandboxHost sandbox) : IClassFixture<SandboxHost>
{
    private static readonly Dictionary<string, string> Causes = new(StringComparer.Ordinal)
    {
        ["crlf"] = "line-break",
        ["pretty"] = "body-json",
        ["line-feed"] = "body-line-feed",
        ["host"] = "path-host",
        ["time"] = "time-moment",
        ["sha1"] = "hash",
        ["twice"] = "hashed-twice",
        ["key"] = "key-wallet",
        ["hex"] = "signature-encoding",
        ["version"] = "key-version-unknown",
        ["zone"] = "clock-zone",
    };

    public static TheoryData<string> Mistakes() => [.. Causes.Keys];

    [Fact]
    public async Task A_cancel_is_sent_answered_and_verified()
    {
        var page = await Post("cancel", ("id", "req-demo-success"), ("extendInfo", "order 17 😀"), ("mistake", ""));

        page.ShouldContain("&quot;resultCode&quot;:&quot;SUCCESS&quot;");
        page.ShouldContain("signature over path, client-id, response-time and body verifies.");
        page.ShouldContain("Nothing is wrong with the request.");
        page.ShouldContain("{&quot;paymentRequestId&quot;:&quot;req-demo-success&quot;");
    }

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task Each_mistake_that_can_be_made_on_purpose_is_named(string mistake)
    {
        var page = await Post("cancel", ("id", "demo-processing"), ("extendInfo", "a"), ("mistake", mistake));

        page.ShouldContain($"<li><strong>{Causes[mistake]}</strong>");
        page.ShouldContain("signature over path, client-id, response-time and body verifies.");
        page.ShouldNotContain("&quot;resultCode&quot;:&quot;SUCCESS&quot;");
    }

    [Fact]
    public async Task What_is_pasted_is_examined_as_it_was_although_browsers_change_the_ends_of_its_lines()
    {
        var sent = await Post("cancel", ("id", "demo-failed"), ("extendInfo", ""), ("mistake", "crlf"));
        var request = WebUtility.HtmlDecode(sent.Split("over the wire</h2><pre>")[1].Split("</pre>")[0]);

        var page = await Post("diagnose", ("request", request.ReplaceLineEndings("\r\n")));

        page.ShouldContain("It was read as raw HTTP.");
        page.ShouldContain("<li><strong>line-break</strong>");
        page.ShouldContain("POST /v2/payments/cancel␊DEMO_CLIENT.");
        page.ShouldContain("They part at byte 24");
    }

    [Theory]
    [InlineData("cancel", "id")]
    [InlineData("cancel", "extendInfo")]
    [InlineData("diagnose", "request")]
    public async Task Script_in_a_field_is_shown_and_not_run(string form, string field)
    {
        const string script = "</pre></textarea>\"><script>alert(1)</script>";
        var page = await Post(form, ("id", "x"), (field, script));

        page.ShouldNotContain("<script", Case.Insensitive);
        page.ShouldContain("&lt;script&gt;");
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("\0\u0001")]
    public async Task What_is_no_request_is_said_to_be_none(string paste) =>
        (await Post("diagnose", ("request", paste))).ShouldContain("The text is no request that can be read.");

    [Fact]
    public async Task The_page_runs_no_script_loads_nothing_and_is_not_for_other_sites()
    {
        using var page = await sandbox.Host.Internal.GetAsync(
            new Uri("/sandbox", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        page.StatusCode.ShouldBe(HttpStatusCode.OK);
        var policy = page.Headers.GetValues("Content-Security-Policy").Single();
        policy.ShouldStartWith("default-src 'none'; style-src 'sha256-");
        policy.ShouldContain("form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
        policy.ShouldNotContain("script");

        using var link = new HttpRequestMessage(HttpMethod.Get, "/sandbox");
        link.Headers.Add("Sec-Fetch-Site", "cross-site");
        using var followed = await sandbox.Host.Internal.SendAsync(link, TestContext.Current.CancellationToken);
        followed.StatusCode.ShouldBe(HttpStatusCode.OK);

        using var elsewhere = new HttpRequestMessage(HttpMethod.Post, "/sandbox/cancel");
        elsewhere.Headers.Add("Sec-Fetch-Site", "cross-site");
        elsewhere.Content = new FormUrlEncodedContent([new("id", "demo-success")]);
        using var refused = await sandbox.Host.Internal.SendAsync(elsewhere, TestContext.Current.CancellationToken);
        refused.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Outside_Development_and_on_the_public_port_there_is_no_sandbox()
    {
        await using var production = await TestHost.Start(DatabaseProvider.Sqlite, sandbox.Postgres);
        using var page = await production.Internal.GetAsync(
            new Uri("/sandbox", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        page.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        var answer = await Wire.Exchange(
            sandbox.Host.PublicPort,
            Encoding.ASCII.GetBytes("GET /sandbox HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            "GET"
        );
        answer.Code.ShouldBe("INVALID_API");
    }

    private async Task<string> Post(string form, params (string Name, string Value)[] fields)
    {
        using var content = new FormUrlEncodedContent(
            fields
                .GroupBy(field => field.Name, StringComparer.Ordinal)
                .Select(group => KeyValuePair.Create(group.Key, group.Last().Value))
        );
        using var answer = await sandbox.Host.Internal.PostAsync(
            new Uri($"/sandbox/{form}", UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        return await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }
}

/// <summary>A service with the demo wallet.</summary>
public sealed class SandboxHost(PostgresServer postgres) : IAsyncLifetime
{
    private TestDatabase? _database;
    private TestHost? _host;

    public PostgresServer Postgres => postgres;

    public TestHost Host => _host!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres, empty: true);
        _host = await TestHost.Start(
            _database,
            settings: ["--environment=Development", $"--Demo:Directory={Path.Combine(_database.Directory, "demo")}"]
        );
        await _host.Ready();
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
            await _host.DisposeAsync();
        _database?.Dispose();
    }
}
