using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// The goal: a cancel is refused for its time or the balance only when no earlier cancel of the payment can still take effect.
/// </summary>
public sealed class EarlierCancelTests(PostgresServer postgres)
{
    // Nothing times out here, however slow the machine is.
    private const string Patient = "--Database:Timeout=00:00:30";

    private static readonly Contract FourSeconds = new() { Window = new CancelWindow.Lasting(TimeSpan.FromSeconds(4)) };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("window", false)]
    [InlineData("window", true)]
    [InlineData("balance", false)]
    [InlineData("balance", true)]
    public async Task A_refusal_waits_for_an_earlier_cancel_and_gives_way_when_that_takes_effect(
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
        await second.Cancel(client, """{"paymentId":"none"}"""); // The client is looked up once.

        Task<Answer> earlier,
            later;
        await using (var held = new NpgsqlConnection(database.ConnectionString))
        {
            await held.OpenAsync(Token);
            // A cancel changes its payment first, and then waits for this lock to write its event.
            await Execute(held, "BEGIN; LOCK TABLE outbox IN EXCLUSIVE MODE");
            earlier = first.Cancel(client);
            await TestHost.Until(() => HeldLock.Awaited(database.ConnectionString, "%outbox%")).Becomes(1L);

            if (reason == "window")
                second.Clock.Advance(TimeSpan.FromSeconds(5));
            else
                (await first.Post(client, -State.Amount)).ShouldBeTrue();
            var trips = network.RoundTrips;
            later = second.Cancel(client);
            // It reads the payment, before this test reads it too: its decision does not see what follows.
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
    public async Task A_cancel_that_is_on_its_way_to_the_database_is_void_once_another_instance_has_refused(
        string reason,
        string code
    )
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
        // Now nothing but the refusal stands in the way of the earlier cancel.
        if (reason == "window")
            first.Clock.Advance(TimeSpan.FromSeconds(5));
        else
            (await second.Post(client, State.Amount)).ShouldBeTrue();
        network.LetGo();

        // The window stays closed; with the balance it is a new cancel, decided after the refusal.
        (await earlier).Code.ShouldBe(reason == "window" ? code : "SUCCESS");
        (await second.Rows(client)).Cancellations.ShouldBe(reason == "window" ? 0 : 1);
        (await second.Find(client)).ShouldNotBeNull().Payment.Fence.ShouldBe(reason == "window" ? 2 : 1);
        await second.ShouldPassTheAudit();
    }

    [Fact]
    public async Task A_refusal_that_would_have_to_wait_for_too_long_is_unknown()
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
    public async Task With_nothing_under_way_a_closed_window_is_told_and_changes_nothing(DatabaseProvider provider)
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
