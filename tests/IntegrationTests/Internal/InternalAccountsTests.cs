using System.Text.Json;
using CancelService.Application.Accounts;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: operators post deposits and payouts once and read every balance and transfer.</summary>
public sealed class InternalAccountsTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Repeated_transfer_is_posted_once(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();

        var deposit = (await Transfer(host, client, "deposits", "t1", 1000)).ShouldBe(201);
        (deposit["debit"], deposit["credit"], deposit["reference"]).ShouldBe(("SETTLEMENT", "MERCHANT", "t1"));
        deposit["amount"].ShouldBe(InternalWire.Amount());
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        (await Transfer(host, client, "deposits", "t1", 1000)).ShouldBe(200).Text.ShouldBe(deposit.Text);
        var payout = (await Transfer(host, client, "payouts", "t2", 900)).ShouldBe(201);
        var dump = await host.Dump(client);
        (await Transfer(host, client, "payouts", "t2", 900)).ShouldBe(200).Text.ShouldBe(payout.Text);

        (await Transfer(host, client, "deposits", "t1", 1001)).ShouldBeProblem(409, "transfer-differs");
        (await Transfer(host, client, "payouts", "t1", 1000)).ShouldBeProblem(409, "transfer-differs");
        (await Transfer(host, client, "deposits", "t1", 1000, "EUR")).ShouldBeProblem(409, "transfer-differs");
        (await Transfer(host, client, "payouts", "t3", 101)).ShouldBeProblem(409, "balance-not-enough");
        (await Transfer(host, client, "payouts", "t3", 1, "EUR")).ShouldBeProblem(409, "balance-not-enough");
        (await Transfer(host, client with { Id = new("NOBODY") }, "deposits", "t1", 1)).ShouldBeProblem(
            404,
            "not-found"
        );
        (await host.Dump(client)).ShouldBe(dump);
        (await host.Balance(client)).ShouldBe(100);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Account_lists_its_transfers_oldest_first_in_pages(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        for (var i = 1; i <= 20; i++)
        {
            (await Transfer(host, client, "deposits", $"t{i}", i)).ShouldBe(201);
            host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        }

        var account = (await host.Call("GET", $"/clients/{client.Id}/accounts/USD")).ShouldBe(200);

        account["balance"].ShouldBe("210");
        account["next"].ShouldBeNull();
        (await host.Paged($"/clients/{client.Id}/accounts/USD?limit=3", Units, "transfers")).ShouldBe(
            Enumerable.Range(1, 20).Select(i => $"{i}")
        );

        static string Units(JsonElement entry) => entry.GetProperty("amount").GetProperty("minorUnits").ToString();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Account_lists_its_transfers_oldest_first_despite_another_storage_order(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        for (var i = 20; i >= 1; i--)
        {
            await host.Accounts.Post(
                new PostedTransfer(
                    Guid.CreateVersion7(host.Now.AddSeconds(i)),
                    client.Id,
                    $"t{i}",
                    Domain.Ledger.Transfer.Of(Domain.Ledger.TransferKind.Deposit, new(i, new("USD"))),
                    "operator",
                    host.Now.AddSeconds(i)
                ),
                CancellationToken.None
            );
        }

        (
            await host.Paged(
                $"/clients/{client.Id}/accounts/USD?limit=3",
                entry => entry.GetProperty("amount").GetProperty("minorUnits").ToString(),
                "transfers"
            )
        ).ShouldBe(Enumerable.Range(1, 20).Select(i => $"{i}"));
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Balances_are_listed_and_deposits_and_payouts_found_by_id(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await Transfer(host, client, "deposits", "d1", 100);
        await Transfer(host, client, "deposits", "d2", 7, "EUR");
        var payout = await Transfer(host, client, "payouts", "p1", 30);

        var accounts = (await host.Call("GET", $"/clients/{client.Id}/accounts")).ShouldBe(200).Items;
        accounts
            .Select(account => $"{account.GetProperty("currency")} {account.GetProperty("balance")}")
            .ShouldBe(["EUR 7", "USD 70"]);
        (await host.Call("GET", "/clients/NOBODY/accounts")).ShouldBe(200).Items.ShouldBeEmpty();
        (await host.Call("GET", $"/clients/{client.Id}/transfers/p1")).ShouldBe(200).Text.ShouldBe(payout.Text);
        (await host.Call("GET", $"/clients/{client.Id}/transfers/p2")).ShouldBeProblem(404, "not-found");
        (await host.Call("GET", "/clients/NOBODY/transfers/p1")).ShouldBeProblem(404, "not-found");
    }

    private static Task<Reply> Transfer(
        TestHost host,
        TestClient client,
        string kind,
        string id,
        long minorUnits,
        string currency = "USD"
    ) =>
        host.Call(
            "POST",
            $"/clients/{client.Id}/accounts/{currency}/{kind}",
            $$"""{"id":"{{id}}","minorUnits":{{minorUnits}}}"""
        );
}
