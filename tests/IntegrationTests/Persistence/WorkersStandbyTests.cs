using CancelService.Infrastructure.Sql;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// The barrier on the nodes of Citus. The workers are told to wait for a standby that is not there; the databases of others, that run on
/// the same workers, see that they have one, so this runs alone.
/// </summary>
[Collection(nameof(Alone))]
public sealed class WorkersStandbyTests(PostgresServer postgres)
{
    [OnCitus]
    public async Task What_a_workers_standby_lacks_is_not_told_until_it_has_it()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        var name = new NpgsqlConnectionStringBuilder(database.ConnectionString).Database!;
        var nodes = await CitusNodes.Of(database.ConnectionString);
        foreach (var node in nodes)
            await CitusNodes.Execute(node, "postgres", $"ALTER DATABASE {name} SET synchronous_commit = on");
        await using var host = await TestHost.Start(
            database,
            settings: ["--Database:Timeout=00:00:03", "--Clients:CacheTime=00:01:00"]
        );
        var client = await host.AddClient();
        await host.Post(client, 2 * State.Amount);
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");
        await TestHost.Until(() => Code("p1")).Becomes("SUCCESS");
        var told = await host.Cancel(client);

        try
        {
            // Of the other databases' commits none waits.
            await OnWorkers("ALTER SYSTEM SET synchronous_commit = local");
            await OnWorkers("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
            await OnWorkers("SELECT pg_reload_conf()");
            host.Clock.Advance(TimeSpan.FromSeconds(1.1)); // That there is no standby is known for a second.
            (await CodeWithoutWaits("p2")).ShouldBe(
                "UNKNOWN_EXCEPTION",
                "its own commit's wait was cancelled on the worker"
            );
            await TestHost.Until(Cancellations).Becomes(2);
            (await CodeWithoutWaits("p2")).ShouldBe("UNKNOWN_EXCEPTION", "the worker shows it, and no standby has it");
            (await CodeWithoutWaits("p1")).ShouldBe("UNKNOWN_EXCEPTION", "whether a standby has it is not known");
        }
        finally
        {
            await OnWorkers("ALTER SYSTEM RESET synchronous_standby_names");
            await OnWorkers("ALTER SYSTEM RESET synchronous_commit");
            await OnWorkers("SELECT pg_reload_conf()");
            // What an instance prunes on all shards may wait, too, and would keep the database.
            await CitusNodes.Execute(nodes[0], name, "SELECT recover_prepared_transactions()");
        }
        await TestHost.Until(() => Code("p2")).Becomes("SUCCESS");
        (await host.Cancel(client)).Body.ShouldBe(told.Body);

        // Citus passes on no warning of a worker whose wait was cancelled.
        async Task<string> CodeWithoutWaits(string payment)
        {
            var code = Code(payment);
            while (!code.IsCompleted)
            {
                await OnWorkers("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
            return await code;
        }

        // As the coordinator shows them to everybody, without the barrier.
        async Task<long> Cancellations()
        {
            await using var connection = new NpgsqlConnection(database.ConnectionString);
            await connection.OpenAsync();
            await using var command = new NpgsqlCommand(
                "SELECT count(*) FROM payment_history WHERE action = 'CANCEL'",
                connection
            );
            return (long)(await command.ExecuteScalarAsync())!;
        }

        async Task<string> Code(string payment) =>
            (await host.Cancel(client, $$"""{"paymentId":"{{payment}}"}""")).Code;

        async Task OnWorkers(string sql)
        {
            foreach (var worker in nodes.Skip(1))
                await CitusNodes.Execute(worker, "postgres", sql);
        }
    }
}
