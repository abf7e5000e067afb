using Microsoft.Playwright;

namespace CancelService.BrowserTests;

/// <summary>
/// Goal: the operations pages look right and pass axe on desktop and phone, in light and dark, and work without script.
/// </summary>
public sealed class OpsPagesTests(Site site)
{
    [Theory]
    [MemberData(nameof(Look.All), MemberType = typeof(Look))]
    public async Task Every_page_is_accessible(bool isPhone, bool isDark)
    {
        await using var visit = await site.Open(new Look(isPhone, isDark));
        var page = visit.Page;
        await page.GotoAsync("/ops");
        await visit.IsGood("ops-sign-in");
        await page.GotoAsync(await site.Link("alice"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Assertions.Expect(page.GetByText("Signed in as ops-link:alice")).ToBeVisibleAsync();
        await visit.IsGood("ops-overview");

        await page.GetByLabel("What happened to the payment").FillAsync("req-demo-captured");
        await page.GetByRole(AriaRole.Button, new() { Name = "Find" }).ClickAsync();
        await Assertions
            .Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Payment demo-captured" }))
            .ToBeVisibleAsync();
        await visit.IsGood("ops-payment");

        foreach (var name in (string[])["Events", "Clients", "Changes"])
        {
            await page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true }).ClickAsync();
            await visit.IsGood($"ops-{name.ToLowerInvariant()}");
        }
        await page.GetByRole(AriaRole.Link, new() { Name = "Clients", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "DEMO_CLIENT" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Keys" })).ToBeVisibleAsync();
        await visit.IsGood("ops-client");

        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Parked_event_is_requeued_without_script()
    {
        await using var visit = await site.Open(new Look(IsPhone: true, IsDark: false), withScript: false);
        var page = visit.Page;
        await page.GotoAsync(await site.Link("bob"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        // The event is parked at once, because no process listens at the webhook's address.
        await page.GotoAsync("/sandbox");
        await page.GetByLabel("paymentId, or a paymentRequestId").FillAsync("demo-success");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign and send" }).ClickAsync();
        await Assertions.Expect(page.GetByText("\"resultCode\":\"SUCCESS\"")).ToBeVisibleAsync();
        var again = page.GetByRole(AriaRole.Button, new() { Name = "Queue again the event of demo-success" });
        var start = TimeProvider.System.GetTimestamp();
        do
        {
            await page.GotoAsync("/ops/events");
            TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(TimeSpan.FromMinutes(1));
        } while (await again.CountAsync() == 0);

        await again.ClickAsync();

        await page.GotoAsync("/ops/changes");
        await Assertions
            .Expect(page.GetByRole(AriaRole.Row, new() { Name = "ops-link:bob REQUEUE demo-success" }))
            .ToBeVisibleAsync();
        (await site.Get("/changes?kind=REQUEUE")).ShouldContain("ops-link:bob");
    }
}
