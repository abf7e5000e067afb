using System.Text.Json;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: every amount keeps its currency, and every balance stays within its bounds.</summary>
public sealed class MoneyTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Late_capture_is_recorded_and_reported_in_its_own_currency(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Authorized);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");

        (await Capture("e1", 500, "JPY")).ShouldBeProblem(409, "payment-cancelled");
        (await Capture("e1", 500, "JPY")).ShouldBeProblem(409, "payment-cancelled");
        (await Capture("e1", 500, "USD")).ShouldBeProblem(409, "event-differs");
        (await Capture("e1", 500, "EUR")).ShouldBeProblem(409, "event-differs");

        var late = (await host.Call("GET", $"/clients/{client.Id}/late-reports")).ShouldBe(200).Items.Single();
        late.GetProperty("amount").ToString().ShouldBe("""{"minorUnits":500,"currency":"JPY"}""");
        var line = (await host.Detail(client)).Json.GetProperty("history").EnumerateArray().Last();
        line.GetProperty("amount").ToString().ShouldBe("""{"minorUnits":500,"currency":"JPY"}""");
        await host.ShouldPassTheAudit();

        Task<Reply> Capture(string eventId, long minorUnits, string currency) =>
            host.Report(client, "capture", eventId, "p1", minorUnits, currency);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Balance_can_reach_its_limit_but_not_exceed_it(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        for (var i = 0; i < Money.MaxBalance / Money.MaxMinorUnits; i++)
            (await host.Post(client, Money.MaxMinorUnits)).ShouldBeTrue();
        (await host.Balance(client)).ShouldBe(Money.MaxBalance);
        await host.AddPayment(client, State.Processing);
        await host.AddPayment(client, State.Authorized, "p2");
        var dump = await host.Dump(client);

        (await Deposit("d1", 1)).ShouldBeProblem(409, "balance-limit");
        (await Deposit("d1", Money.MaxMinorUnits)).ShouldBeProblem(409, "balance-limit");
        (await host.Report(client, "succeed", "e1")).ShouldBeProblem(409, "balance-limit");
        (await host.Report(client, "capture", "e1", "p2", 1000)).ShouldBeProblem(409, "balance-limit");
        (await host.Post(client, 1)).ShouldBeFalse("the database enforces the limit too");
        (await host.Dump(client)).ShouldBe(dump);

        // No request stays stuck: once there is room, the same requests succeed.
        (await host.Post(client, -State.Amount)).ShouldBeTrue();
        (await host.Report(client, "succeed", "e1")).ShouldBe(200);
        (await host.Balance(client)).ShouldBe(Money.MaxBalance);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        (await Deposit("d1", 1)).ShouldBe(201);
        await host.ShouldPassTheAudit();

        Task<Reply> Deposit(string id, long minorUnits) =>
            host.Call(
                "POST",
                $"/clients/{client.Id}/accounts/USD/deposits",
                JsonSerializer.Serialize(new { id, minorUnits })
            );
    }
}
