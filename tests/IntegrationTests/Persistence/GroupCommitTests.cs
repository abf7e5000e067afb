using CancelService.Infrastructure.Persistence;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Cancels of one merchant share transactions, but neither a refusal nor somebody else's lock.</summary>
public sealed class GroupCommitTests(PostgresServer postgres)
{
    // Nothing times out here, however slow the machine is.
    private const string Patient = "--Database:Timeout=00:00:30";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_locked_payment_that_is_cancelled_again_and_again_does_not_hold_up_its_merchants_others()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success, "locked");
        for (var i = 0; i < 30; i++)
            await host.AddPayment(client, State.Success, $"p{i}");

        var locked = new List<Task<Answer>>();
        await using (var held = new NpgsqlConnection(host.ConnectionString))
        {
            await held.OpenAsync(Token);
            await Execute(held, "BEGIN; SELECT FROM payments WHERE payment_id = 'locked' FOR UPDATE");
            // The first one alone meets the lock, and the next is committed past it.
            locked.Add(Cancel(host, client, "locked"));
            await TestHost.Until(() => Waiting(host)).Becomes(1L);
            (await Cancel(host, client, "p0")).Code.ShouldBe("SUCCESS");

            // The lock is held until all the others have their answer.
            for (var i = 1; i < 30; i += 10)
            {
                locked.Add(Cancel(host, client, "locked"));
                var others = Enumerable.Range(i, Math.Min(10, 30 - i)).Select(n => Cancel(host, client, $"p{n}"));
                foreach (var answer in await Task.WhenAll(others).WaitAsync(TimeSpan.FromSeconds(25), Token))
                    answer.Code.ShouldBe("SUCCESS");
            }
            locked.ShouldAllBe(cancel => !cancel.IsCompleted);
            await Execute(held, "ROLLBACK");
        }

        var answers = await Task.WhenAll(locked);
        answers.ShouldAllBe(answer => answer.Code == "SUCCESS");
        answers.Select(answer => answer.Text).Distinct(StringComparer.Ordinal).ShouldHaveSingleItem();
        (await host.Balance(client)).ShouldBe(0);
    }

    [Fact]
    public async Task What_a_constraint_refuses_to_a_group_is_committed_for_none_of_it()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        for (var i = 0; i < 24; i++)
            await host.AddPayment(client, State.Success, $"p{i}");

        Task<Answer>[] cancels;
        await using (var held = new NpgsqlConnection(host.ConnectionString))
        {
            await held.OpenAsync(Token);
            await Execute(held, "BEGIN; SELECT FROM accounts FOR UPDATE");
            cancels = [.. Enumerable.Range(0, 24).Select(i => Cancel(host, client, $"p{i}"))];
            // The first cancel, and a group that came while it waited.
            await TestHost.Until(async () => await Waiting(host) >= 2).Becomes(true);
            // All have been decided with money for 24. Somebody else takes what the last four need.
            await Execute(held, $"UPDATE accounts SET balance = balance - {4 * State.Amount}; COMMIT");
        }

        var answers = await Task.WhenAll(cancels);
        answers.Count(answer => answer.Code == "SUCCESS").ShouldBe(20);
        answers.Count(answer => answer.Code == "MERCHANT_BALANCE_NOT_ENOUGH").ShouldBe(4);
        (await host.Balance(client)).ShouldBe(0);
        for (var i = 0; i < 24; i++)
        {
            var cancelled = (await Cancel(host, client, $"p{i}")).Code == "SUCCESS";
            cancelled.ShouldBe(answers[i].Code == "SUCCESS", $"p{i} is answered as it was written");
        }
    }

    private static Task<Answer> Cancel(TestHost host, TestClient client, string payment) =>
        host.Cancel(client, $$"""{"paymentId":"{{payment}}"}""");

    // On a connection of its own: inside a transaction PostgreSQL shows the activity as it was at the first look.
    private static async Task<long> Waiting(TestHost host)
    {
        await using var connection = new NpgsqlConnection(host.ConnectionString);
        await connection.OpenAsync(Token);
        await using var waiting = new NpgsqlCommand(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
            connection
        );
        return (long)(await waiting.ExecuteScalarAsync(Token))!;
    }

    private static async Task Execute(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }
}
