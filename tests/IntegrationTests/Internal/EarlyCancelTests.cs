using System.Globalization;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>A cancel that comes before its payment.</summary>
public sealed class EarlyCancelTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_payment_that_was_cancelled_before_it_arrived_is_refused(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var cancelled = host.Now;
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        for (var i = 0; i < 2; i++)
        {
            var reply = await host.Register(client);
            reply.ShouldBeProblem(409, "cancelled-before-arrival");
            DateTimeOffset.Parse(reply["cancelTime"]!, CultureInfo.InvariantCulture).ShouldBe(cancelled);
        }
        (await host.Find(client)).ShouldBeNull();
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");

        // Only that paymentRequestId, and only of that client.
        (await host.Register(client, "p1", "other")).ShouldBe(201);
        (await host.Register(await host.AddClient())).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_cancel_by_paymentId_is_not_remembered(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Register(client)).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_cancel_by_both_identifiers_is_remembered(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Cancel(client, """{"paymentId":"p1","paymentRequestId":"req-p1"}""")).Code.ShouldBe(
            "ORDER_NOT_EXIST"
        );
        (await host.Register(client)).ShouldBeProblem(409, "cancelled-before-arrival");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_contract_can_do_without_remembering(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient(new Contract { RememberUnknown = false });
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        (await host.Register(client)).ShouldBe(201);

        // Also for what was remembered before it was so agreed.
        var changed = await host.AddClient();
        (await CancelUnknown(host, changed)).ShouldBe("ORDER_NOT_EXIST");
        await host.Call(
            "PUT",
            $"/clients/{changed.Id}",
            """{"name":"n","enabled":true,"contract":{"rememberUnknown":false}}"""
        );
        (await host.Register(changed)).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Cancels_before_arrival_are_remembered_for_a_time(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--UnknownPayments:RememberFor=01:00:00");
        var client = await host.AddClient();
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        (await CancelUnknown(host, client, "p2")).ShouldBe("ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromHours(1) - TimeSpan.FromMicroseconds(1));
        (await host.Register(client)).ShouldBeProblem(409, "cancelled-before-arrival");
        (await CancelUnknown(host, client, "p2")).ShouldBe("ORDER_NOT_EXIST"); // Renewed.
        host.Clock.Advance(TimeSpan.FromMicroseconds(1));
        (await host.Register(client)).ShouldBe(201);
        (await host.Register(client, "p2")).ShouldBeProblem(409, "cancelled-before-arrival");
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task The_oldest_cancel_before_arrival_makes_room(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--UnknownPayments:MaxPerClient=2");
        var (client, other) = (await host.AddClient(), await host.AddClient());
        (await CancelUnknown(host, other, "p1")).ShouldBe("ORDER_NOT_EXIST");
        foreach (var id in (string[])["p1", "p2", "p3"])
        {
            host.Clock.Advance(TimeSpan.FromMicroseconds(1));
            (await CancelUnknown(host, client, id)).ShouldBe("ORDER_NOT_EXIST");
        }
        (await host.Register(client, "p1")).ShouldBe(201);
        (await host.Register(client, "p2")).ShouldBeProblem(409, "cancelled-before-arrival");
        (await host.Register(client, "p3")).ShouldBeProblem(409, "cancelled-before-arrival");
        (await host.Register(other, "p1")).ShouldBeProblem(409, "cancelled-before-arrival");
    }

    private static async Task<string> CancelUnknown(TestHost host, TestClient client, string id = "p1") =>
        (await host.Cancel(client, $$"""{"paymentRequestId":"req-{{id}}"}""")).Code;
}
