using CancelService.Infrastructure.Sql;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: on Citus, the barrier also waits for the standbys of the workers. The test configures a missing standby for
/// whole workers, which other databases would notice, so it runs alone.
/// </summary>
[Collection(nameof(Alone))]
public sealed class WorkersStandbyTests(PostgresServer postgres)
{
    [OnCitus]
    public async Task Cancel_is_not_confirmed_until_the_workers_standby_has_it()
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
            // Commits of the other databases must not wait.
            await OnWorkers("ALTER SYSTEM SET synchronous_commit = local");
            await OnWorkers("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
            await OnWorkers("SELECT pg_reload_conf()");
            host.Clock.Advance(TimeSpan.FromSeconds(1.1)); // The absence of a standby is cached for one second.
            (await CodeWithoutWaits("p2")).ShouldBe("UNKNOWN_EXCEPTION", "the worker cancelled the wait of its commit");
            await TestHost.Until(Cancellations).Becomes(2);
            (await CodeWithoutWaits("p2")).ShouldBe(
                "UNKNOWN_EXCEPTION",
                "the worker shows the cancellation, but no standby has it"
            );
            (await CodeWithoutWaits("p1")).ShouldBe(
                "UNKNOWN_EXCEPTION",
                "the replication state of the earlier cancel is unknown"
            );
        }
        finally
        {
            await OnWorkers("ALTER SYSTEM RESET synchronous_standby_names");
            await OnWorkers("ALTER SYSTEM RESET synchronous_commit");
            await OnWorkers("SELECT pg_reload_conf()");
            // Prepared transactions of a background prune over all shards would block dropping the database.
            await CitusNodes.Execute(nodes[0], name, "SELECT recover_prepared_transactions()");
        }
        await TestHost.Until(() => Code("p2")).Becomes("SUCCESS");
        (await host.Cancel(client)).Body.ShouldBe(told.Body);

        // Citus does not forward a worker's warning that the wait was cancelled.
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

        // Counts the cancellations that the coordinator shows without a barrier.
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
