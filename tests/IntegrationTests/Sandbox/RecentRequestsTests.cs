using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using CancelService.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>Goal: recent requests are shown to their senders alone, and a flood of junk evicts no genuine one.</summary>
public sealed class RecentRequestsTests(SandboxHost sandbox) : IClassFixture<SandboxHost>, IDisposable
{
    private const string Client = "DEMO_CLIENT";

    private readonly SandboxBrowser _browser = new(sandbox.Host);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Link => sandbox.Host.Services.GetRequiredService<Visitors>().LinkTo(Client)["/sandbox/".Length..];

    [Fact]
    public async Task Request_of_the_pages_is_shown_to_its_visitor_alone()
    {
        await _browser.Post("cancel", ("id", "demo-late"), ("extendInfo", "é <b>"), ("mistake", "crlf"));
        var number = Numbers(await _browser.Get("requests"))[0];

        var page = await _browser.Get($"requests/{number}");
        page.ShouldContain("INVALID_SIGNATURE");
        page.ShouldContain("<strong>line-break</strong>");
        page.ShouldContain("<pre>POST /v2/payments/cancel\n");

        using var other = new SandboxBrowser(sandbox.Host);
        Numbers(await other.Get("requests")).ShouldBeEmpty();
        await other.Get($"requests/{number}", HttpStatusCode.NotFound);
        Numbers(await other.Get(Link)).ShouldNotContain(number);
    }

    [Fact]
    public async Task Client_is_shown_to_holders_of_its_link_alone()
    {
        (await Cancel("demo-processing")).ShouldBe("SUCCESS");
        var numbers = Numbers(await _browser.Get(Link));
        numbers.ShouldNotBeEmpty();
        var query = Link["requests".Length..];
        (await _browser.Get($"requests/{numbers[0]}{query}")).ShouldContain("Nothing is wrong");

        await _browser.Get($"requests/{numbers[0]}", HttpStatusCode.NotFound);
        await _browser.Get($"requests/{numbers[0]}?client={Client}&link=x", HttpStatusCode.NotFound);
        foreach (var wrong in (string[])["requests?client=DEMO_CLIENT", "requests?client=DEMO_CLIENT&link=x"])
            Numbers(await _browser.Get(wrong, HttpStatusCode.Forbidden)).ShouldNotContain(numbers[0]);
        await _browser.Get(Link.Replace(Client, "OTHER", StringComparison.Ordinal), HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Signature_by_the_clients_key_opens_its_requests()
    {
        var owner = await sandbox.Host.AddClient();
        var id = owner.Id.Value;
        await sandbox.Host.Cancel(owner, """{"paymentId":"p1"}""");
        var page = await _browser.Get($"requests/open?client={id}");
        var challenge = page.Split("printf %s &#39;")[1].Split("&#39;")[0];

        foreach (var (key, text) in new[] { (KeyPair.Other, challenge), (KeyPair.Merchant, "another text") })
            await Open(id, Signed(key, text), HttpStatusCode.Forbidden);
        await Open(id, "no base64", HttpStatusCode.Forbidden);
        await Open("NOBODY", Signed(KeyPair.Merchant, challenge), HttpStatusCode.Forbidden);
        var shown = await Open(id, Signed(KeyPair.Merchant, challenge), HttpStatusCode.OK);
        shown.ShouldContain($"Verified requests of {id}");
        Numbers(shown).Count.ShouldBe(1);
    }

    [Fact]
    public async Task Flood_of_unverified_requests_evicts_no_verified_one()
    {
        (await Cancel("demo-failed")).ShouldBe("SUCCESS");
        var verified = Numbers(await _browser.Get(Link)).Max();
        var body = new string('x', 60_000);
        var junk = Encoding.ASCII.GetBytes(
            $"POST /v2/payments/cancel HTTP/1.1\r\nHost: a\r\nClient-Id: {Client}\r\n"
                + $"Content-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}"
        );
        for (var i = 0; i < 150; i++)
            await Wire.Exchange(sandbox.Host.PublicPort, junk, "POST");

        var page = await _browser.Get(Link);
        Numbers(page).ShouldContain(verified);
        page.Split("<h2>Unverified")[1].Split("<h2>")[0].Split("Diagnosis of").Length.ShouldBe(101);
    }

    [Fact]
    public async Task Request_that_is_not_kept_is_not_found() =>
        (await _browser.Get("requests/1000000", HttpStatusCode.NotFound)).ShouldContain("not kept");

    /// <summary>Goal: a request that is refused at once is kept too, for the holder of the demo's link.</summary>
    [Theory]
    [InlineData(
        "POST /v2/payments/cancel HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nConnection: close\r\n\r\n",
        "PARAM_ILLEGAL"
    )]
    [InlineData("GET /v2/payments/cancel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "METHOD_NOT_SUPPORTED")]
    [InlineData("POST /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "INVALID_API")]
    public async Task Request_without_a_client_is_kept(string request, string code)
    {
        var answer = await Wire.Exchange(
            sandbox.Host.PublicPort,
            Encoding.ASCII.GetBytes(request),
            request.Split(' ')[0]
        );
        answer.Code.ShouldBe(code);
        (await _browser.Get(Link)).ShouldContain($"<td>{code}</td>");
    }

    public void Dispose() => _browser.Dispose();

    private async Task<string> Cancel(string id)
    {
        var key = KeyPair.Read(await File.ReadAllTextAsync(sandbox.Key("merchant-private.pem"), Token));
        return (await sandbox.Host.Cancel(new TestClient(new(Client), key), $$"""{"paymentId":"{{id}}"}""")).Code;
    }

    private Task<string> Open(string client, string signature, HttpStatusCode status) =>
        _browser.Post("requests/open", status, ("client", client), ("signature", signature));

    private static string Signed(KeyPair key, string text)
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(key.PrivatePem);
        return Convert.ToBase64String(
            rsa.SignData(Encoding.UTF8.GetBytes(text), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
        );
    }

    private static List<int> Numbers(string page) =>
        [
            .. page.Split("Diagnosis of ")
                .Skip(1)
                .Select(rest => int.Parse(rest.Split('<')[0], CultureInfo.InvariantCulture)),
        ];
}
