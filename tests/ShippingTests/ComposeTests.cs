using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using CancelService.ShippingTests.Fixtures;
using CancelService.Testcontainers;

namespace CancelService.ShippingTests;

/// <summary>Goal: what compose.yaml brings up serves merchants, and goes on while an instance is restarted.</summary>
public sealed class ComposeTests(BuiltImage image, ComposeProject compose) : IClassFixture<ComposeProject>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task A_cancel_through_the_load_balancer_is_answered_the_same_while_each_instance_is_restarted()
    {
        using var merchant = Merchant();
        var first = await Answered(merchant, "demo-success");
        first.ShouldContain("\"resultCode\":\"SUCCESS\"");
        var restarted = new TaskCompletionSource();
        var asking = AskUntil(merchant, "demo-success", restarted.Task);

        // One at a time, as an operator does: the next when the load balancer knows that the last is back.
        foreach (var instance in new[] { "one", "two" })
        {
            var before = await TimesUp(instance);
            await compose.Run("restart", "--timeout=25", instance);
            await Until(async () => await TimesUp(instance) > before);
        }
        restarted.SetResult();

        var answers = await asking.WaitAsync(Patience, TestContext.Current.CancellationToken);
        answers.ShouldContain(answer => answer == first);
        // A slow machine may say U, which asks the merchant to repeat; it never says anything else.
        answers
            .Where(answer => answer != first && !answer.Contains("\"resultStatus\":\"U\"", StringComparison.Ordinal))
            .ShouldBeEmpty(await compose.Run("logs", "--no-color", "--tail=50", "one", "two"));
        // The same cancel by the other identifier.
        (await Answered(merchant, "req-demo-success", "paymentRequestId")).ShouldBe(first);
    }

    [Fact]
    public async Task The_ledger_is_clean_after_cancels()
    {
        using var merchant = Merchant();
        (await Answered(merchant, "demo-authorized")).ShouldContain("\"resultCode\":\"SUCCESS\"");

        // It fails where the command finds anything.
        await compose.Run("run", "--rm", "-T", "migrate", "verify-ledger");
    }

    [Fact]
    public async Task Log_and_metrics_name_the_version_that_the_image_names()
    {
        await DemoIsReady();
        using var client = new HttpClient { BaseAddress = compose.InternalAddress };

        (await client.GetStringAsync(Path("/metrics"), TestContext.Current.CancellationToken)).ShouldContain(
            $"version=\"{BuiltImage.Version}\"",
            customMessage: "cancelservice_build_info has the version"
        );
        var log = await Command.Run("docker", "logs", await ComposeProject.Container("one"));
        log.ShouldContain(BuiltImage.Version);
        log.ShouldContain(await image.Revision);
    }

    /// <summary>Goal: SIGTERM ends an instance by itself within its time; Docker would kill it with 137.</summary>
    [Fact]
    public async Task An_instance_that_is_stopped_drains_and_ends_by_itself()
    {
        await DemoIsReady();
        await compose.Run("--profile", "demo", "stop", "--timeout=25", "demo");

        var state = await Command.Run(
            "docker",
            "inspect",
            "--format={{.State.ExitCode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}",
            await ComposeProject.Container("demo")
        );
        state.Trim().ShouldBe("0 true [ALL]");
        await compose.Run("--profile", "demo", "start", "demo");
    }

    private HttpClient Merchant() =>
        new(
            new SigningHandler(
                CancelServiceContainer.ClientId,
                keyVersion: 1,
                File.ReadAllText(System.IO.Path.Combine(ComposeProject.Secrets, "merchant-private.pem"))
            )
            {
                InnerHandler = new SocketsHttpHandler(),
            }
        )
        {
            BaseAddress = compose.Address,
            Timeout = Patience,
        };

    // While everything comes up there is a gateway's answer. An instance that is asked for a client before the demo wallet has made it
    // says for a few seconds that there is none.
    private async Task<string> Answered(HttpClient merchant, string id, string member = "paymentId")
    {
        await DemoIsReady();
        var answer = "";
        await Until(async () =>
        {
            try
            {
                answer = await Ask(merchant, id, member);
            }
            catch (HttpRequestException e)
            {
                answer = e.Message;
            }
            return answer.Contains("\"resultStatus\":\"S\"", StringComparison.Ordinal);
        });
        return answer;
    }

    // At most 50 a second: the one instance that is left while the other restarts grants the demo client 100.
    private static async Task<List<string>> AskUntil(HttpClient merchant, string id, Task enough)
    {
        var answers = new List<string>();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!enough.IsCompleted && await pace.WaitForNextTickAsync())
            answers.Add(await Ask(merchant, id));
        return answers;
    }

    private static async Task<string> Ask(HttpClient merchant, string id, string member = "paymentId")
    {
        var body = new Dictionary<string, string>(StringComparer.Ordinal) { [member] = id };
        using var answer = await merchant.PostAsJsonAsync(Path("/v2/payments/cancel"), body);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.StatusCode == HttpStatusCode.OK ? text : $"{answer.StatusCode}: {text}";
    }

    // By the load balancer's log.
    private static async Task<int> TimesUp(string instance) =>
        (await Command.Run("docker", "logs", await ComposeProject.Container("loadbalancer")))
            .Split($"Server instances/{instance} is UP")
            .Length;

    private async Task DemoIsReady()
    {
        using var client = new HttpClient { BaseAddress = compose.InternalAddress };
        await Until(async () => (await client.GetAsync(Path("/healthz/ready"))).IsSuccessStatusCode);
    }

    private static async Task Until(Func<Task<bool>> done)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                if (await done())
                    return;
            }
            catch (HttpRequestException) when (Stopwatch.GetElapsedTime(start) < Patience) { }
            if (Stopwatch.GetElapsedTime(start) > Patience)
                throw new TimeoutException("It did not come true within two minutes.");
            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }
    }

    private static Uri Path(string path) => new(path, UriKind.Relative);
}
