using System.Net.Http.Json;
using CancelService.ShippingTests.Fixtures;
using CancelService.Testcontainers;

namespace CancelService.ShippingTests;

/// <summary>Goal: an integration test of another project gets a wallet in a few lines.</summary>
public sealed class ModuleTests(BuiltImage image)
{
    [Fact]
    public async Task Module_starts_a_wallet_that_cancels_demo_and_own_payments()
    {
        await image.Revision;
        await using var wallet = new CancelServiceBuilder(BuiltImage.SandboxName).Build();
        await wallet.StartAsync(TestContext.Current.CancellationToken);

        using var merchant = await wallet.CreateMerchantAsync(TestContext.Current.CancellationToken);
        (await Cancel(merchant, "demo-success")).ShouldContain("\"resultCode\":\"SUCCESS\"");
        (await Cancel(merchant, "own-1")).ShouldContain("\"resultCode\":\"ORDER_NOT_EXIST\"");

        using var core = wallet.CreateCore();
        using var registered = await core.PutAsJsonAsync(
            new Uri($"/internal/v1/clients/{CancelServiceContainer.ClientId}/payments/own-2", UriKind.Relative),
            new
            {
                paymentRequestId = "req-own-2",
                kind = "PAYMENT",
                amount = new { minorUnits = 1500, currency = "USD" },
                initiatedAt = TimeProvider.System.GetUtcNow(),
                payer = "payer-1",
            },
            TestContext.Current.CancellationToken
        );
        registered.EnsureSuccessStatusCode();
        (await Cancel(merchant, "own-2")).ShouldContain("\"resultCode\":\"SUCCESS\"");
        (await wallet.ReadWalletPublicKeyAsync(TestContext.Current.CancellationToken)).ShouldStartWith(
            "-----BEGIN PUBLIC KEY-----"
        );
    }

    [Fact]
    public void Default_image_is_the_sandbox_of_this_version() =>
        CancelServiceBuilder.DefaultImage.ShouldBe($"cancelservice-sandbox:{BuiltImage.Version}");

    private static async Task<string> Cancel(HttpClient merchant, string payment)
    {
        using var answer = await merchant.PostAsJsonAsync(
            new Uri("/v2/payments/cancel", UriKind.Relative),
            new { paymentId = payment }
        );
        return await answer.Content.ReadAsStringAsync();
    }
}
