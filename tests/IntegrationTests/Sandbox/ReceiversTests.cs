using System.Text;
using CancelService.Infrastructure.Notifications;
using CancelService.Sandbox;
using Microsoft.Extensions.Options;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>Goal: the sandbox posts to listed hosts alone, whatever their names lead to.</summary>
public sealed class ReceiversTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("http://localhost:5000/", true)]
    [InlineData("http://127.0.0.1/", true)]
    [InlineData("http://[::1]:5000/", true)]
    [InlineData("http://2130706433/", true)] // 127.0.0.1, as one number.
    [InlineData("http://localhost.example.com/", false)]
    [InlineData("http://169.254.169.254/", false)]
    [InlineData("http://10.0.0.1/", false)]
    [InlineData("http://user@example.com/", false)]
    public void Without_a_setting_only_this_machine_is_listed(string address, bool isListed)
    {
        using var receivers = Of();
        var problem = receivers.Problem(new Uri(address));
        (problem is null).ShouldBe(isListed, problem);
        if (!isListed)
            problem.ShouldNotBeNull().ShouldContain("Sandbox:ReceiverHosts");
    }

    [Fact]
    public void Setting_replaces_the_usual_hosts()
    {
        using var receivers = Of("receiver.example.com");
        receivers.Problem(new Uri("https://RECEIVER.example.com/hook")).ShouldBeNull();
        receivers.Problem(new Uri("http://localhost/")).ShouldNotBeNull();
    }

    [Fact]
    public async Task Listed_name_does_not_open_an_address_that_is_not_listed()
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(200));
        var port = new Uri(receiver.Root).Port;
        // The name is listed and resolves to loopback, which is not.
        using var receivers = Of("localhost");
        using var request = Event($"http://localhost:{port}/");
        await Should.ThrowAsync<HttpRequestException>(() => receivers.Post(request, Token));
        receiver.Received.ShouldBeEmpty();

        using var both = Of("localhost", "127.0.0.1");
        using var again = Event($"http://localhost:{port}/");
        using var answer = await both.Post(again, Token);
        answer.IsSuccessStatusCode.ShouldBeTrue();
    }

    [Fact]
    public async Task Redirect_is_not_followed()
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(302));
        using var receivers = Of();
        using var request = Event(receiver.Root);
        using var answer = await receivers.Post(request, Token);
        ((int)answer.StatusCode).ShouldBe(302);
        receiver.Received.Count.ShouldBe(1);
    }

    private static HttpRequestMessage Event(string address)
    {
        var (id, now) = (Guid.NewGuid(), TimeProvider.System.GetUtcNow());
        var body = Encoding.UTF8.GetBytes($$"""{"id":"{{id}}"}""");
        var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        foreach (var (name, value) in new EventSignature([Receiver.Secret]).Headers(id, now, body))
            request.Headers.Add(name, value);
        return request;
    }

    private static Receivers Of(params string[] hosts)
    {
        var options = new SandboxOptions();
        foreach (var host in hosts)
            options.ReceiverHosts.Add(host);
        return new Receivers(Options.Create(options));
    }
}
