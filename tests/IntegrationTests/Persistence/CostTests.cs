using CancelService.Infrastructure.Sql;
using CancelService.Load;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Goal: the cost of a cancel stays bounded in counts that do not depend on the machine's speed.</summary>
[Collection(nameof(Alone))]
public sealed class CostTests(PostgresServer postgres)
{
    // Measured with a debug build, which keeps every state machine on the heap, plus half as much for other machines.
    private const double MaxAllocated = 60_000;

    [Fact]
    public async Task Cancel_costs_two_round_trips_and_a_repeat_one()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await Start(database, network);
        var client = await host.AddClient();
        foreach (var id in new[] { "p1", "p2", "p3" })
            await host.AddPayment(client, State.Success, id);
        await host.AddPayment(client, State.Captured, "captured");
        await host.Cancel(client, """{"paymentId":"p1"}"""); // Caches the client.

        (await Cost("""{"paymentId":"p2"}""", "SUCCESS")).ShouldBe((2, 8));
        (await Cost("""{"paymentRequestId":"req-p3"}""", "SUCCESS")).ShouldBe((2, 8));
        (await Cost("""{"paymentId":"p2"}""", "SUCCESS")).ShouldBe((1, 1));
        (await Cost("""{"paymentId":"captured"}""", "PROCESS_FAIL")).ShouldBe((1, 1));
        (await Cost("""{"paymentId":"none"}""", "ORDER_NOT_EXIST")).ShouldBe((1, 1));

        const string inquiry = "/v2/payments/inquiryPayment";
        (await Cost("""{"paymentId":"p1"}""", "SUCCESS", inquiry)).ShouldBe((1, 1));
        (await Cost("""{"paymentRequestId":"req-captured"}""", "SUCCESS", inquiry)).ShouldBe((1, 1));
        (await Cost("""{"paymentId":"none"}""", "ORDER_NOT_EXIST", inquiry)).ShouldBe((1, 1));

        async Task<(int RoundTrips, int Statements)> Cost(string json, string code, string target = CancelCall.Path)
        {
            var call = new CancelCall
            {
                Client = client,
                At = host.Now,
                Target = target,
                Json = json,
            };
            var (roundTrips, statements) = (network.RoundTrips, network.Statements);
            (await host.Send(call)).Code.ShouldBe(code);
            return (network.RoundTrips - roundTrips, network.Statements - statements);
        }
    }

    [Trait(Category.Trait, Category.Full)]
    [Fact]
    public async Task Cancel_costs_no_more_round_trips_and_bounded_memory_under_load()
    {
        await using var stage = await Testbed.Open(await PostgresCluster.Start(durable: true, Testbed.Settings));
        var database = await stage.Fill("cost", payments: 4000, hotPayments: 2000);
        await using var network = new TcpForwarder(database);
        var service = await stage.Serve(
            database,
            TcpForwarder.Setting(database, network.Port),
            "--Clients:CacheTime=00:05:00",
            "--Database:Timeout=00:00:30",
            "--Limits:MaxQueueTime=00:00:30"
        );
        var supply = new Supply(stage, new Report(), connections: 8, service);
        supply.Exactly("warm-up", Supply.Spread, 2000).Errors.ShouldBe(0);

        var roundTrips = network.RoundTrips;
        var spread = supply.Exactly("spread", Supply.Spread, 2000);
        spread.Errors.ShouldBe(0);
        var perCancel = (network.RoundTrips - roundTrips) / 2000.0;
        perCancel.ShouldBeInRange(1.5, 2.01); // The relay and the health check add their own round trips.
        spread.Allocated!.Value.ShouldBeLessThan(MaxAllocated);

        roundTrips = network.RoundTrips;
        supply.Exactly("hot", Supply.Hot, 2000).Errors.ShouldBe(0);
        ((network.RoundTrips - roundTrips) / 2000.0).ShouldBeLessThan(perCancel);
    }

    [Trait(Category.Trait, Category.Full)]
    [Fact]
    public async Task Cancels_waiting_for_the_same_account_are_committed_as_a_group()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await Start(database, network);

        // Timing decides how many cancels join the second trip, so the best of five rounds counts.
        var (fewest, fewestStatements) = (int.MaxValue, int.MaxValue);
        for (var round = 1; round <= 5 && (fewest > 24 + 8 || fewestStatements >= 24 * 7); round++)
        {
            var client = await host.AddClient();
            var (answers, roundTrips, statements) = await CancelAtOnce(host, client, network, payments: 24);

            answers.ShouldAllBe(answer => answer.Code == "SUCCESS");
            (await host.Balance(client)).ShouldBe(0);
            for (var i = 0; i < 24; i++)
                (await host.Rows(client, $"p{i}")).Cancellations.ShouldBe(1);
            (fewest, fewestStatements) = (Math.Min(fewest, roundTrips), Math.Min(fewestStatements, statements));
        }
        fewestStatements.ShouldBeLessThan(24 * 7);
        // 24 lookups, the first write, then the other writes: in one trip, or in a few when some came late.
        fewest.ShouldBeInRange(24 + 2, 24 + 8);
    }

    [Fact]
    public async Task Group_over_the_balance_commits_the_cancels_that_it_covers()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await Start(database, network);
        var client = await host.AddClient();

        // Enough balance for 20 of 24: the group is refused as a whole, each write is retried alone, and the losers
        // decide again.
        var (answers, _, _) = await CancelAtOnce(host, client, network, payments: 24, payout: 4 * State.Amount);

        answers.Count(answer => answer.Code == "SUCCESS").ShouldBe(20);
        answers.Count(answer => answer.Code == "MERCHANT_BALANCE_NOT_ENOUGH").ShouldBe(4);
        (await host.Balance(client)).ShouldBe(0);
        for (var i = 0; i < 24; i++)
            await host.Rows(client, $"p{i}");
    }

    private static Task<TestHost> Start(TestDatabase database, TcpForwarder network) =>
        TestHost.Start(
            database,
            settings:
            [
                TcpForwarder.Setting(database.ConnectionString, network.Port),
                "--Clients:CacheTime=00:01:00",
                "--Database:Timeout=00:00:30",
            ]
        );

    // Another transaction locks the account's row: the first cancel waits for it, and the others for the first.
    private static async Task<(Answer[] Answers, int RoundTrips, int Statements)> CancelAtOnce(
        TestHost host,
        TestClient client,
        TcpForwarder network,
        int payments,
        long payout = 0
    )
    {
        for (var i = 0; i < payments; i++)
            await host.AddPayment(client, State.Success, $"p{i}");
        if (payout > 0)
            await host.Post(client, -payout);
        await host.Cancel(client, """{"paymentId":"none"}"""); // Caches the client.

        await using var other = new NpgsqlConnection(host.ConnectionString);
        await other.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await other.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (
            var hold = new NpgsqlCommand(
                $"SELECT FROM accounts WHERE client_id = '{client.Id}' FOR UPDATE",
                other,
                transaction
            )
        )
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        var (roundTrips, statements) = (network.RoundTrips, network.Statements);
        var cancels = Enumerable
            .Range(0, payments)
            .Select(i => host.Cancel(client, $$"""{"paymentId":"p{{i}}"}"""))
            .ToList();
        // Every payment has been looked up, and one of the writes has begun.
        await TestHost.Until(() => Task.FromResult(network.RoundTrips - roundTrips > payments)).Becomes(true);
        await transaction.RollbackAsync(TestContext.Current.CancellationToken);
        var answers = await Task.WhenAll(cancels);
        return (answers, network.RoundTrips - roundTrips, network.Statements - statements);
    }
}
