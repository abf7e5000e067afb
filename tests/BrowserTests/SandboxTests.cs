using Microsoft.Playwright;

namespace CancelService.BrowserTests;

/// <summary>The sandbox in a browser: a cancel, a mistake and a paste, on a screen and on a phone, light and dark, without script.</summary>
public sealed class SandboxTests(Site site)
{
    [Theory]
    [MemberData(nameof(Look.All), MemberType = typeof(Look))]
    public async Task A_cancel_and_a_mistake_are_shown(bool isPhone, bool isDark)
    {
        await using var visit = await site.Open(new Look(isPhone, isDark));
        await Try(visit);
        await visit.IsGood("sandbox-diagnosis");
    }

    [Fact]
    public async Task It_works_without_script()
    {
        await using var visit = await site.Open(new Look(IsPhone: false, IsDark: false), withScript: false);
        await Try(visit, look: false);
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
