using System.Diagnostics.CodeAnalysis;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: when merchant and core race, one of them wins and both get consistent answers. The rounds continue until each
/// side has won at least once.
/// </summary>
public sealed class IntakeRaceTests(PostgresServer postgres)
{
    private const int Rounds = 25;
    private const int MaxRounds = 300;

    // On a busy machine a round may wait for the database; this test is not about timeouts.
    private const string Patient = "--Database:Timeout=00:00:30";

    [Theory]
    [MatrixData("authorize", "succeed", "capture", "refund", "fail")]
    public async Task Racing_cancel_and_report_agree_in_both_answers_and_in_the_database(
        string action,
        DatabaseProvider provider
    )
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        await BothOrders(async round =>
        {
            var id = $"p{round}";
            await host.AddPayment(
                client,
                action switch
                {
                    "authorize" => State.ProcessingAuthorization,
                    "capture" => State.Authorized,
                    "refund" => State.Success,
                    _ => State.Processing,
                },
                id
            );
            var before = await host.Balance(client);
            long? amount = action is "capture" or "refund" ? 400 : null;

            var (answer, reply) = await AtOnce(
                Prepared(host, client, $$"""{"paymentId":"{{id}}"}"""),
                async () =>
                {
                    // A cancel takes longer to reach the database: idle reads before the report let it win some rounds.
                    for (var i = 0; i < round % 4; i++)
                        await host.Find(client, id);
                    return await host.Report(client, action, $"event-{id}", id, amount);
                }
            );

            // The history shows the winner; the answer cannot, because a failure is recorded with 200 in either order.
            var rows = await host.Rows(client, id);
            var reported = Enum.Parse<PaymentAction>(action, ignoreCase: true);
            var coreWasFirst =
                reply.Status == 200 && !rows.History.TakeLast(2).SequenceEqual([PaymentAction.Cancel, reported]);
            var (code, status, effect, moved, type, remedy) = (action, coreWasFirst) switch
            {
                ("capture", true) => ("PROCESS_FAIL", PaymentStatus.Captured, (CancelEffect?)null, 400, null, null),
                ("refund", true) => ("PROCESS_FAIL", PaymentStatus.Refunded, null, -400, null, null),
                // A cancel that loses the race reverses the earlier event.
                ("authorize", true) => Cancelled(CancelEffect.HoldReleased),
                ("succeed", true) => Cancelled(CancelEffect.Refunded),
                ("fail", true) => Cancelled(CancelEffect.Closed),
                // An event that loses the race is refused, with a remedy when its money has moved.
                ("authorize", false) => Cancelled(CancelEffect.Closed, "payment-cancelled", "release-hold"),
                ("succeed", false) => Cancelled(CancelEffect.Closed, "payment-cancelled", "refund-payer"),
                ("capture", false) => Cancelled(CancelEffect.HoldReleased, "payment-cancelled", "refund-payer"),
                ("refund", false) => Cancelled(CancelEffect.Refunded, "transition-refused", null, -State.Amount),
                // A failure after the cancel is good news and is accepted.
                _ => Cancelled(CancelEffect.Closed),
            };
            if (type is null)
                reply.ShouldBe(200);
            else
                reply.ShouldBeProblem(409, type);
            reply["remedy"].ShouldBe(remedy);
            answer.Code.ShouldBe(code);
            (rows.Status, rows.Effect).ShouldBe((status, effect));
            (await host.Balance(client) - before).ShouldBe(moved);
            rows.Cancellations.ShouldBe(code == "SUCCESS" ? 1 : 0);
            rows.Outbox.ShouldBe(rows.Cancellations);
            // The history keeps a losing event that is a failure or whose money has moved.
            List<PaymentAction> ends =
            [
                .. coreWasFirst ? [reported] : Array.Empty<PaymentAction>(),
                .. code == "SUCCESS" ? [PaymentAction.Cancel] : Array.Empty<PaymentAction>(),
                .. !coreWasFirst && type != "transition-refused" ? [reported] : Array.Empty<PaymentAction>(),
            ];
            rows.History.TakeLast(ends.Count).ShouldBe(ends);
            rows.History.Count(a => a == reported).ShouldBe(ends.Count(a => a == reported));
            return coreWasFirst;
        });
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Racing_cancel_and_registration_never_miss_each_other(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        await BothOrders(async round =>
        {
            var id = $"p{round}";

            var (answer, reply) = await AtOnce(
                Prepared(host, client, $$"""{"paymentRequestId":"req-{{id}}"}"""),
                () => host.Register(client, id)
            );

            if (answer.Code == "ORDER_NOT_EXIST")
            {
                reply.ShouldBeProblem(409, "cancelled-before-arrival");
                (await host.Find(client, id)).ShouldBeNull();
                return false;
            }
            answer.Code.ShouldBe("SUCCESS");
            reply.ShouldBe(201);
            (await host.Rows(client, id)).History.ShouldBe([PaymentAction.Register, PaymentAction.Cancel]);
            return true;
        });
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_repeats_of_a_report_take_effect_once(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        for (var round = 0; round < Rounds; round++)
        {
            var id = $"p{round}";
            await host.AddPayment(client, State.Authorized, id);
            var replies = await Task.WhenAll(
                Enumerable.Range(0, 4).Select(_ => host.Report(client, "capture", "event", id, 10))
            );
            foreach (var reply in replies)
                reply.ShouldBe(200);
            (await host.Rows(client, id)).Transfers.Count.ShouldBe(1);
        }
        (await host.Balance(client)).ShouldBe(10 * Rounds);
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_registrations_of_a_payment_register_it_once(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        for (var round = 0; round < Rounds; round++)
        {
            var id = $"p{round}";
            var replies = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => host.Register(client, id)));
            replies.Select(reply => reply.Status).Order().ShouldBe([200, 200, 200, 201]);
            (await host.Rows(client, id)).History.ShouldBe([PaymentAction.Register]);
        }
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Concurrent_payouts_never_overdraw_the_balance(DatabaseProvider provider)
    {
        const int covered = 7;
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        await host.Post(client, (covered * 100) + 99);

        var replies = await Task.WhenAll(
            Enumerable
                .Range(0, 50)
                .Select(i =>
                    host.Call(
                        "POST",
                        $"/clients/{client.Id}/accounts/USD/payouts",
                        $$"""{"id":"t{{i}}","minorUnits":100}"""
                    )
                )
        );

        // A payout that loses five races in a row gets 503 and is repeated.
        for (var i = 0; i < replies.Length; i++)
        {
            while (replies[i].Status == 503)
            {
                replies[i] = await host.Call(
                    "POST",
                    $"/clients/{client.Id}/accounts/USD/payouts",
                    $$"""{"id":"t{{i}}","minorUnits":100}"""
                );
            }
        }
        replies.Count(reply => reply.Status == 201).ShouldBe(covered);
        foreach (var reply in replies.Where(reply => reply.Status != 201))
            reply.ShouldBeProblem(409, "balance-not-enough");
        (await host.Balance(client)).ShouldBe(99);
        await host.ShouldPassTheAudit();
    }

    private static (string, PaymentStatus, CancelEffect?, long, string?, string?) Cancelled(
        CancelEffect effect,
        string? type = null,
        string? remedy = null,
        long moved = 0
    ) => ("SUCCESS", PaymentStatus.Cancelled, effect, moved, type, remedy);

    // Each round returns true when the core won.
    private static async Task BothOrders(Func<int, Task<bool>> round)
    {
        var (core, merchant) = (0, 0);
        for (var i = 0; core + merchant < Rounds || core == 0 || merchant == 0; i++)
        {
            i.ShouldBeLessThan(MaxRounds, $"one side never won: core {core}, merchant {merchant}");
            if (await round(i))
                core++;
            else
                merchant++;
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"Races won: core {core}, merchant {merchant}.");
    }

    // Signing is slow, so it happens before the race starts.
    private static Func<Task<Answer>> Prepared(TestHost host, TestClient client, string json)
    {
        var bytes = new CancelCall
        {
            Client = client,
            At = host.Now,
            Json = json,
        }.ToBytes();
        return () => Wire.Exchange(host.PublicPort, bytes, "POST");
    }

    // Delays one side by a random stagger per round.
    [SuppressMessage(
        "Security",
        "CA5394:Do not use insecure randomness",
        Justification = "The stagger needs no secrecy."
    )]
    private static async Task<(Answer Answer, Reply Reply)> AtOnce(Func<Task<Answer>> cancel, Func<Task<Reply>> report)
    {
        var stagger = Random.Shared.Next(-4000, 4000);
        var answer = After(Math.Max(stagger, 0), cancel);
        var reply = After(Math.Max(-stagger, 0), report);
        return (await answer, await reply);

        static async Task<T> After<T>(int microseconds, Func<Task<T>> act)
        {
            await Task.Delay(TimeSpan.FromMicroseconds(microseconds));
            return await act();
        }
    }
}
