using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using CancelService.ShippingTests.Fixtures;
using CancelService.Testcontainers;

namespace CancelService.ShippingTests;

/// <summary>Goal: the stack of compose.yaml serves merchants, also during a rolling restart.</summary>
public sealed class ComposeTests(BuiltImage image, ComposeProject compose) : IClassFixture<ComposeProject>
{
    private const string Client = "COMPOSE";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly RSA Key = RSA.Create(2048);

    [Fact]
    public async Task Repeated_cancel_gets_the_same_answer_during_a_rolling_restart()
    {
        await Register("success");
        using var merchant = Merchant();
        var first = await Answered(merchant, "success");
        first.ShouldContain("\"resultCode\":\"SUCCESS\"");
        var restarted = new TaskCompletionSource();
        var asking = AskUntil(merchant, "success", restarted.Task);

        // One at a time, as an operator does: the load balancer must see the previous instance up again.
        foreach (var instance in new[] { "one", "two" })
        {
            var before = await TimesUp(instance);
            await compose.Run("restart", "--timeout=25", instance);
            await Until(async () => await TimesUp(instance) > before);
        }
        restarted.SetResult();

        var answers = await asking.WaitAsync(Patience, TestContext.Current.CancellationToken);
        answers.ShouldContain(answer => answer == first);
        // On a slow machine an answer may be U, which asks the merchant to repeat; any other difference is an error.
        answers
            .Where(answer => answer != first && !answer.Contains("\"resultStatus\":\"U\"", StringComparison.Ordinal))
            .ShouldBeEmpty(await compose.Run("logs", "--no-color", "--tail=50", "one", "two"));
        // The same cancel by its other identifier.
        (await Answered(merchant, "req-success", "paymentRequestId")).ShouldBe(first);
    }

    [Fact]
    public async Task Ledger_passes_the_audit_after_cancels()
    {
        await Register("audited");
        using var merchant = Merchant();
        (await Answered(merchant, "audited")).ShouldContain("\"resultCode\":\"SUCCESS\"");

        // Run fails when the command reports a violation.
        await compose.Run("run", "--rm", "-T", "migrate", "verify-ledger");
    }

    [Fact]
    public async Task Log_and_metrics_name_the_version_of_the_image()
    {
        await IsReady(compose.Core);

        (await compose.Core.GetStringAsync(Path("/metrics"), TestContext.Current.CancellationToken)).ShouldContain(
            $"version=\"{BuiltImage.Version}\"",
            customMessage: "cancelservice_build_info names the version"
        );
        var log = await Command.Run("docker", "logs", await ComposeProject.Container("one"));
        log.ShouldContain(BuiltImage.Version);
        log.ShouldContain(await image.Revision);
    }

    /// <summary>
    /// Goal: SIGTERM ends an instance gracefully within its time; a kill by Docker would give exit code 137.
    /// </summary>
    [Fact]
    public async Task Stopped_instance_drains_and_exits_by_itself()
    {
        await IsReady(compose.Core);
        await compose.Run("stop", "--timeout=25", "two");

        var state = await Command.Run(
            "docker",
            "inspect",
            "--format={{.State.ExitCode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}",
            await ComposeProject.Container("two")
        );
        state.Trim().ShouldBe("0 true [ALL]");
        await compose.Run("start", "two");
    }

    /// <summary>Goal: the sandbox has a database of its own, and nothing of it is in the service's.</summary>
    [Fact]
    public async Task Sandbox_stands_apart_from_the_service()
    {
        using var sandbox = new HttpClient { BaseAddress = compose.SandboxAddress };
        await IsReady(sandbox);
        (await sandbox.GetStringAsync(Path("/sandbox"), TestContext.Current.CancellationToken)).ShouldContain(
            "demo-success"
        );

        await IsReady(compose.Core);
        using var page = await compose.Core.GetAsync(Path("/sandbox"), TestContext.Current.CancellationToken);
        page.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        using var client = await compose.Core.GetAsync(
            Path($"/internal/v1/clients/{CancelServiceContainer.ClientId}"),
            TestContext.Current.CancellationToken
        );
        client.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    // As the core and an operator do it: the client with its key, and a payment that is not decided yet.
    private async Task Register(string payment)
    {
        await IsReady(compose.Core);
        await Put($"/internal/v1/clients/{Client}", new { name = "A merchant of the tests", enabled = true });
        await Put(
            $"/internal/v1/clients/{Client}/keys/1",
            new { publicKey = Convert.ToBase64String(Key.ExportSubjectPublicKeyInfo()) }
        );
        await Put(
            $"/internal/v1/clients/{Client}/payments/{payment}",
            new
            {
                paymentRequestId = $"req-{payment}",
                kind = "PAYMENT",
                amount = new { minorUnits = 1000, currency = "USD" },
                initiatedAt = TimeProvider.System.GetUtcNow(),
                payer = "payer-1",
            }
        );

        async Task Put(string path, object body)
        {
            using var answer = await compose.Core.PutAsJsonAsync(Path(path), body);
            answer.IsSuccessStatusCode.ShouldBeTrue(await answer.Content.ReadAsStringAsync());
        }
    }

    private HttpClient Merchant() =>
        new(
            new SigningHandler(Client, keyVersion: 1, Key.ExportPkcs8PrivateKeyPem())
            {
                InnerHandler = new SocketsHttpHandler(),
            }
        )
        {
            BaseAddress = compose.Address,
            Timeout = Patience,
        };

    // During startup the gateway answers errors, and an instance may cache for a few seconds that the client does not
    // exist yet.
    private static async Task<string> Answered(HttpClient merchant, string id, string member = "paymentId")
    {
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

    // At most 50 requests a second: during a restart the remaining instance grants the client 100.
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

    // Counts the up events in the load balancer's log.
    private static async Task<int> TimesUp(string instance) =>
        (await Command.Run("docker", "logs", await ComposeProject.Container("loadbalancer")))
            .Split($"Server instances/{instance} is UP")
            .Length;

    private static Task IsReady(HttpClient instance) =>
        Until(async () => (await instance.GetAsync(Path("/healthz/ready"))).IsSuccessStatusCode);

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
                throw new TimeoutException("The awaited condition was not met within two minutes.");
            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }
    }

    private static Uri Path(string path) => new(path, UriKind.Relative);
}
