using System.Net;
using System.Text;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>
/// Goal: on the page, a merchant's developer cancels a demo payment, makes a mistake and gets its diagnosis.
/// </summary>
public sealed class SandboxTests(SandboxHost sandbox) : IClassFixture<SandboxHost>, IDisposable
{
    private readonly SandboxBrowser _browser = new(sandbox.Host);

    private static readonly Dictionary<string, string> Causes = new(StringComparer.Ordinal)
    {
        ["crlf"] = "line-break",
        ["pretty"] = "body-json",
        ["line-feed"] = "body-line-feed",
        ["host"] = "path-host",
        ["time"] = "time-moment",
        ["sha1"] = "hash",
        ["twice"] = "hashed-twice",
        ["key"] = "key-unknown",
        ["hex"] = "signature-encoding",
        ["version"] = "key-version-unknown",
        ["zone"] = "clock-zone",
        ["no-time"] = "header-missing",
        ["client"] = "client-unknown",
        ["path"] = "path",
        ["method"] = "method",
        ["media"] = "content-type",
        ["no-id"] = "body",
    };

    public static TheoryData<string> Mistakes() => [.. Causes.Keys];

    [Fact]
    public async Task Cancel_is_sent_answered_and_verified()
    {
        var page = await Post("cancel", ("id", "req-demo-success"), ("extendInfo", "order 17 😀"), ("mistake", ""));

        page.ShouldContain("&quot;resultCode&quot;:&quot;SUCCESS&quot;");
        page.ShouldContain("signature over path, client-id, response-time and body verifies.");
        page.ShouldContain("Nothing is wrong with the request.");
        page.ShouldContain("{&quot;paymentRequestId&quot;:&quot;req-demo-success&quot;");
    }

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task Each_deliberate_mistake_is_diagnosed(string mistake)
    {
        var page = await Post("cancel", ("id", "demo-processing"), ("extendInfo", "a"), ("mistake", mistake));

        page.ShouldContain($"<li><strong>{Causes[mistake]}</strong>");
        page.ShouldContain("signature over path, client-id, response-time and body verifies.");
        page.ShouldNotContain("&quot;resultCode&quot;:&quot;SUCCESS&quot;");
    }

    [Fact]
    public async Task Pasted_request_is_examined_unchanged_although_browsers_convert_its_line_ends()
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
    [InlineData("diagnose", "text")]
    [InlineData("diagnose", "key")]
    [InlineData("events", "url")]
    [InlineData("core", "id")]
    [InlineData("events", "secret")]
    public async Task Script_in_a_field_is_escaped(string form, string field)
    {
        const string script = "</pre></textarea>\"><script>alert(1)</script>";
        var page = await Post(form, ("id", "x"), (field, script));

        page.ShouldNotContain("<script>alert", Case.Insensitive);
        page.ShouldContain("&lt;script&gt;");
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    public async Task Unreadable_paste_is_reported_as_such(string paste) =>
        (await Post("diagnose", ("request", paste))).ShouldContain("The text is no request that can be read.");

    [Fact]
    public async Task Answer_is_examined_against_the_receivers_request()
    {
        var sent = await Post("cancel", ("id", "demo-captured"), ("extendInfo", ""), ("mistake", ""));
        var answer = WebUtility.HtmlDecode(sent.Split("The answer</h2><pre>")[1].Split("</pre>")[0]);
        var merchant = await File.ReadAllTextAsync(
            sandbox.Key("merchant-public.pem"),
            TestContext.Current.CancellationToken
        );

        var right = await Post("diagnose", ("request", answer), ("key", sandbox.Host.Wallet!.PublicKey.Pem));
        right.ShouldContain("It was read as an answer.");
        right.ShouldContain("the answer is genuine");
        right.ShouldContain("You verify with the wallet&#39;s public key.");
        right.ShouldContain("Nothing is wrong");

        var wrong = await Post(
            "diagnose",
            ("request", answer),
            ("key", merchant),
            ("text", "POST /v2/payments/cancel")
        );
        wrong.ShouldContain("<li><strong>key-own</strong>");
        wrong.ShouldContain("<li><strong>verifies-unknown</strong>");
    }

    [Fact]
    public async Task Key_is_identified_and_a_private_key_never_shown()
    {
        var (merchant, secret) = (
            await File.ReadAllTextAsync(sandbox.Key("merchant-public.pem"), TestContext.Current.CancellationToken),
            await File.ReadAllTextAsync(sandbox.Key("merchant-private.pem"), TestContext.Current.CancellationToken)
        );
        (await Post("diagnose", ("key", merchant))).ShouldContain(
            "DEMO_CLIENT&#39;s key of version 1, which is active."
        );

        var bare = string.Concat(secret.Split('\n').Where(line => !line.StartsWith('-')));
        foreach (var field in (string[])["request", "text", "key"])
        foreach (var given in (string[])[secret, bare])
        {
            var page = await Post("diagnose", (field, given));
            page.ShouldContain("A private key was sent here");
            page.ShouldNotContain(bare[..64]);
        }
    }

    [Fact]
    public async Task Cancel_is_shown_as_code_in_seven_languages()
    {
        var page = await Post("cancel", ("id", "it's"), ("extendInfo", ""), ("mistake", ""));
        page.Split("<details>").Length.ShouldBe(8);
        page.ShouldContain("python3 cancel.py &#39;it&#39;\\&#39;&#39;s&#39;");
        page.ShouldContain("merchant-private.pem&#39; WALLET_KEY=");
    }

    /// <summary>
    /// Goal: the check names the receiver's faults. This receiver reads only one signature and ignores the time.
    /// </summary>
    [Fact]
    public async Task Event_receiver_check_names_each_wrong_acceptance()
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(200));
        var page = await Post("events", ("url", receiver.Root), ("secret", Receiver.Secret));

        page.ShouldContain("7 of 9 right");
        page.ShouldContain("one valid signature is enough");
        page.ShouldContain("somebody may have recorded it");
        receiver.Received.Count.ShouldBe(9);
        receiver.Received.First().ShouldBeSigned();
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/", Receiver.Secret, "0 of 9 right")]
    [InlineData("http://example.com/", Receiver.Secret, "is not in Sandbox:ReceiverHosts")]
    [InlineData("file:///etc/passwd", Receiver.Secret, "The URL must begin with")]
    [InlineData("/hook", Receiver.Secret, "The URL must begin with")]
    [InlineData("http://127.0.0.1:1/", "secret", "The secret is whsec_")]
    public async Task Event_receiver_check_reports_an_unusable_receiver(string url, string secret, string expected) =>
        (await Post("events", ("url", url), ("secret", secret))).ShouldContain(expected);

    public static TheoryData<string, string> Scenarios() =>
        [.. CancelService.Sandbox.Demo.DemoWallet.Payments.Select(payment => (payment.Name, payment.Code))];

    /// <summary>Goal: a developer can try every scenario of the table repeatedly.</summary>
    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task New_payments_get_the_answers_listed_on_the_page(string name, string code)
    {
        for (var time = 0; time < 2; time++)
        {
            var page = await Post("payments");
            var set = page.Split("?id=demo-")[1].Split("processing")[0];
            page.ShouldContain($"demo-{set}{name}</a></td><td>{code}</td>");

            (await Post("cancel", ("id", $"demo-{set}{name}"))).ShouldContain(
                $"&quot;resultCode&quot;:&quot;{code}&quot;"
            );
        }
    }

    // Events of a payment in order, "cancel" among them, and the text that the last step shows.
    public static TheoryData<string, string> Stories() =>
        new()
        {
            { "payment", "The payment is known now" },
            { "payment payment", "already" },
            { "payment cancel Succeed", "the core has to refund the payer" },
            { "authorization cancel Authorize", "the core has to release the hold" },
            { "payment Succeed cancel Succeed", "do nothing" },
            { "early payment", "a cancel of its paymentRequestId came first" },
            { "payment Succeed Refund cancel", "PROCESS_FAIL" },
            { "authorization Authorize Capture", "The payment is" },
            { "payment Capture", "Refused: the payment is" },
            { "payment cancel Fail cancel", "SUCCESS" },
            { "Succeed", "There is no such payment." },
            { "nonsense", "There is no such step." },
        };

    /// <summary>Goal: a developer plays the core in any order and sees the resulting state of the payment.</summary>
    [Theory]
    [MemberData(nameof(Stories))]
    public async Task Core_events_can_be_played_in_any_order(string story, string end)
    {
        var id = $"story-{Guid.NewGuid():N}";
        var page = "";
        foreach (var step in story.Split(' '))
            page = step switch
            {
                "cancel" => await Post("cancel", ("id", id)),
                "early" => await Post("cancel", ("id", $"req-{id}")),
                _ => await Post("core", ("id", id), ("step", step)),
            };
        WebUtility.HtmlDecode(page).ShouldContain(end);
    }

    [Theory]
    [InlineData("hello")]
    [InlineData("")]
    public async Task Invalid_key_is_not_registered(string key) =>
        (await Post("keys", ("publicKey", key))).ShouldContain("data-version=\"\"");

    [Theory]
    [InlineData("time")]
    [InlineData("version")]
    [InlineData("signature")]
    public async Task Line_break_injects_no_header(string field) =>
        (await Post("send", ("body", "{}"), (field, "1\r\nClient-Id: OTHER"))).ShouldContain(
            "A header holds no line break."
        );

    public static TheoryData<string> Documents() =>
        [
            .. File.ReadAllText(Path.Combine(Repository.Root, "docs", "llms.txt"))
                .Split("](")
                .Skip(1)
                .Select(link => link.Split(')')[0]),
        ];

    /// <summary>Goal: the documents named in llms.txt are served as they are in the repository.</summary>
    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Documents_are_served_beside_the_page(string path)
    {
        using var answer = await sandbox.Host.Internal.GetAsync(
            new Uri(path, UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        if (path.StartsWith("/docs/", StringComparison.Ordinal))
            (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldBe(
                await File.ReadAllTextAsync(Repository.Root + path, TestContext.Current.CancellationToken)
            );
    }

    [Fact]
    public async Task Page_has_one_script_and_blocks_foreign_content_and_framing()
    {
        using var page = await sandbox.Host.Internal.GetAsync(
            new Uri("/sandbox", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        page.StatusCode.ShouldBe(HttpStatusCode.OK);
        var policy = page.Headers.GetValues("Content-Security-Policy").Single();
        policy.ShouldStartWith("default-src 'none'; style-src 'self'; script-src 'self'; ");
        policy.ShouldContain("form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
        (await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
            .Split("<script")
            .Length.ShouldBe(2);

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
    public async Task Page_reports_that_the_demo_wallet_is_being_filled()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, sandbox.Postgres, empty: true);
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            extension: new SandboxExtension(),
            settings:
            [
                "--environment=Development",
                $"--Sandbox:Directory={Path.Combine(database.Directory, "demo")}",
                TcpForwarder.Setting(database.ConnectionString, TcpForwarder.ClosedPort()),
            ]
        );
        using var page = await host.Internal.GetAsync(
            new Uri("/sandbox", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        page.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldContain("is being filled");
    }

    [Fact]
    public async Task Sandbox_is_absent_outside_Development_and_on_the_public_port()
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

    private Task<string> Post(string form, params (string Name, string Value)[] fields) => _browser.Post(form, fields);

    public void Dispose() => _browser.Dispose();
}

/// <summary>Service with the demo wallet.</summary>
public sealed class SandboxHost(PostgresServer postgres) : IAsyncLifetime
{
    private TestDatabase? _database;
    private TestHost? _host;

    public PostgresServer Postgres => postgres;

    public TestHost Host => _host!;

    /// <summary>Directory for a test's files.</summary>
    public string Directory => _database!.Directory;

    /// <summary>Settings that point a command at this service.</summary>
    public string[] Settings => [.. _database!.Settings, .. Environment, "--Serilog:MinimumLevel:Default=Fatal"];

    private string[] Environment =>
        ["--environment=Development", $"--Sandbox:Directory={Path.Combine(Directory, "demo")}"];

    /// <summary>Path of a demo key file.</summary>
    public string Key(string file) => Path.Combine(_database!.Directory, "demo", file);

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres, empty: true);
        _host = await TestHost.Start(_database, extension: new SandboxExtension(), settings: Environment);
        await _host.Ready();
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
            await _host.DisposeAsync();
        _database?.Dispose();
    }
}
