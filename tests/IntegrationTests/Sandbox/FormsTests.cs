using System.Net;
using System.Text;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>Goal: a form counts when it is one of these pages', and can be read.</summary>
public sealed class FormsTests(SandboxHost sandbox) : IClassFixture<SandboxHost>
{
    public static TheoryData<string> Forms =>
        [
            "payments",
            "cancel",
            "send",
            "keys",
            "core",
            "scenarios/stall",
            "scenarios/away",
            "scenarios/clock",
            "scenarios/contract",
            "scenarios/back",
            "diagnose",
            "requests/open",
            "events",
        ];

    [Theory]
    [MemberData(nameof(Forms))]
    public async Task Form_without_its_token_or_from_elsewhere_is_refused(string form)
    {
        (await Send(form, new FormUrlEncodedContent([]), "same-origin")).ShouldBe(HttpStatusCode.BadRequest);
        foreach (var site in (string?[])["cross-site", "same-site", null])
            (await Send(form, new FormUrlEncodedContent([]), site)).ShouldBe(HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Form_that_can_not_be_read_is_refused()
    {
        using var browser = new SandboxBrowser(sandbox.Host);
        await browser.Post("core", HttpStatusCode.BadRequest, ("id", "\0"), ("step", "payment"));
        await browser.Post("core", HttpStatusCode.BadRequest, (new string('x', 5000), "1"));
        using var json = new StringContent("{}", Encoding.ASCII, "application/json");
        (await Send("core", json, "same-origin")).ShouldBe(HttpStatusCode.BadRequest);
    }

    private async Task<HttpStatusCode> Send(string form, HttpContent content, string? site = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/sandbox/{form}") { Content = content };
        if (site is not null)
            request.Headers.Add("Sec-Fetch-Site", site);
        using var answer = await sandbox.Host.Internal.SendAsync(request, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
