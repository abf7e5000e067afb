using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: a cancel is refused for its window or the balance only when no earlier cancel of the payment can still commit.
/// </summary>
public sealed class EarlierCancelTests(PostgresServer postgres)
{
    // Generous, so that no statement times out on a slow machine.
    private const string Patient = "--Database:Timeout=00:00:30";

    private static readonly Contract FourSeconds = new() { Window = new CancelWindow.Lasting(TimeSpan.FromSeconds(4)) };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("window", false)]
    [InlineData("window", true)]
    [InlineData("balance", false)]
    [InlineData("balance", true)]
    public async Task Refusal_waits_for_an_earlier_cancel_and_yields_to_its_success(
        string reason,
        bool atAnotherInstance
    )
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var second = await TestHost.Start(
            database,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), Patient]
        );
        await using var other = atAnotherInstance ? await TestHost.Start(database, settings: [Patient]) : null;
        var first = other ?? second;
        var client = await first.AddClient(FourSeconds);
        await first.AddPayment(client, State.Success);
        await second.Cancel(client, """{"paymentId":"none"}"""); // Caches the client.

        Task<Answer> earlier,
            later;
        await using (var held = new NpgsqlConnection(database.ConnectionString))
        {
            await held.OpenAsync(Token);
            // A cancel updates its payment first, then waits for this lock to write its event.
            await Execute(held, "BEGIN; LOCK TABLE outbox IN EXCLUSIVE MODE");
            earlier = first.Cancel(client);
            await TestHost.Until(() => HeldLock.Awaited(database.ConnectionString, "%outbox%")).Becomes(1L);

            if (reason == "window")
                second.Clock.Advance(TimeSpan.FromSeconds(5));
            else
                (await first.Post(client, -State.Amount)).ShouldBeTrue();
            var trips = network.RoundTrips;
            later = second.Cancel(client);
            // The later cancel reads the payment before its state changes, so its decision rests on the old state.
            await TestHost.Until(() => Task.FromResult(network.RoundTrips > trips)).Becomes(true);
            (await first.Find(client)).ShouldNotBeNull().Payment.Status.ShouldBe(PaymentStatus.Success);
            if (reason == "balance")
                (await first.Post(client, State.Amount)).ShouldBeTrue();
            await Execute(held, "ROLLBACK");
        }

        (await earlier).Code.ShouldBe("SUCCESS");
        (await later).Text.ShouldBe((await earlier).Text);
        (await first.Balance(client)).ShouldBe(0);
    }

    [Theory]
    [InlineData("window", "CANCEL_WINDOW_EXCEED")]
    [InlineData("balance", "MERCHANT_BALANCE_NOT_ENOUGH")]
    public async Task Refusal_fences_off_a_delayed_cancel_of_another_instance(string reason, string code)
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var network = new TcpForwarder(database.ConnectionString);
        await using var first = await TestHost.Start(
            database,
            settings: [TcpForwarder.Setting(database.ConnectionString, network.Port), Patient]
        );
        await using var second = await TestHost.Start(database, settings: [Patient]);
        var client = await first.AddClient(FourSeconds);
        await first.AddPayment(client, State.Success);

        network.Arm("INSERT INTO outbox", Fault.Delay);
        var earlier = first.Cancel(client);
        await network.Delayed.WaitAsync(TimeSpan.FromSeconds(60), Token);
        if (reason == "window")
            second.Clock.Advance(TimeSpan.FromSeconds(5));
        else
            (await second.Post(client, -State.Amount)).ShouldBeTrue();
        (await second.Cancel(client)).Code.ShouldBe(code);
        // From here on only the fence of the refusal stops the earlier cancel.
        if (reason == "window")
            first.Clock.Advance(TimeSpan.FromSeconds(5));
        else
            (await second.Post(client, State.Amount)).ShouldBeTrue();
        network.LetGo();

        // The window stays closed; with the balance restored, the cancel is decided anew after the refusal.
        (await earlier).Code.ShouldBe(reason == "window" ? code : "SUCCESS");
        (await second.Rows(client)).Cancellations.ShouldBe(reason == "window" ? 0 : 1);
        (await second.Find(client)).ShouldNotBeNull().Payment.Fence.ShouldBe(reason == "window" ? 2 : 1);
        await second.ShouldPassTheAudit();
    }

    [Fact]
    public async Task Refusal_that_waits_too_long_is_answered_U()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var host = await TestHost.Start(database, settings: ["--Database:Timeout=00:00:01"]);
        var client = await host.AddClient(FourSeconds);
        await host.AddPayment(client, State.Success);
        host.Clock.Advance(TimeSpan.FromSeconds(5));

        await using (var held = new NpgsqlConnection(database.ConnectionString))
        {
            await held.OpenAsync(Token);
            await Execute(held, $"BEGIN; SELECT FROM payments WHERE client_id = '{client.Id}' FOR UPDATE");
            (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        }
        await TestHost.Until(async () => (await host.Cancel(client)).Code).Becomes("CANCEL_WINDOW_EXCEED");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Closed_window_is_refused_without_a_trace_when_no_cancel_is_in_flight(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        var client = await host.AddClient(FourSeconds);
        await host.AddPayment(client, State.Success);
        host.Clock.Advance(TimeSpan.FromSeconds(5));
        var before = await host.Dump(client);

        (await host.Cancel(client)).Code.ShouldBe("CANCEL_WINDOW_EXCEED");
        (await host.Dump(client)).ShouldBe(before);
    }

    private static async Task Execute(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }
}
