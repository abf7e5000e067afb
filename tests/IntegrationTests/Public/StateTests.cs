using System.Globalization;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: a cancel in each state of a payment has the specified answer and database effects.</summary>
public sealed class StateTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const long Deposit = 250;

    private static readonly Dictionary<string, (State State, CancelEffect Effect)> Cancellable = new(
        StringComparer.Ordinal
    )
    {
        ["processing"] = (State.Processing, CancelEffect.Closed),
        ["processing authorisation"] = (State.ProcessingAuthorization, CancelEffect.Closed),
        ["authorised"] = (State.Authorized, CancelEffect.HoldReleased),
        ["paid"] = (State.Success, CancelEffect.Refunded),
        ["failed"] = (State.Failed, CancelEffect.Closed),
        ["hold lapsed"] = (State.HoldLapsed, CancelEffect.Closed),
    };

    private static readonly Dictionary<string, State> MoneyMoved = new(StringComparer.Ordinal)
    {
        ["partly captured"] = State.PartlyCaptured,
        ["captured"] = State.Captured,
        ["partly refunded"] = State.PartlyRefunded,
        ["refunded"] = State.Refunded,
        ["captured, then refunded"] = State.CapturedThenRefunded,
    };

    public static MatrixTheoryData<string, DatabaseProvider> CancellableStates => Both.Times(Cancellable.Keys);

    public static MatrixTheoryData<string, DatabaseProvider> OtherStates => Both.Times(MoneyMoved.Keys);

    [Theory]
    [MemberData(nameof(CancellableStates))]
    public async Task Cancel_has_exactly_the_effect_in_the_state_table(string state, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var payment = await host.AddPayment(client, Cancellable[state].State);
        await host.Post(client, Deposit);
        var before = await host.Rows(client);

        var answer = await host.Cancel(client, """{"paymentId":"p1","extendInfo":"{\"memo\":\"Grüße\"}"}""");

        answer.Text.ShouldBe(
            """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"""
                + $"\"paymentId\":\"p1\",\"paymentRequestId\":\"req-p1\",\"cancelTime\":\"{CancelTime(host)}\","
                + """
                "extendInfo":"{\"memo\":\"Grüße\"}"}
                """
        );
        var effect = Cancellable[state].Effect;
        var refunded = effect is CancelEffect.Refunded;
        var after = await host.Rows(client);
        after.Status.ShouldBe(PaymentStatus.Cancelled);
        after.Effect.ShouldBe(effect);
        after.Cancellations.ShouldBe(1);
        after.Outbox.ShouldBe(1);
        after.History.ShouldBe([.. before.History, PaymentAction.Cancel]);
        after.Transfers.ShouldBe(
            refunded ? [.. before.Transfers, Transfer.Refunded(payment.Amount)] : before.Transfers,
            ignoreOrder: true
        );
        (await host.Balance(client)).ShouldBe(Deposit);
    }

    [Theory]
    [MemberData(nameof(OtherStates))]
    public async Task Captured_or_refunded_payment_is_refused_and_untouched(string state, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, MoneyMoved[state]);
        await host.Post(client, 10 * State.Amount);
        await RefusedUntouched(host, client, "PROCESS_FAIL");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Late_cancel_is_refused_and_changes_nothing(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient(
            new Contract { Window = new CancelWindow.Lasting(TimeSpan.FromHours(24)), Burst = 10_000 }
        );
        await host.AddPayment(client, State.Success, initiatedAt: host.Now.AddHours(-24));
        await host.AddPayment(client, State.Success, "p2", host.Now.AddHours(-24).AddTicks(10));
        await RefusedUntouched(host, client, "CANCEL_WINDOW_EXCEED");
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Code.ShouldBe("SUCCESS");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Default_window_closes_a_quarter_past_midnight_in_its_time_zone(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        // Noon UTC is 20:00 at UTC+8 on the 23rd: a payment initiated on the 22nd in that zone is late.
        await host.AddPayment(client, State.Success, "late", new(2026, 11, 22, 15, 59, 59, TimeSpan.Zero));
        await host.AddPayment(client, State.Success, "intime", new(2026, 11, 22, 16, 0, 0, TimeSpan.Zero));
        (await host.Cancel(client, """{"paymentId":"late"}""")).Code.ShouldBe("CANCEL_WINDOW_EXCEED");
        (await host.Cancel(client, """{"paymentId":"intime"}""")).Code.ShouldBe("SUCCESS");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Cancel_is_refused_until_the_balance_suffices(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await host.Post(client, 10 * State.Amount, "EUR"); // Balance in another currency must not count.
        (await host.Post(client, -1)).ShouldBeTrue();
        await RefusedUntouched(host, client, "MERCHANT_BALANCE_NOT_ENOUGH");

        await host.Post(client, 1);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        (await host.Balance(client)).ShouldBe(0);
        (await host.Balance(client, "EUR")).ShouldBe(10 * State.Amount);
        (await host.Rows(client)).Effect.ShouldBe(CancelEffect.Refunded);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Payment_of_another_client_is_not_found(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var forgetful = new Contract { RememberUnknown = false };
        var (client, stranger) = (await host.AddClient(), await host.AddClient(contract: forgetful));
        await host.AddPayment(client, State.Success);
        await host.AddPayment(stranger, State.Success, "p2");
        var before = await host.Dump(client);

        (await host.Cancel(stranger)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Cancel(stranger, """{"paymentRequestId":"req-p1"}""")).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Dump(client)).ShouldBe(before);

        // Another client may use the same identifiers for its own payment.
        await host.AddPayment(stranger, State.Processing);
        (await host.Cancel(stranger)).Code.ShouldBe("SUCCESS");
        (await host.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task PaymentId_decides_when_both_ids_are_sent(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");

        var answer = await host.Cancel(client, """{"paymentId":"p1","paymentRequestId":"req-p2"}""");
        answer.Member("paymentId").ShouldBe("p1");
        answer.Member("paymentRequestId").ShouldBe("req-p1");
        (await host.Rows(client, "p2")).Status.ShouldBe(PaymentStatus.Success);
        var none = await host.Cancel(client, """{"paymentId":"p3","paymentRequestId":"req-p2"}""");
        none.Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Rows(client, "p2")).Status.ShouldBe(PaymentStatus.Success);

        var byRequest = await host.Cancel(client, """{"paymentId":null,"paymentRequestId":"req-p2"}""");
        byRequest.Member("paymentId").ShouldBe("p2");
        byRequest.Member("extendInfo").ShouldBeNull();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Repeated_cancel_answers_byte_for_byte_despite_later_changes(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        byte[] first;
        string dump;
        TestClient client;
        await using (var host = await TestHost.Start(database))
        {
            client = await host.AddClient();
            await host.AddPayment(client, State.Success);
            var answer = await host.Cancel(client, """{"paymentRequestId":"req-p1","extendInfo":"first"}""");
            answer.Code.ShouldBe("SUCCESS");
            first = answer.Body;
            dump = await host.Dump(client);

            await Same(host, """{"paymentId":"p1"}"""); // Repeats at once, with the other identifier.
            host.Clock.Advance(TimeSpan.FromHours(1));
            await Same(host, """{"paymentRequestId":"req-p1","extendInfo":"second"}""");
            host.Clock.Advance(TimeSpan.FromDays(400)); // The window has closed long ago.
            await Same(host, """{"paymentId":"p1","paymentRequestId":"req-p1"}""");
            await host.Post(client, 1); // The balance changes too.
            dump = await host.Dump(client);
            await Same(host, """{"paymentId":"p1"}""");
        }
        await using (var host = await TestHost.Start(database, settings: ["--Wallet:TimeZone=-05:00"]))
        {
            await Same(host, """{"paymentId":"p1"}""");
            await host.AddPayment(client, State.Success, "p2");
            var other = await host.Cancel(client, """{"paymentId":"p2"}""");
            other.Member("cancelTime").ShouldBe("2026-11-23T07:00:00-05:00");
        }

        async Task Same(TestHost host, string json)
        {
            (await host.Cancel(client, json)).Body.ShouldBe(first);
            (await host.Dump(client)).ShouldBe(dump);
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Money_reported_after_the_cancel_is_refused_and_recorded(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var first = await host.Cancel(client);
        var payment = (await host.Find(client)).ShouldNotBeNull().Payment;
        var late = payment.Succeed(0, host.Now).ShouldBeOfType<ReportDecision.Late>();
        late.Remedy.ShouldBe(Remedy.RefundPayer);
        (await host.Commit(payment, late.Change)).ShouldBeTrue();

        var rows = await host.Rows(client);
        rows.Status.ShouldBe(PaymentStatus.Cancelled);
        rows.History.ShouldBe([PaymentAction.Register, PaymentAction.Cancel, PaymentAction.Succeed]);
        rows.Transfers.ShouldBeEmpty();
        (await host.Cancel(client)).Body.ShouldBe(first.Body);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Client_changed_in_the_database_is_reread_within_the_cache_time(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--Clients:CacheTime=00:00:10");
        var client = await host.AddClient();
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
        await host.Execute($"UPDATE clients SET enabled = FALSE WHERE client_id = '{client.Id.Value}'");
        // A cached client is refreshed up to a quarter of the cache time early.
        host.Clock.Advance(TimeSpan.FromSeconds(7));
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromSeconds(3));
        (await host.Cancel(client)).Code.ShouldBe("CLIENT_INVALID");
    }

    [Fact]
    public async Task Refreshes_of_simultaneously_cached_clients_are_jittered()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, "--Clients:CacheTime=00:00:10");
        var clients = new List<TestClient>();
        for (var i = 0; i < 40; i++)
        {
            clients.Add(await host.AddClient());
            (await host.Cancel(clients[i])).Code.ShouldBe("ORDER_NOT_EXIST");
        }
        await host.Execute("UPDATE clients SET enabled = FALSE");

        host.Clock.Advance(TimeSpan.FromSeconds(8.75)); // Half of the interval over which the refreshes are spread.
        var readAgain = 0;
        foreach (var client in clients)
            readAgain += (await host.Cancel(client)).Code == "CLIENT_INVALID" ? 1 : 0;
        readAgain.ShouldBeInRange(1, clients.Count - 1);
    }

    private static string CancelTime(TestHost host) =>
        host.Now.ToOffset(TimeSpan.FromHours(8)).ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);

    private static async Task RefusedUntouched(TestHost host, TestClient client, string code)
    {
        var before = await host.Dump(client);
        var answer = await host.Cancel(client);
        answer.Code.ShouldBe(code);
        answer.Member("paymentId").ShouldBeNull();
        answer.Member("cancelTime").ShouldBeNull();
        (await host.Dump(client)).ShouldBe(before);
    }
}
