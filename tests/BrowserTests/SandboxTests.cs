using Microsoft.Playwright;

namespace CancelService.BrowserTests;

/// <summary>
/// Goal: the sandbox pages look right and pass axe on desktop and phone, in light and dark, and work without script.
/// </summary>
public sealed class SandboxTests(Site site)
{
    [Theory]
    [MemberData(nameof(Look.All), MemberType = typeof(Look))]
    public async Task Cancel_and_mistake_are_shown(bool isPhone, bool isDark)
    {
        await using var visit = await site.Open(new Look(isPhone, isDark));
        await Try(visit);
        await visit.IsGood("sandbox-diagnosis");
    }

    [Fact]
    public async Task Sandbox_works_without_script()
    {
        await using var visit = await site.Open(new Look(IsPhone: false, IsDark: false), withScript: false);
        await Try(visit, look: false);
    }

    /// <summary>Goal: a pasted private key does not leave the browser.</summary>
    [Theory]
    [InlineData("A request: raw HTTP")]
    [InlineData("A public key")]
    public async Task Pasted_private_key_is_not_sent(string field)
    {
        await using var visit = await site.Open(new Look(IsPhone: false, IsDark: false));
        var page = visit.Page;
        var sent = 0;
        await page.GotoAsync("/sandbox");
        page.Request += (_, _) => sent++;
        using var rsa = System.Security.Cryptography.RSA.Create(2048);
        await page.GetByLabel(field).FillAsync(rsa.ExportPkcs8PrivateKeyPem());
        await page.GetByRole(AriaRole.Button, new() { Name = "Diagnose" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("It was not sent");
        await Assertions.Expect(page.GetByLabel(field)).ToHaveValueAsync("");
        sent.ShouldBe(0);
    }

    /// <summary>
    /// Goal: every page that the sandbox links to passes axe, and a refused request is found without pasting it.
    /// </summary>
    [Fact]
    public async Task Refused_request_answer_and_event_receiver_are_examined()
    {
        await using var visit = await site.Open(new Look(IsPhone: true, IsDark: true));
        var page = visit.Page;
        await page.GotoAsync("/sandbox");
        await page.GetByLabel("Mistake to make").SelectOptionAsync("sha1");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign and send" }).ClickAsync();
        var answer = await page.Locator("pre").First.InnerTextAsync();
        await page.GetByText("Python", new() { Exact = true }).ClickAsync();
        await Assertions.Expect(page.GetByText("python3 cancel.py 'demo-success'")).ToBeVisibleAsync();

        await page.GetByRole(AriaRole.Link, new() { Name = "Requests", Exact = true }).ClickAsync();
        await visit.IsGood("sandbox-requests");
        await page.GetByRole(AriaRole.Link, new() { Name = "Diagnosis of" }).First.ClickAsync();
        await Assertions.Expect(page.GetByText("The signature is over SHA1")).Not.ToHaveCountAsync(0);
        await visit.IsGood("sandbox-request");

        await page.GetByRole(AriaRole.Link, new() { Name = "Start" }).ClickAsync();
        await page.GetByLabel("A request: raw HTTP").FillAsync(answer);
        await page.GetByLabel("For an answer").FillAsync("POST /v2/payments/cancel");
        await page.GetByRole(AriaRole.Button, new() { Name = "Diagnose" }).ClickAsync();
        await Assertions.Expect(page.GetByText("the answer is genuine")).ToBeVisibleAsync();
        await visit.IsGood("sandbox-answer");

        await page.GetByRole(AriaRole.Link, new() { Name = "Events" }).ClickAsync();
        await page.GetByLabel("The receiver's URL").FillAsync("http://127.0.0.1:1/");
        await page.GetByRole(AriaRole.Button, new() { Name = "Send them" }).ClickAsync();
        await Assertions.Expect(page.GetByText("0 of 9 right")).ToBeVisibleAsync();
        await visit.IsGood("sandbox-events");
    }

    /// <summary>
    /// Goal: a developer stalls the database, throttles cancels, moves the clock past a cut-off and plays the core.
    /// </summary>
    [Fact]
    public async Task Scenarios_clock_and_core_pages_work()
    {
        await using var own = new Site(); // A separate site, because throttling would affect the other tests.
        await own.InitializeAsync();
        await using var visit = await own.Open(new Look(IsPhone: true, IsDark: false));
        var page = visit.Page;
        await page.GotoAsync("/sandbox");
        await page.GetByRole(AriaRole.Link, new() { Name = "Scenarios" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Turn away" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("turned away for 10 s");
        await visit.IsGood("sandbox-scenarios");
        await page.GetByLabel("The database stalls for").FillAsync("1");
        await page.GetByRole(AriaRole.Button, new() { Name = "Stall it" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("The database stalls for 1 s");
        await page.GetByLabel("Put it").SelectOptionAsync("hour");
        await page.GetByRole(AriaRole.Button, new() { Name = "Put the clock" }).ClickAsync();
        await Assertions.Expect(page.GetByText("0.01:00:00 ahead of the machine")).ToBeVisibleAsync();
        await page.GetByLabel("Put it").SelectOptionAsync("back");
        await page.GetByRole(AriaRole.Button, new() { Name = "Put the clock" }).ClickAsync();
        await Assertions.Expect(page.GetByText("as on the machine")).ToBeVisibleAsync();

        await page.GetByRole(AriaRole.Link, new() { Name = "Core", Exact = true }).ClickAsync();
        await page.GetByLabel("The payment's id").FillAsync($"core-{Guid.NewGuid():N}");
        await page.GetByRole(AriaRole.Button, new() { Name = "Do it" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("The payment is known now");
        await visit.IsGood("sandbox-core");
    }

    /// <summary>
    /// Goal: a key generated in the browser signs a cancel, and no request contains its private half.
    /// </summary>
    [Fact]
    public async Task Key_generated_in_the_browser_signs_a_cancel()
    {
        await using var visit = await site.Open(new Look(IsPhone: false, IsDark: false));
        var page = visit.Page;
        await page.GotoAsync("/sandbox");
        await page.GetByRole(AriaRole.Button, new() { Name = "Make new payments" }).ClickAsync();
        var id = await page.GetByLabel("paymentId, or a paymentRequestId").InputValueAsync();

        await page.GetByRole(AriaRole.Link, new() { Name = "Keys" }).ClickAsync();
        var fields = new List<string>();
        page.Request += (_, request) => fields.Add(request.PostData ?? "");
        await page.GetByRole(AriaRole.Button, new() { Name = "Make a key pair" }).ClickAsync();
        await Assertions.Expect(page.GetByText("is registered as DEMO_CLIENT's of version")).ToBeVisibleAsync();
        await visit.IsGood("sandbox-keys");
        await page.GetByLabel("paymentId, or a paymentRequestId").FillAsync(id);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in this browser and send" }).ClickAsync();
        await Assertions.Expect(page.GetByText("\"resultCode\":\"SUCCESS\"")).ToBeVisibleAsync();
        await Assertions.Expect(page.GetByText("Nothing is wrong with the request.")).ToBeVisibleAsync();
        // In base64 a public key of 2048 bits has 392 characters, a private key over 1,500.
        fields.ShouldAllBe(sent => sent.Length < 1200);
        var isKept = await page.EvaluateAsync<bool>(
            "async () => { const open = indexedDB.open('cancelservice-sandbox'); await new Promise(done => "
                + "open.onsuccess = done);"
                + " const get = open.result.transaction('keys').objectStore('keys').get('private');"
                + " await new Promise(done => get.onsuccess = done); return get.result.extractable; }"
        );
        isKept.ShouldBeFalse();
    }

    private static async Task Try(Visit visit, bool look = true)
    {
        var page = visit.Page;
        await page.GotoAsync("/sandbox");
        if (look)
            await visit.IsGood("sandbox");
        await page.GetByLabel("paymentId, or a paymentRequestId").FillAsync("demo-failed");
        await page.GetByLabel("extendInfo").FillAsync("<script>alert(1)</script>");
        await page.GetByLabel("Mistake to make").SelectOptionAsync("crlf");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign and send" }).ClickAsync();
        await Assertions
            .Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Diagnosis: INVALID_SIGNATURE" }))
            .ToBeVisibleAsync();
        await Assertions.Expect(page.GetByText("line-break")).ToBeVisibleAsync();
        if (look)
            await visit.IsGood("sandbox-cancel");

        await page.GotoAsync("/sandbox");
        await page.GetByLabel("A request: raw HTTP").FillAsync("POST /v2/payments/cancel HTTP/1.1\n\n{}");
        await page.GetByRole(AriaRole.Button, new() { Name = "Diagnose" }).ClickAsync();
        await Assertions.Expect(page.GetByText("It was read as raw HTTP.")).ToBeVisibleAsync();
    }
}
