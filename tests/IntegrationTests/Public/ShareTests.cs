using System.Collections.Concurrent;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.IntegrationTests.Public;

/// <summary>How the places for concurrent work are shared among clients.</summary>
public sealed class ShareTests(PostgresServer postgres)
{
    /// <summary>A lock on one merchant's account fills that merchant's share of the places; the others notice nothing.</summary>
    [Fact]
    public async Task A_client_whose_work_is_stuck_takes_no_place_from_another()
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
        // Both have been met, so that none of what follows waits for a look-up.
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
            // 2 places and 8 in the client's own queue; the others are turned away at once, and those in the queue give up waiting.
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
    public async Task A_client_may_send_at_once_what_its_contract_allows()
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
