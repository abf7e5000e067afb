using Microsoft.Playwright;

namespace CancelService.BrowserTests;

/// <summary>
/// Goal: over plain http, where browsers send no Sec-Fetch-Site, a page of another host of the same site sends no form
/// that counts, although the browser adds the operator's cookies to it.
/// </summary>
public sealed class CrossSiteTests(Site site)
{
    private const string EvilHost = "http://evil.corp.example/";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Forms_of_another_host_of_the_site_change_nothing(bool withScript)
    {
        var wallet = site.Address.Replace("127.0.0.1", Site.HostName, StringComparison.Ordinal);
        await using var context = await site.Browser.NewContextAsync(
            new() { BaseURL = wallet, JavaScriptEnabled = withScript }
        );
        context.SetDefaultTimeout(Site.Patience);
        var page = await context.NewPageAsync();
        var posts = new List<IRequest>();
        page.Request += (_, request) => Note(request);
        var link = new Uri(await site.Link("alice"));
        await page.GotoAsync(link.PathAndQuery);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Assertions.Expect(page.GetByText("Signed in as ops-link:alice")).ToBeVisibleAsync();
        (await posts.Single().AllHeadersAsync()).ShouldNotContainKey("sec-fetch-site");
        var before = await site.Get("/changes?kind=REQUEUE");

        var evesLink = new Uri(await site.Link("eve")).Query["?link=".Length..];
        var forms = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["/ops/requeue"] = "<input name=all value=true>",
            ["/ops/sign-in"] = $"<input name=link value={evesLink}>",
            ["/ops/sign-out"] = "",
        };
        await page.RouteAsync(
            $"{EvilHost}**",
            route =>
                route.FulfillAsync(
                    new()
                    {
                        ContentType = "text/html",
                        Body = string.Concat(
                            forms.Select(form =>
                                $"<form method=post action='{wallet}{form.Key}'>{form.Value}"
                                + $"<button>{form.Key}</button></form>"
                            )
                        ),
                    }
                )
        );
        foreach (var form in forms.Keys)
        {
            await page.GotoAsync(EvilHost);
            var answer = await page.RunAndWaitForResponseAsync(
                () => page.GetByRole(AriaRole.Button, new() { Name = form }).ClickAsync(),
                response => response.Request.Method == "POST"
            );

            answer.Status.ShouldBe(403, form);
            (await answer.Request.AllHeadersAsync())["cookie"].ShouldContain("cancelservice-ops");
        }
        await page.GotoAsync("/ops");
        await Assertions.Expect(page.GetByText("Signed in as ops-link:alice")).ToBeVisibleAsync();
        (await site.Get("/changes?kind=REQUEUE")).ShouldBe(before);

        // The site's own form, from the same browser.
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();

        void Note(IRequest request)
        {
            if (request.Method == "POST")
                posts.Add(request);
        }
    }
}
