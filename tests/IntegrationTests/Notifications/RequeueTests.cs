using System.Globalization;
using System.Text.Json;
using CancelService.Domain;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests.Notifications;

/// <summary>
/// Goal: a requeue order selects exactly the matching events and queues each once, even while relays are running.
/// </summary>
public sealed class RequeueTests(PostgresServer postgres)
{
    private const string Path = "/notifications/requeue";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // The outbox, with times up to two hours before and after 10:00. Only a relay releases a claim.
    private static readonly (string Client, string Payment, string State, string At)[] Outbox =
    [
        ("A", "a-parked-10", "parked", "10:00"),
        ("A", "a-parked-11", "parked", "11:00"),
        ("A", "a-delivered-10", "delivered", "10:00"),
        ("A", "a-due", "due", "12:05"),
        ("A", "a-claimed", "claimed", "12:00:30"),
        ("B", "b-parked-10", "parked", "10:00"),
        ("B", "b-delivered-11", "delivered", "11:00"),
    ];

    [Theory]
    // Request body => requeued payments | "more" when matching events remain.
    [MatrixData(
        "{} => a-parked-10 a-parked-11 b-parked-10",
        "{'state':'parked'} => a-parked-10 a-parked-11 b-parked-10",
        "{'clientId':'A'} => a-parked-10 a-parked-11",
        "{'clientId':'A','to':'2026-11-23T11:00:00Z'} => a-parked-10",
        "{'clientId':'A','to':'2026-11-23T11:00:00.000001Z'} => a-parked-10 a-parked-11",
        "{'from':'2026-11-23T19:00:00+08:00'} => a-parked-11",
        "{'from':'2026-11-23T10:00:00.000001Z'} => a-parked-11",
        "{'clientId':'A','limit':1} => a-parked-10 | more",
        "{'clientId':'B','limit':1} => b-parked-10",
        "{'limit':3} => a-parked-10 a-parked-11 b-parked-10",
        "{'clientId':'NOBODY'} => ",
        "{'state':'delivered','from':'2026-11-23T10:00Z','to':'2026-11-23T12:00Z'} => a-delivered-10 b-delivered-11",
        "{'state':'delivered','clientId':'B','from':'2026-11-23T10:00Z','to':'2026-11-23T12:00Z'} => b-delivered-11",
        "{'state':'delivered','from':'2026-11-23T10:00Z','to':'2026-11-23T12:00Z','limit':1} => a-delivered-10 | more"
    )]
    public async Task Requeue_selects_exactly_the_matching_events(string row, DatabaseProvider provider)
    {
        var (body, expected) = (row.Split(" =>")[0].Replace('\'', '"'), row.Split(" =>")[1].Split(" |")[0].Trim());
        var more = row.EndsWith("| more", StringComparison.Ordinal);
        string[] payments = expected.Length == 0 ? [] : expected.Split(' ');
        await using var host = await TestHost.Start(provider, postgres);
        await Fill(host);
        var before = await Rows(host);

        var reply = (await host.Call("POST", Path, body)).ShouldBe(200);

        reply["requeued"].ShouldBe(payments.Length.ToString(CultureInfo.InvariantCulture));
        reply["more"].ShouldBe(more.ToString());
        var after = await Rows(host);
        foreach (var (payment, was) in before)
        {
            var now = after[payment];
            now.EventId.ShouldBe(was.EventId);
            if (payments.Contains(payment, StringComparer.Ordinal))
                Standing(now).ShouldBe((host.Now, null, null, 0));
            else
                Standing(now).ShouldBe(Standing(was), payment);
        }

        // A repeated order finds no event left.
        if (!more)
        {
            (await host.Call("POST", Path, body)).ShouldBe(200)["requeued"].ShouldBe("0");
            (await Rows(host)).Values.Select(Standing).ShouldBe(after.Values.Select(Standing));
        }
    }

    [Theory]
    [InlineData("{'state':'due'}", "Due events need no requeue")]
    [InlineData("{'state':'PARKED'}", "state must be parked or delivered")]
    [InlineData("{'clientId':'no.id'}", "clientId must be 1 to 64 letters")]
    [InlineData("{'client':'A'}", "client is not a member that this request knows")]
    [InlineData("{'limit':0}", "limit must be 1 to 10000")]
    [InlineData("{'limit':10001}", "limit must be 1 to 10000")]
    [InlineData("{'from':'2026-11-23T10:00:00'}", "from must be a time with an offset")]
    [InlineData("{'to':'2026-11-23'}", "to must be a time with an offset")]
    [InlineData("{'from':'2026-11-23T10:00Z','to':'2026-11-23T10:00Z'}", "from must be before to")]
    // Without an end in the past, a repeated order would resend the events that were delivered meanwhile.
    [InlineData("{'state':'delivered'}", "from and to must be given")]
    [InlineData("{'state':'delivered','to':'2026-11-23T10:00Z'}", "from and to must be given")]
    [InlineData("{'state':'delivered','from':'2026-11-23T10:00Z'}", "from and to must be given")]
    [InlineData("{'state':'delivered','from':'2026-11-23T10:00Z','to':'2026-11-23T12:00:01Z'}", "to must have passed")]
    [InlineData("", "The request needs a body")]
    public async Task Ambiguous_order_is_rejected_and_its_member_named(string body, string detail)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        await Fill(host);
        var before = await Rows(host);

        var reply = await host.Call("POST", Path, body.Length == 0 ? null : body.Replace('\'', '"'));

        reply.ShouldBeProblem(400, "invalid-request");
        reply["detail"].ShouldNotBeNull().ShouldContain(detail);
        (await Rows(host)).Values.Select(Standing).ShouldBe(before.Values.Select(Standing));
    }

    [Fact]
    public async Task Log_names_the_operator_and_counts_the_requeued_events()
    {
        using var log = new LogLines();
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, log);
        await Fill(host);

        await host.Call("POST", Path, """{"clientId":"A","from":"2026-11-23T10:30:00+00:00"}""");

        var line = log.Of("Internal.NotificationsApi").ShouldHaveSingleItem().Text;
        line.ShouldBe(
            $"{Bearer.Subject} queued 1 Parked events of A again, from 2026-11-23T10:30:00.0000000+00:00 to (null)"
        );
    }

    // An order visits at most 100 clients, which bounds its cost; the answer's "more" reports the remaining ones.
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Repeated_orders_reach_every_client(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        for (var i = 0; i < 103; i++)
            await Cancelled(host, await host.AddClient(), $"p{i}");
        await Park(host);

        var first = (await host.Call("POST", Path, "{}")).ShouldBe(200);
        var second = (await host.Call("POST", Path, "{}")).ShouldBe(200);

        (first["requeued"], first["more"]).ShouldBe(("100", "True"));
        (second["requeued"], second["more"]).ShouldBe(("3", "False"));
        (await Rows(host)).Values.ShouldAllBe(row => row.DueAt == host.Now);
    }

    // Each of two instances handles four orders for the same events while both deliver queued events.
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Racing_orders_and_relays_requeue_each_event_once(DatabaseProvider provider)
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(200));
        using var database = await TestDatabase.Create(provider, postgres);
        await using (var off = await TestHost.Start(database))
        {
            foreach (var client in (TestClient[])[await off.AddClient(), await off.AddClient()])
            {
                for (var i = 0; i < 30; i++)
                    await Cancelled(off, client, $"p{i}");
            }
            await Park(off);
        }
        var clock = new FakeTimeProvider(TestHost.Noon);
        await using var one = await TestHost.Start(database, clock, settings: Relay(receiver));
        await using var two = await TestHost.Start(database, clock, settings: Relay(receiver));

        var orders = Enumerable
            .Range(0, 8)
            .Select(i => (i % 2 == 0 ? one : two).Call("POST", Path, """{"limit":20}"""))
            .ToList();
        await Ticking(clock, () => Task.FromResult(orders.TrueForAll(order => order.IsCompleted))).Becomes(true);
        var requeued = 0;
        foreach (var order in orders)
            requeued += int.Parse((await order).ShouldBe(200)["requeued"]!, CultureInfo.InvariantCulture);
        // Orders skip locked events, so a further order requeues the remainder.
        while ((await one.Call("POST", Path, "{}")).ShouldBe(200)["requeued"] is var rest and not "0")
            requeued += int.Parse(rest!, CultureInfo.InvariantCulture);

        requeued.ShouldBe(60);
        await Ticking(clock, async () => (await Events(one)).Count(row => row.DeliveredAt is not null)).Becomes(60);
        (await Events(one)).ShouldAllBe(row => row.Attempts == 1);
        receiver.Received.Count.ShouldBe(60);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Delivered_event_is_resent_unchanged_after_a_requeue(DatabaseProvider provider)
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(200));
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(database, settings: Relay(receiver));
        await Cancelled(host, await host.AddClient(), "p1");
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        host.Clock.Advance(TimeSpan.FromSeconds(1));

        var to = JsonSerializer.Serialize(host.Now);
        var order = $$"""{"state":"delivered","from":"2026-11-23T12:00Z","to":{{to}}}""";
        (await host.Call("POST", Path, order)).ShouldBe(200)["requeued"].ShouldBe("1");
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        (await host.Call("POST", Path, order)).ShouldBe(200)["requeued"].ShouldBe("0");

        receiver.Received.Count.ShouldBe(2);
        receiver.Received.Select(r => r.Text).Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
    }

    private static string[] Relay(Receiver receiver) =>
        [
            $"--Notifications:Url={receiver.Root}/core/hook",
            Receiver.SecretSetting,
            "--Notifications:PollInterval=00:00:00.010",
            "--Notifications:BatchSize=5",
        ];

    private static Polled<T> Ticking<T>(FakeTimeProvider clock, Func<Task<T>> ask) =>
        TestHost.Until(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(10));
            return ask();
        });

    private static async Task Cancelled(TestHost host, TestClient client, string id)
    {
        await host.AddPayment(client, State.Processing, id);
        (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
    }

    private static async Task Fill(TestHost host)
    {
        foreach (var events in Outbox.GroupBy(row => row.Client, StringComparer.Ordinal))
        {
            var client = await host.AddClient(id: events.Key);
            foreach (var (_, payment, state, at) in events)
            {
                await Cancelled(host, client, payment);
                var time = DateTimeOffset.Parse($"2026-11-23T{at}Z", CultureInfo.InvariantCulture);
                await Put(host, payment, state, time);
            }
        }
    }

    private static async Task Put(TestHost host, string payment, string state, DateTimeOffset time)
    {
        await using var db = host.Db();
        var row = db.Set<OutboxRow>().Where(o => o.PaymentId == new PaymentId(payment));
        await row.ExecuteUpdateAsync(set =>
            set.SetProperty(o => o.Attempts, state is "delivered" or "claimed" ? 1 : 20)
                .SetProperty(o => o.DueAt, state is "due" or "claimed" ? time : null)
                .SetProperty(o => o.DeliveredAt, state is "delivered" ? time : null)
                .SetProperty(o => o.ParkedAt, state is "parked" ? time : null)
        );
    }

    private static async Task Park(TestHost host)
    {
        await using var db = host.Db();
        var now = host.Now;
        await db.Set<OutboxRow>()
            .ExecuteUpdateAsync(set =>
                set.SetProperty(o => o.Attempts, 20)
                    .SetProperty(o => o.DueAt, (DateTimeOffset?)null)
                    .SetProperty(o => o.ParkedAt, (DateTimeOffset?)now)
            );
    }

    private static async Task<List<OutboxRow>> Events(TestHost host)
    {
        await using var db = host.Db();
        return await db.Set<OutboxRow>().AsNoTracking().ToListAsync();
    }

    private static async Task<SortedDictionary<string, OutboxRow>> Rows(TestHost host) =>
        new(
            (await Events(host)).ToDictionary(row => row.PaymentId.Value, StringComparer.Ordinal),
            StringComparer.Ordinal
        );

    private static async Task<int> Delivered(TestHost host) =>
        (await Events(host)).Count(row => row.DeliveredAt is not null);

    private static (DateTimeOffset?, DateTimeOffset?, DateTimeOffset?, int) Standing(OutboxRow row) =>
        (row.DueAt, row.DeliveredAt, row.ParkedAt, row.Attempts);
}
