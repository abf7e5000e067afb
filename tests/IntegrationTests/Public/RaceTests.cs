using CancelService.Application.Accounts;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: whatever writes race with a cancel, a payment's money moves once.</summary>
public sealed class RaceTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const int Rounds = 30;

    // On a busy machine a round may wait for the database; this test is not about timeouts.
    private const string Patient = "--Database:Timeout=00:00:30";

    private static readonly Dictionary<
        string,
        Func<Payment, DateTimeOffset, (PaymentChange Change, string? Answer)>
    > Writers = new(StringComparer.Ordinal)
    {
        ["cancel"] = (payment, now) =>
            (((CancelDecision.Cancelled)payment.Cancel(CancelWindow.Usual, State.Amount, now)).Change, "{}"),
        ["capture"] = (payment, now) => (Applied(payment.Capture(payment.Amount, 0, now)), null),
        ["succeed"] = (payment, now) => (Applied(payment.Succeed(0, now)), null),
        ["refund"] = (payment, now) => (Applied(payment.Refund(new Money(1, payment.Amount.Currency), 1, now)), null),
        ["fail"] = (payment, now) => (Applied(payment.Fail(now)), null),
        ["authorize"] = (payment, now) => (Applied(payment.Authorize(now)), null),
    };

    public static TheoryData<string, string, string, DatabaseProvider> Pairs
    {
        get
        {
            var data = new TheoryData<string, string, string, DatabaseProvider>();
            foreach (var provider in Both.Providers)
            {
                Add("processing", ["cancel", "succeed", "fail"]);
                Add("authorised", ["cancel", "capture", "fail"]);
                Add("paid", ["cancel", "refund"]);

                void Add(string state, string[] writers)
                {
                    foreach (var winner in writers)
                    foreach (var loser in writers)
                        data.Add(state, winner, loser, provider);
                }
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Second_writer_with_a_stale_state_writes_nothing(
        string state,
        string winner,
        string loser,
        DatabaseProvider provider
    )
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, Named(state));
        // Enough balance for both, so only the race can refuse the second.
        await host.Post(client, 10 * State.Amount);
        var (first, second) = ((await host.Find(client))!.Payment, (await host.Find(client))!.Payment);
        var (won, lost) = (Writers[winner](first, host.Now), Writers[loser](second, host.Now));

        (await host.Commit(first, won.Change, won.Answer)).ShouldBeTrue();
        var dump = await host.Dump(client);
        (await host.Commit(second, lost.Change, lost.Answer)).ShouldBeFalse();
        (await host.Dump(client)).ShouldBe(dump);
        await host.Rows(client);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_cancels_make_one_cancellation_and_get_one_answer(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(database, settings: [Patient]);
        // On PostgreSQL a second instance joins in, with a different clock.
        await using var second =
            provider is DatabaseProvider.Postgres
                ? await TestHost.Start(database, new(TestHost.Noon.AddSeconds(7)), settings: [Patient])
                : null;
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await host.Post(client, 10 * State.Amount);
        var before = await host.Rows(client);

        var answers = await Task.WhenAll(
            Enumerable
                .Range(0, 64)
                .Select(i =>
                    (i % 4 < 2 ? host : second ?? host).Cancel(
                        client,
                        i % 2 == 0
                            ? $$"""{"paymentId":"p1","extendInfo":"{{i}}"}"""
                            : $$"""{"paymentRequestId":"req-p1","extendInfo":"{{i}}"}"""
                    )
                )
        );

        answers[0].Code.ShouldBe("SUCCESS");
        answers.Select(answer => answer.Text).Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
        var after = await host.Rows(client);
        after.Cancellations.ShouldBe(1);
        after.Outbox.ShouldBe(1);
        after.History.ShouldBe([.. before.History, PaymentAction.Cancel]);
        after.Transfers.Count.ShouldBe(before.Transfers.Count + 1);
        (await host.Balance(client)).ShouldBe(10 * State.Amount);
    }

    [Theory]
    [MatrixData("capture", "refund", "succeed")]
    public async Task Racing_cancel_and_report_leave_a_consistent_outcome(string rival, DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        var wins = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var id = $"p{round}";
            await host.AddPayment(
                client,
                Named(
                    rival switch
                    {
                        "capture" => "authorised",
                        "refund" => "paid",
                        _ => "processing",
                    }
                ),
                id
            );
            var before = await host.Balance(client);

            var cancel = host.Cancel(client, $$"""{"paymentId":"{{id}}"}""");
            var core = Core(host, client, id, Writers[rival], readsFirst: round % 10);
            await Task.WhenAll(cancel, core);

            var (answer, coreWon, rows) = (await cancel, await core, await host.Rows(client, id));
            var moved = await host.Balance(client) - before;
            wins += coreWon ? 1 : 0;
            var expected = (rival, coreWon) switch
            {
                ("capture", true) => ("PROCESS_FAIL", PaymentStatus.Captured, (CancelEffect?)null, State.Amount),
                ("capture", false) => ("SUCCESS", PaymentStatus.Cancelled, CancelEffect.HoldReleased, 0),
                ("refund", true) => ("PROCESS_FAIL", PaymentStatus.Refunded, null, -1),
                ("refund", false) => ("SUCCESS", PaymentStatus.Cancelled, CancelEffect.Refunded, -State.Amount),
                // A cancel that loses the race reverses the payment.
                (_, true) => ("SUCCESS", PaymentStatus.Cancelled, CancelEffect.Refunded, 0),
                (_, false) => ("SUCCESS", PaymentStatus.Cancelled, CancelEffect.Closed, 0),
            };
            (answer.Code, rows.Status, rows.Effect, moved).ShouldBe(expected);
            rows.Cancellations.ShouldBe(rows.Effect is null ? 0 : 1);
            rows.Outbox.ShouldBe(rows.Cancellations);
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"Rounds won by the core: {wins} of {Rounds}.");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_cancels_never_overdraw_the_balance(DatabaseProvider provider)
    {
        const int payments = 40;
        const int covered = 7;
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        for (var i = 0; i < payments; i++)
            await host.AddPayment(client, State.Success, $"p{i}");
        (await host.Post(client, (covered * State.Amount) + 999 - (payments * State.Amount))).ShouldBeTrue();

        var answers = await Task.WhenAll(
            Enumerable.Range(0, payments).Select(i => host.Cancel(client, $$"""{"paymentId":"p{{i}}"}"""))
        );

        answers.Count(answer => answer.Code == "SUCCESS").ShouldBe(covered);
        answers.Count(answer => answer.Code == "MERCHANT_BALANCE_NOT_ENOUGH").ShouldBe(payments - covered);
        (await host.Balance(client)).ShouldBe(999);
        for (var i = 0; i < payments; i++)
        {
            var rows = await host.Rows(client, $"p{i}");
            var cancelled = answers[i].Code == "SUCCESS";
            rows.Status.ShouldBe(cancelled ? PaymentStatus.Cancelled : PaymentStatus.Success);
            rows.Transfers.Count.ShouldBe(cancelled ? 2 : 1);
            rows.Outbox.ShouldBe(cancelled ? 1 : 0);
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_repeats_of_a_deposit_count_once(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        var transfer = new PostedTransfer(
            Guid.CreateVersion7(host.Now),
            client.Id,
            "t1",
            Transfer.Of(TransferKind.Deposit, new Money(5, new Currency("USD"))),
            "operator",
            host.Now
        );
        var posted = await Task.WhenAll(
            Enumerable
                .Range(0, 16)
                .Select(_ => host.Accounts.Post(transfer with { Id = Guid.NewGuid() }, CancellationToken.None))
        );
        posted.Count(result => result is WriteResult.Written).ShouldBe(1);
        (await host.Balance(client)).ShouldBe(5);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_cancels_of_many_clients_do_not_interfere(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var clients = new List<TestClient>();
        for (var i = 0; i < 4; i++)
        {
            clients.Add(await host.AddClient());
            for (var j = 0; j < 10; j++)
                await host.AddPayment(clients[i], State.Success, $"p{j}");
        }
        var calls =
            from client in clients
            from payment in Enumerable.Range(0, 10)
            from _ in Enumerable.Range(0, 2)
            select host.Cancel(client, $$"""{"paymentId":"p{{payment}}"}""");
        foreach (var answer in await Task.WhenAll(calls))
            answer.Code.ShouldBe("SUCCESS");
        foreach (var client in clients)
            (await host.Balance(client)).ShouldBe(0);
    }

    // Retries read, decide and commit until the event is in or comes too late. A cancel takes longer to reach the
    // database: idle reads before the event let it win some rounds.
    private static async Task<bool> Core(
        TestHost host,
        TestClient client,
        string id,
        Func<Payment, DateTimeOffset, (PaymentChange Change, string? Answer)> happens,
        int readsFirst
    )
    {
        for (var i = 0; i < readsFirst; i++)
            await host.Find(client, id);
        while (true)
        {
            var payment = (await host.Find(client, id)).ShouldNotBeNull().Payment;
            if (payment.Status is PaymentStatus.Cancelled)
                return false;
            if (await host.Commit(payment, happens(payment, host.Now).Change))
                return true;
        }
    }

    private static PaymentChange Applied(ReportDecision decision) =>
        decision.ShouldBeOfType<ReportDecision.Applied>().Change;

    private static State Named(string state) =>
        state switch
        {
            "processing" => State.Processing,
            "authorised" => State.Authorized,
            _ => State.Success,
        };
}
