using System.Globalization;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: a cancel that arrives before its payment keeps that payment from being registered.</summary>
public sealed class EarlyCancelTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Payment_cancelled_before_its_arrival_is_refused(DatabaseProvider provider)
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

        // The refusal applies to this paymentRequestId of this client only.
        (await host.Register(client, "p1", "other")).ShouldBe(201);
        (await host.Register(await host.AddClient())).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Early_cancel_by_paymentId_is_not_remembered(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Register(client)).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Early_cancel_by_both_identifiers_is_remembered(DatabaseProvider provider)
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
    public async Task Contract_can_switch_off_early_cancels(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient(new Contract { RememberUnknown = false });
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        (await host.Register(client)).ShouldBe(201);

        // The contract also applies to cancels remembered before it changed.
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
    public async Task Early_cancels_are_remembered_until_they_expire(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--UnknownPayments:RememberFor=01:00:00");
        var client = await host.AddClient();
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        (await CancelUnknown(host, client, "p2")).ShouldBe("ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromHours(1) - TimeSpan.FromMicroseconds(1));
        (await host.Register(client)).ShouldBeProblem(409, "cancelled-before-arrival");
        (await CancelUnknown(host, client, "p2")).ShouldBe("ORDER_NOT_EXIST"); // Renews the entry.
        host.Clock.Advance(TimeSpan.FromMicroseconds(1));
        (await host.Register(client)).ShouldBe(201);
        (await host.Register(client, "p2")).ShouldBeProblem(409, "cancelled-before-arrival");
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Oldest_early_cancel_is_evicted_when_the_limit_is_reached(DatabaseProvider provider)
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
