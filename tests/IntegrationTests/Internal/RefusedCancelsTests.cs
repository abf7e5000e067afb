using System.Globalization;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: a payment's page lists its refused cancels. Recording them delays no answer and takes bounded room.
/// </summary>
public sealed class RefusedCancelsTests(PostgresServer postgres)
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Payment_lists_its_refused_cancels(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        var client = await host.AddClient();
        var other = await host.AddClient();
        await host.AddPayment(client, State.Captured);
        await host.AddPayment(client, State.Success, "p2");
        var first = host.Now;

        (await Cancel(host, client, """{"paymentId":"p1"}""")).ShouldBe("PROCESS_FAIL");
        host.Clock.Advance(Second);
        (await Cancel(host, client, """{"paymentId":"p1"}""")).ShouldBe("PROCESS_FAIL");
        (await Cancel(host, client, """{"paymentRequestId":"req-p1"}""")).ShouldBe("PROCESS_FAIL");
        (await Cancel(host, client, """{"paymentId":"p1","paymentRequestId":"req-p2"}""")).ShouldBe("PROCESS_FAIL");
        (await Cancel(host, client, """{"paymentId":"p2"}""")).ShouldBe("SUCCESS");
        // Not listed with p1: cancels of an unknown payment, by another client, and with a forged signature.
        (await Cancel(host, client, """{"paymentId":"p9"}""")).ShouldBe("ORDER_NOT_EXIST");
        (await Cancel(host, other, """{"paymentId":"p1"}""")).ShouldBe("ORDER_NOT_EXIST");
        (await host.Send(Call(host, client, """{"paymentId":"p1"}""") with { Key = KeyPair.Other })).Code.ShouldBe(
            "INVALID_SIGNATURE"
        );

        await Kept(host, 5);
        var refused = (await host.Detail(client)).Json.GetProperty("refusedCancels").EnumerateArray().ToList();
        refused
            .Select(r =>
                $"{r.GetProperty("paymentId")}/{r.GetProperty("paymentRequestId")} {r.GetProperty("times")} "
                + $"{r.GetProperty("code")}"
            )
            .Order(StringComparer.Ordinal)
            .ShouldBe(["/req-p1 1 PROCESS_FAIL", "p1/ 2 PROCESS_FAIL", "p1/req-p2 1 PROCESS_FAIL"]);
        var twice = refused.Single(r => r.GetProperty("times").GetInt32() == 2);
        twice.GetProperty("firstAt").GetDateTimeOffset().ShouldBe(first);
        twice.GetProperty("lastAt").GetDateTimeOffset().ShouldBe(first + Second);
        twice.GetProperty("keyVersion").GetInt32().ShouldBe(1);
        twice.GetProperty("traceId").GetString().ShouldNotBeNullOrEmpty();
        (await host.Detail(client, "p2")).Json.GetProperty("refusedCancels").GetArrayLength().ShouldBe(1);
        await host.ShouldPassTheAudit();
    }

    [Fact]
    public async Task Refusal_is_answered_at_once_and_recorded_after_the_lock_is_released()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Captured);
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE refused_cancels IN ACCESS EXCLUSIVE MODE"
        );

        for (var i = 0; i < 3; i++)
        {
            (await Cancel(host, client, """{"paymentId":"p1"}""")).ShouldBe("PROCESS_FAIL");
            host.Clock.Advance(Second);
        }

        await held.Release();
        await Kept(host, 1);
        await TestHost
            .Until(async () =>
            {
                host.Clock.Advance(Second);
                await using var db = host.Db();
                return await db.Set<RefusedCancelRow>().SumAsync(r => r.Times);
            })
            .Becomes(3);
    }

    [Fact]
    public async Task Cancel_with_an_unknown_outcome_is_recorded_with_its_payment()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        // Uses the system clock, because the timeout depends on it.
        await using var host = await TestHost.Start(
            database,
            systemClock: true,
            settings: "--Database:Timeout=00:00:01"
        );
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE payments IN ACCESS EXCLUSIVE MODE"
        );

        (await Cancel(host, client, """{"paymentId":"p1"}""")).ShouldBe("UNKNOWN_EXCEPTION");

        await held.Release();
        await TestHost
            .Until(async () => (await host.Call("GET", $"/clients/{client.Id}/payments/p1"))["refusedCancels"] ?? "")
            .Matches(text => text.Contains("UNKNOWN_EXCEPTION", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Only_the_newest_refusals_of_each_client_are_kept(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(
            provider,
            postgres,
            "--RefusedCancels:MaxPerClient=3",
            "--RefusedCancels:RememberFor=1.00:00:00"
        );
        var (busy, quiet) = (await host.AddClient(), await host.AddClient());
        (await Cancel(host, quiet, """{"paymentId":"q"}""")).ShouldBe("ORDER_NOT_EXIST");
        for (var i = 0; i < 6; i++)
        {
            var id = i.ToString(CultureInfo.InvariantCulture);
            (await Cancel(host, busy, $$"""{"paymentId":"{{id}}"}""")).ShouldBe("ORDER_NOT_EXIST");
            host.Clock.Advance(Second);
        }

        await TestHost.Until(() => Ids(host)).Becomes("3 4 5 q");

        host.Clock.Advance(TimeSpan.FromDays(2));
        await TestHost.Until(() => Ids(host)).Becomes("");
    }

    private static CancelCall Call(TestHost host, TestClient client, string json) =>
        new()
        {
            Client = client,
            At = host.Now,
            Json = json,
        };

    private static async Task<string> Cancel(TestHost host, TestClient client, string json) =>
        (await host.Send(Call(host, client, json))).Code;

    private static async Task<string> Ids(TestHost host)
    {
        host.Clock.Advance(Second);
        await using var db = host.Db();
        var ids = await db.Set<RefusedCancelRow>().Select(r => r.PaymentId).ToListAsync();
        return string.Join(' ', ids.Order(StringComparer.Ordinal));
    }

    private static Task Kept(TestHost host, int rows) =>
        TestHost
            .Until(async () =>
            {
                host.Clock.Advance(Second);
                await using var db = host.Db();
                return await db.Set<RefusedCancelRow>().CountAsync();
            })
            .Becomes(rows);
}
