using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using CancelService.IntegrationTests.Public;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>
/// Goal: hostile input harms none of the doctor's entrances: page, internal API and command. CANCELSERVICE_SEED
/// repeats the requests of a run.
/// </summary>
public sealed class DoorsTests(SandboxHost sandbox) : IClassFixture<SandboxHost>, IDisposable
{
    private const int Requests = 400;

    private readonly SandboxBrowser _browser = new(sandbox.Host);

    [Trait(Category.Trait, Category.Seeded)]
    [Fact]
    public async Task Fuzzed_requests_are_examined_or_rejected_at_every_entrance()
    {
        var seed = Seeds.Common;
        TestContext.Current.TestOutputHelper!.WriteLine($"CANCELSERVICE_SEED={seed}");
        await sandbox.Host.AddClient(id: FuzzOracle.Client);
        var random = new Random(seed);
        var pastes = Enumerable
            .Range(0, Requests)
            .Select(_ => FuzzCorpus.Next(seed, random, sandbox.Host.Now).Bytes)
            .ToList();

        var examined = 0;
        foreach (var paste in pastes)
        {
            var page = await Page(System.Text.Encoding.UTF8.GetString(paste));
            // A field with a NUL is refused as a form.
            page.ShouldContain(paste.Contains((byte)0) ? "Refused" : "Ask the doctor");
            examined += await Api(paste) is HttpStatusCode.OK ? 1 : 0;
        }
        examined.ShouldBeInRange(Requests / 2, Requests, "most requests are readable and get examined");
        foreach (var paste in pastes[..20])
            (await Command(paste)).ShouldBeInRange(0, 2);
    }

    /// <summary>Goal: oversized, binary or compressed input is rejected cheaply.</summary>
    [Theory]
    [InlineData("a megabyte", HttpStatusCode.BadRequest)]
    [InlineData("over the port's limit", HttpStatusCode.RequestEntityTooLarge)]
    [InlineData("binary bytes", HttpStatusCode.BadRequest)]
    [InlineData("a zip bomb", HttpStatusCode.BadRequest)]
    [InlineData("deep JSON", HttpStatusCode.BadRequest)]
    public async Task Unreadable_input_is_rejected_at_every_entrance(string kind, HttpStatusCode status)
    {
        byte[] paste = kind switch
        {
            "a megabyte" => Enumerable.Repeat((byte)'x', 1_000_000).ToArray(),
            "over the port's limit" => Enumerable.Repeat((byte)'x', 2_000_000).ToArray(),
            "binary bytes" => [.. Enumerable.Range(0, 4096).Select(i => (byte)(i * 7))],
            "a zip bomb" => Zipped(new byte[20_000_000]),
            _ => System.Text.Encoding.ASCII.GetBytes(new string('[', 100_000)),
        };
        await sandbox.Host.AddClient(id: "DOORS" + paste.Length.ToString(CultureInfo.InvariantCulture));

        (await Api(paste, "DOORS" + paste.Length.ToString(CultureInfo.InvariantCulture))).ShouldBe(status);
        (await Command(paste)).ShouldBe(2);
        using var answer = await _browser.Send("diagnose", ("request", System.Text.Encoding.Latin1.GetString(paste)));
        ((int)answer.StatusCode).ShouldBeOneOf(200, 400, 413);
        if (answer.StatusCode is HttpStatusCode.OK)
            (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldContain("The text ");
    }

    private static byte[] Zipped(byte[] content)
    {
        using var zipped = new MemoryStream();
        using (var zip = new GZipStream(zipped, CompressionLevel.Optimal, leaveOpen: true))
            zip.Write(content);
        return zipped.ToArray();
    }

    private async Task<string> Page(string paste)
    {
        using var answer = await _browser.Send("diagnose", ("request", paste));
        var page = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        answer.StatusCode.ShouldBeOneOf(HttpStatusCode.OK, HttpStatusCode.BadRequest);
        return page;
    }

    private async Task<HttpStatusCode> Api(byte[] paste, string client = FuzzOracle.Client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/internal/v1/clients/{client}/diagnose");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.All);
        request.Content = new ByteArrayContent(paste);
        request.Headers.ExpectContinue = true; // A refusal precedes the body, so the client does not send it.
        using var answer = await sandbox.Host.Internal.SendAsync(request, TestContext.Current.CancellationToken);
        answer.StatusCode.ShouldBeOneOf(
            HttpStatusCode.OK,
            HttpStatusCode.BadRequest,
            HttpStatusCode.RequestEntityTooLarge
        );
        return answer.StatusCode;
    }

    private async Task<int> Command(byte[] paste)
    {
        var file = Path.Combine(sandbox.Directory, $"{Guid.NewGuid():N}.http");
        await File.WriteAllBytesAsync(file, paste, TestContext.Current.CancellationToken);
        return await CancelService.Sandbox.Program.Main(["diagnose", file, .. sandbox.Settings]);
    }

    public void Dispose() => _browser.Dispose();
}
