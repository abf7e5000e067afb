using System.Collections.Concurrent;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: concurrent work is shared fairly among clients.</summary>
public sealed class ShareTests(PostgresServer postgres)
{
    /// <summary>Goal: a lock on one merchant's account fills only that merchant's share of the places.</summary>
    [Fact]
    public async Task Blocked_client_takes_no_place_from_another_client()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Postgres,
            postgres,
            "--Limits:MaxConcurrentRequests=8",
            "--Limits:MaxQueuedRequests=8",
            "--Limits:MaxQueueTime=00:00:00.1",
            "--Database:Timeout=00:00:30"
        );
        var (stuck, other) = (await host.AddClient(), await host.AddClient());
        // Caches both clients, so no later request waits for a lookup.
        foreach (var client in new[] { stuck, other })
            (await host.Cancel(client, """{"paymentId":"none"}""")).Code.ShouldBe("ORDER_NOT_EXIST");
        for (var i = 0; i < 30; i++)
            await host.AddPayment(stuck, State.Success, $"p{i}");
        for (var i = 0; i < 10; i++)
            await host.AddPayment(other, State.Success, $"p{i}");
        var held = new ConcurrentBag<Task<Answer>>();
        await using (var db = host.Db())
        {
            await using var transaction = await db.Database.BeginTransactionAsync(
                TestContext.Current.CancellationToken
            );
            await db.Set<AccountRow>()
                .Where(a => a.ClientId == stuck.Id)
                .ExecuteUpdateAsync(set => set.SetProperty(a => a.Balance, a => a.Balance), CancellationToken.None);
            for (var i = 0; i < 30; i++)
                held.Add(Wire.Exchange(host.PublicPort, Cancel(stuck, i), "POST"));
            // Two cancels run and eight wait in the client's own queue; the rest is turned away at once, and the queued
            // ones time out.
            await TestHost.Until(() => Task.FromResult(held.Count(answer => answer.IsCompleted))).Becomes(28);

            for (var i = 0; i < 10; i++)
                (await host.Cancel(other, $$"""{"paymentId":"p{{i}}"}""")).Code.ShouldBe("SUCCESS");
        }
        var answers = await Task.WhenAll(held);
        answers.Count(answer => answer.Status == 200).ShouldBe(2);
        answers.Where(answer => answer.Status == 200).ShouldAllBe(answer => answer.Code == "SUCCESS");

        byte[] Cancel(TestClient client, int i) =>
            new CancelCall
            {
                Client = client,
                At = host.Now,
                Json = $$"""{"paymentId":"p{{i}}"}""",
            }.ToBytes();
    }

    [Fact]
    public async Task Client_may_send_a_full_burst_of_its_contract_at_once()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var contract = new Contract();
        var client = await host.AddClient(contract);

        var answers = await Task.WhenAll(
            Enumerable.Range(0, contract.Burst).Select(i => host.Cancel(client, $$"""{"paymentId":"p{{i}}"}"""))
        );

        answers.ShouldAllBe(answer => answer.Code == "ORDER_NOT_EXIST");
    }
}
