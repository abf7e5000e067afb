using System.Diagnostics;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: a newcomer's first cancel works at once with the demo wallet.</summary>
public sealed class DemoTests(PostgresServer postgres)
{
    private static readonly ClientId Client = new("DEMO_CLIENT");

    private static readonly Dictionary<string, string> Promised = new(StringComparer.Ordinal)
    {
        ["demo-processing"] = "SUCCESS",
        ["demo-authorized"] = "SUCCESS",
        ["demo-success"] = "SUCCESS",
        ["demo-failed"] = "SUCCESS",
        ["demo-captured"] = "PROCESS_FAIL",
        ["demo-refunded"] = "PROCESS_FAIL",
        ["demo-late"] = "CANCEL_WINDOW_EXCEED",
        ["demo-poor"] = "MERCHANT_BALANCE_NOT_ENOUGH",
        ["demo-nothing"] = "ORDER_NOT_EXIST",
    };

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Demo_payments_answer_as_documented_even_after_a_restart(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        byte[]? first = null;
        for (var start = 1; start <= 2; start++)
        {
            await using var host = await Start(database);
            var client = new TestClient(Client, await Merchant(database));
            foreach (var (payment, code) in Promised)
            {
                (await host.Cancel(client, $$"""{"paymentId":"{{payment}}"}""")).Code.ShouldBe(code, payment);
                var byRequest = await host.Cancel(client, $$"""{"paymentRequestId":"req-{{payment}}"}""");
                byRequest.Code.ShouldBe(code, payment);
            }
            var answer = await host.Cancel(client, """{"paymentId":"demo-success"}""");
            answer.Body.ShouldBe(first ??= answer.Body);
            host.Clock.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public async Task Demo_wallet_generates_a_signing_key_only_for_a_process_without_one()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres, empty: true);
        await using var host = await Start(database);
        var call = new CancelCall { Client = new TestClient(Client, await Merchant(database)), At = host.Now };
        var answer = await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST");
        var wallet = KeyPair.Read(await Read(database, "wallet-private.pem"));
        answer.ShouldBeSigned("POST", call.Target, Client.Value, wallet);
        (await Read(database, "wallet-public.pem")).Trim().ShouldBe(wallet.PublicKey.Pem);
        if (!OperatingSystem.IsWindows())
        {
            foreach (var owner in new[] { "wallet", "merchant" })
                File.GetUnixFileMode(Path.Combine(DemoDirectory(database), $"{owner}-private.pem"))
                    .ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Example_script_cancels_and_verifies_the_answer(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        await using var host = await Start(database, systemClock: true);

        foreach (var id in new[] { "demo-success", "req-demo-success", "demo-poor", "demo-nothing" })
        {
            var (exitCode, output) = await Script(host, database, id);
            exitCode.ShouldBe(0, output);
            output.ShouldContain($"\"resultCode\":\"{Promised[id.Replace("req-", "", StringComparison.Ordinal)]}\"");
            output.ShouldContain("The answer's signature is valid.");
        }

        // Control: the script rejects the answer when given another key.
        var other = Path.Combine(database.Directory, "other.pem");
        await File.WriteAllTextAsync(other, KeyPair.Other.PublicKey.Pem, TestContext.Current.CancellationToken);
        var (failed, complaint) = await Script(host, database, "demo-success", walletKey: other);
        failed.ShouldBe(1);
        complaint.ShouldContain("NOT VALID");
    }

    private static async Task<(int ExitCode, string Output)> Script(
        TestHost host,
        TestDatabase database,
        string id,
        string? walletKey = null
    )
    {
        var start = new ProcessStartInfo("bash", [Path.Combine(Repository.Root, "docs", "examples", "cancel.sh"), id])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["URL"] = $"http://127.0.0.1:{host.PublicPort}{CancelCall.Path}",
                ["MERCHANT_KEY"] = Path.Combine(DemoDirectory(database), "merchant-private.pem"),
                ["WALLET_KEY"] = walletKey ?? Path.Combine(DemoDirectory(database), "wallet-public.pem"),
            },
        };
        using var process = Process.Start(start).ShouldNotBeNull();
        var output = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        return (process.ExitCode, string.Concat(await output));
    }

    private static Task<TestHost> Start(TestDatabase database, bool systemClock = false) =>
        TestHost.Start(
            database,
            systemClock: systemClock,
            extension: new SandboxExtension(),
            settings: ["--environment=Development", $"--Sandbox:Directory={DemoDirectory(database)}"]
        );

    private static string DemoDirectory(TestDatabase database) => Path.Combine(database.Directory, "demo");

    private static Task<string> Read(TestDatabase database, string file) =>
        File.ReadAllTextAsync(Path.Combine(DemoDirectory(database), file));

    private static async Task<KeyPair> Merchant(TestDatabase database) =>
        KeyPair.Read(await Read(database, "merchant-private.pem"));
}
