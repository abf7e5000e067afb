using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: cancels of one merchant share a transaction, but not a refusal or a lock on another payment.
/// </summary>
public sealed class GroupCommitTests(PostgresServer postgres)
{
    // Generous, so that no statement times out on a slow machine.
    private const string Patient = "--Database:Timeout=00:00:30";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Locked_payment_does_not_delay_other_payments_of_its_merchant()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success, "locked");
        for (var i = 0; i < 30; i++)
            await host.AddPayment(client, State.Success, $"p{i}");

        var locked = new List<Task<Answer>>();
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id = 'locked' FOR UPDATE"
            )
        )
        {
            // Only the first cancel waits for the lock; the next group commits past it.
            locked.Add(Cancel(host, client, "locked"));
            await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(1L);
            (await Cancel(host, client, "p0")).Code.ShouldBe("SUCCESS");

            // The lock is held until all other cancels are answered.
            for (var i = 1; i < 30; i += 10)
            {
                locked.Add(Cancel(host, client, "locked"));
                var others = Enumerable.Range(i, Math.Min(10, 30 - i)).Select(n => Cancel(host, client, $"p{n}"));
                foreach (var answer in await Task.WhenAll(others).WaitAsync(TimeSpan.FromSeconds(25), Token))
                    answer.Code.ShouldBe("SUCCESS");
            }
            locked.ShouldAllBe(cancel => !cancel.IsCompleted);
            await held.Release();
        }

        var answers = await Task.WhenAll(locked);
        answers.ShouldAllBe(answer => answer.Code == "SUCCESS");
        answers.Select(answer => answer.Text).Distinct(StringComparer.Ordinal).ShouldHaveSingleItem();
        (await host.Balance(client)).ShouldBe(0);
    }

    [Fact]
    public async Task Constraint_violation_rolls_back_the_whole_group()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        for (var i = 0; i < 24; i++)
            await host.AddPayment(client, State.Success, $"p{i}");

        Task<Answer>[] cancels;
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM accounts WHERE client_id = '{client.Id}' FOR UPDATE"
            )
        )
        {
            cancels = [.. Enumerable.Range(0, 24).Select(i => Cancel(host, client, $"p{i}"))];
            // The first cancel, and a group that formed while it waited.
            await TestHost.Until(async () => await HeldLock.Awaited(host) >= 2).Becomes(true);
            // Each cancel was decided with balance for 24; the lock holder then takes the amount of the last four.
            await held.Execute($"UPDATE accounts SET balance = balance - {4 * State.Amount}; COMMIT");
        }

        var answers = await Task.WhenAll(cancels);
        answers.Count(answer => answer.Code == "SUCCESS").ShouldBe(20);
        answers.Count(answer => answer.Code == "MERCHANT_BALANCE_NOT_ENOUGH").ShouldBe(4);
        (await host.Balance(client)).ShouldBe(0);
        for (var i = 0; i < 24; i++)
        {
            var cancelled = (await Cancel(host, client, $"p{i}")).Code == "SUCCESS";
            cancelled.ShouldBe(answers[i].Code == "SUCCESS", $"the answer of p{i} matches its row");
        }
    }

    [Fact]
    public async Task Group_locks_its_payments_in_order_to_avoid_deadlocks()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        var first = await Decide(host, client, "first");
        var others = new List<Decided>();
        for (var i = 9; i >= 0; i--) // Submitted in descending order.
            others.Add(await Decide(host, client, $"p{i}"));

        List<Task<WriteResult>> commits;
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id IN ('first', 'p0') FOR UPDATE"
            )
        )
        {
            commits = [Commit(host, first, Token), .. others.Select(p => Commit(host, p, Token))];
            await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(2L);

            // The group waits for its first payment and must not hold any later one.
            await held.Execute(
                $"SELECT payment_id FROM payments WHERE client_id = '{client.Id}' AND payment_id LIKE 'p%' AND "
                    + "payment_id <> 'p0' FOR UPDATE NOWAIT"
            );
            await held.Release();
        }
        (await Task.WhenAll(commits)).ShouldAllBe(result => result == WriteResult.Written);
        (await host.Balance(client)).ShouldBe(0);
    }

    [Fact]
    public async Task Group_updates_accounts_in_order_of_currency()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        List<Decided> writes =
        [
            await Decide(host, client, "first"),
            await Decide(host, client, "p0", "USD"),
            await Decide(host, client, "p1", "EUR"),
        ];

        List<Task<WriteResult>> commits;
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id = 'first' FOR UPDATE; "
                    + $"SELECT FROM accounts WHERE client_id = '{client.Id}' AND currency = 'EUR' FOR UPDATE"
            )
        )
        {
            commits = writes.ConvertAll(write => Commit(host, write, Token));
            await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(2L);

            await held.Execute(
                $"SELECT FROM accounts WHERE client_id = '{client.Id}' AND currency = 'USD' FOR UPDATE NOWAIT"
            );
            await held.Release();
        }
        (await Task.WhenAll(commits)).ShouldAllBe(result => result == WriteResult.Written);
    }

    /// <summary>
    /// Goal: a cancel can be fenced while it waits behind another payment of its group, invisible to the database.
    /// </summary>
    [Fact]
    public async Task Refusal_fences_off_one_queued_cancel_without_its_group()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        var writes = new List<Decided>();
        foreach (var id in (string[])["first", "p0", "p1"])
            writes.Add(await Decide(host, client, id));
        var read = (await host.Find(client, "p1")).ShouldNotBeNull().Payment;

        List<Task<WriteResult>> commits;
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id IN ('first', 'p0') FOR UPDATE"
            )
        )
        {
            commits = writes.ConvertAll(write => Commit(host, write, Token));
            await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(2L);
            (await host.Payments.Fence(read, Token)).ShouldBe(WriteResult.Written);
            await held.Release();
        }
        (await Task.WhenAll(commits)).ShouldBe([WriteResult.Written, WriteResult.Written, WriteResult.LostRace]);
        (await host.Rows(client, "p1")).Status.ShouldBe(PaymentStatus.Success);
    }

    [Fact]
    public async Task Group_holds_at_most_32_writes_and_the_next_does_not_wait_for_its_locks()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        var first = await Decide(host, client, "first");
        var others = new List<Decided>();
        for (var i = 10; i < 50; i++)
            others.Add(await Decide(host, client, $"p{i}"));

        List<Task<WriteResult>> commits;
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id IN ('first', 'p10') FOR UPDATE"
            )
        )
        {
            var blocked = Commit(host, first, Token);
            commits = [.. others.Select(payment => Commit(host, payment, Token))];

            // However the writes are grouped, at most 32 wait for the lock.
            await TestHost
                .Until(() => Task.FromResult(commits.Count(commit => commit.IsCompleted) >= 40 - 32))
                .Becomes(true);
            commits.ShouldContain(commit => !commit.IsCompleted);
            await held.Release();
            (await blocked).ShouldBe(WriteResult.Written);
        }
        (await Task.WhenAll(commits)).ShouldAllBe(result => result == WriteResult.Written);
        (await host.Balance(client)).ShouldBe(0);
    }

    [Fact]
    public async Task Caller_that_gives_up_early_is_not_written_and_does_not_abort_its_group()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        var first = await Decide(host, client, "first");
        var (early, late, patient) = (
            await Decide(host, client, "p1"),
            await Decide(host, client, "p2"),
            await Decide(host, client, "p3")
        );

        Task<WriteResult> blocked,
            givenUpLate,
            waiting;
        await using (
            var held = await HeldLock.Take(
                host.ConnectionString,
                $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id IN ('first', 'p2') FOR UPDATE"
            )
        )
        {
            using var impatience = new CancellationTokenSource();
            blocked = Commit(host, first, Token);
            var givenUpEarly = Commit(host, early, new CancellationToken(canceled: true));
            givenUpLate = Commit(host, late, impatience.Token);
            waiting = Commit(host, patient, Token);
            await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(2L);

            await Should.ThrowAsync<OperationCanceledException>(
                givenUpEarly.WaitAsync(TimeSpan.FromSeconds(25), Token)
            );
            await impatience.CancelAsync();
            await held.Release();
        }
        (await Task.WhenAll(blocked, givenUpLate, waiting)).ShouldAllBe(result => result == WriteResult.Written);
        (await host.Rows(client, "p1")).Status.ShouldBe(PaymentStatus.Success);
    }

    [Fact]
    public async Task Unknown_outcome_of_a_group_fails_each_of_its_cancels()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var host = await TestHost.Start(
            database,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), Patient]
        );
        var client = await host.AddClient();
        var writes = new List<Decided>();
        for (var i = 0; i < 4; i++)
            writes.Add(await Decide(host, client, $"p{i}"));

        await using var held = await HeldLock.Take(
            database.ConnectionString,
            $"SELECT FROM payments WHERE client_id = '{client.Id}' AND payment_id IN ('p0', 'p1') FOR UPDATE"
        );
        var commits = writes.ConvertAll(write => Commit(host, write, Token));
        // The first write, and the group led by the second.
        await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(2L);
        network.CutAll();

        foreach (var commit in commits.Take(2))
            await Should.ThrowAsync<NpgsqlException>(commit.WaitAsync(TimeSpan.FromSeconds(25), Token));
        // On a slow machine these may have been in another group; each must still complete.
        foreach (var commit in commits.Skip(2))
        {
            if (await Record.ExceptionAsync(() => commit.WaitAsync(TimeSpan.FromSeconds(25), Token)) is { } failure)
                failure.ShouldBeOfType<NpgsqlException>();
        }
    }

    // Creates a decided, uncommitted cancel. All decided cancels can be committed at the same time.
    private static async Task<Decided> Decide(TestHost host, TestClient client, string id, string currency = "USD")
    {
        var payment = await host.AddPayment(client, State.Success, id, currency: currency);
        var decision = payment.Cancel(CancelWindow.Usual, State.Amount, host.Now);
        var change = decision.ShouldBeOfType<CancelDecision.Cancelled>().Change;
        return new(payment, change);
    }

    private static Task<WriteResult> Commit(TestHost host, Decided decided, CancellationToken cancellationToken) =>
        host.Payments.Cancel(decided.Payment, decided.Change, new Canceller(1, "trace-1"), [1], cancellationToken);

    private static Task<Answer> Cancel(TestHost host, TestClient client, string payment) =>
        host.Cancel(client, $$"""{"paymentId":"{{payment}}"}""");

    private sealed record Decided(Payment Payment, PaymentChange Change);
}
