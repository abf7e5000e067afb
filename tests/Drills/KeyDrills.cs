using System.Text;

namespace CancelService.Drills;

public sealed class KeysEndDrill
{
    [Fact]
    public async Task Expiring_key_is_extended()
    {
        const string alert = "CancelServiceKeysEnd";
        var page = RunbookPage.Read(alert);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        var now = TimeProvider.System.GetUtcNow();
        await drill.PutKey(1, now.AddDays(10));
        await drill.Restart(); // The metric is computed soon after the start, then every ten minutes.

        await drill.Prometheus.Fires(alert);
        (await drill.Run(page.Take("psql"))).ShouldContain("SHOP");
        (await drill.Run(page.Take("curl"))).ShouldContain(now.AddDays(10).ToString("yyyy-MM-dd", null));

        await drill.PutKey(1, now.AddDays(100));
        (
            await drill.Run(page.Commands.Single(command => command.StartsWith("psql", StringComparison.Ordinal)))
        ).ShouldContain("(0 rows)");
        await drill.Restart();
        await drill.Prometheus.Ends(alert);
        page.Left.ShouldBeEmpty();
    }
}

public sealed class LeakedKeyDrill
{
    [Fact]
    public async Task Leaked_key_is_refused_within_the_cache_time()
    {
        var page = RunbookPage.Read("A key has leaked");
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        drill.Variables["VERSION"] = "1";
        await drill.Pay("p1");
        (await drill.Final("p9")).ShouldBe("ORDER_NOT_EXIST");

        await drill.Run(page.Take("curl -s -X DELETE"));

        var start = TimeProvider.System.GetTimestamp();
        while (await drill.Final("p1") is not "KEY_NOT_FOUND" and var code)
        {
            code.ShouldBe("SUCCESS", "an instance may accept the key until its cache expires");
            if (TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromMinutes(1))
                throw new TimeoutException("The key is still accepted.");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
        (await drill.Run(page.Take("curl -s \"$I/internal/v1/changes"))).ShouldContain("leaked");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class WrongAnswerDrill
{
    [Fact]
    public async Task Disputed_answer_is_explained()
    {
        var page = RunbookPage.Read("A merchant says that an answer is wrong");
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        drill.Variables["PAYMENT"] = "p1";
        await drill.Pay("p1");
        (await drill.Final("p1")).ShouldBe("SUCCESS");

        (await drill.Run(page.Take("curl"))).ShouldContain("\"CANCELLED\"");
        // The merchant's request, signed with a foreign key.
        var at = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", null);
        const string body = """{"paymentId":"p1"}""";
        var signature = KeyPair.Other.Sign(Encoding.UTF8.GetBytes($"POST /v2/payments/cancel\nSHOP.{at}.{body}"));
        await drill.Write(
            "request.txt",
            $"POST /v2/payments/cancel HTTP/1.1\r\nClient-Id: SHOP\r\nRequest-Time: {at}\r\nContent-Type: "
                + "application/json\r\nSignature: algorithm=RSA256, keyVersion=1, "
                + $"signature={Uri.EscapeDataString(Convert.ToBase64String(signature))}\r\n\r\n{body}"
        );
        (await drill.Run(page.Take("dotnet"), succeeds: false)).ShouldContain("INVALID_SIGNATURE");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class RotationDrill
{
    [Fact]
    public async Task Merchant_rotates_its_key_without_a_refused_request()
    {
        var page = RunbookPage.Read("A merchant changes its key");
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        (drill.Variables["OLD"], drill.Variables["NEW"]) = ("1", "2");
        await drill.Pay("p1");
        await drill.Write(
            "key.json",
            System.Text.Json.JsonSerializer.Serialize(new { publicKey = KeyPair.Other.PublicKey.Pem })
        );

        (await drill.Run(page.Take("curl -s -X PUT"))).ShouldContain("\"version\":2");
        await Becomes("SUCCESS", () => drill.Final("p1", key: KeyPair.Other, keyVersion: 2));
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        await drill.Run(page.Take("curl -s -X DELETE"));
        await Becomes("KEY_NOT_FOUND", () => drill.Final("p1"));
        (await drill.Final("p1", key: KeyPair.Other, keyVersion: 2)).ShouldBe("SUCCESS");
        page.Left.ShouldBeEmpty();
    }

    private static async Task Becomes(string expected, Func<Task<string>> cancel)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (await cancel() != expected)
        {
            if (TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromMinutes(1))
                throw new TimeoutException($"No answer is {expected}.");
            await Task.Delay(100);
        }
    }
}

public sealed class WalletKeyDrill
{
    [Fact]
    public async Task Wallet_rotates_its_key_and_repeats_carry_the_new_signature()
    {
        var page = RunbookPage.Read("The wallet changes its key");
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        await drill.Pay("p1");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        await drill.Run(page.Take("openssl genpkey"));
        await drill.Run(page.Take("openssl pkey"));

        await using var next = await drill.Another(
            "--Wallet:KeyVersion=2",
            $"--Wallet:SigningKeyPath={drill.At("wallet-2.pem")}"
        );
        var (header, _, isTrue) = await Drill.Verify(
            "p1",
            next,
            await File.ReadAllTextAsync(drill.At("wallet-2-public.pem"), TestContext.Current.CancellationToken)
        );

        header.ShouldContain("keyVersion=2");
        isTrue.ShouldBeTrue();
        page.Left.ShouldBeEmpty();
    }
}
