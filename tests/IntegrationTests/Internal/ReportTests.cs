using System.Globalization;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: the core's reports move a payment as the state table defines, once each, and late reports get a remedy.
/// </summary>
public sealed class ReportTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private static readonly string[] Actions = ["authorize", "succeed", "capture", "refund", "fail"];

    // Resulting state per event, with one minor unit where the event has an amount; "-" means refused.
    private static readonly Dictionary<string, (State State, string Cells)> Transitions = new(StringComparer.Ordinal)
    {
        ["processing"] = (State.Processing, "- SUCCESS - - FAILED"),
        ["processing authorisation"] = (State.ProcessingAuthorization, "AUTHORIZED - - - FAILED"),
        ["authorised"] = (State.Authorized, "- - CAPTURED - FAILED"),
        ["paid"] = (State.Success, "- - - REFUNDED -"),
        ["partly captured"] = (State.PartlyCaptured, "- - CAPTURED REFUNDED -"),
        ["captured"] = (State.Captured, "- - - REFUNDED -"),
        ["partly refunded"] = (State.PartlyRefunded, "- - - REFUNDED -"),
        ["refunded"] = (State.Refunded, "- - - - -"),
        ["captured, then refunded"] = (State.CapturedThenRefunded, "- - - - -"),
        ["failed"] = (State.Failed, "- - - - -"),
        ["hold lapsed"] = (State.HoldLapsed, "- - - - -"),
    };

    // Remedy per event, by the state in which the payment was cancelled. A failure of a payment without money is good
    // news: it is recorded and needs no remedy.
    private static readonly Dictionary<string, (State State, string Cells)> Remedy = new(StringComparer.Ordinal)
    {
        ["processing"] = (State.Processing, "release-hold refund-payer refund-payer - recorded"),
        ["authorised"] = (State.Authorized, "release-hold refund-payer refund-payer - recorded"),
        ["paid"] = (State.Success, "release-hold none refund-payer - -"),
        ["failed"] = (State.Failed, "release-hold refund-payer refund-payer - recorded"),
    };

    public static MatrixTheoryData<string, DatabaseProvider> TransitionRows => Both.Times(Transitions.Keys);

    public static MatrixTheoryData<string, DatabaseProvider> RemedyRows => Both.Times(Remedy.Keys);

    [Theory]
    [MemberData(nameof(TransitionRows))]
    public async Task Report_moves_a_payment_as_the_state_table_defines(string row, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var (state, cells) = Transitions[row];
        var expected = cells.Split(' ');
        for (var i = 0; i < Actions.Length; i++)
        {
            var (action, id) = (Actions[i], $"p{i}");
            await host.AddPayment(client, state, id);
            await host.Post(client, State.Amount); // Enough balance, so only the state can refuse a refund.
            var (before, dump) = (await host.Detail(client, id), await host.Dump(client));

            var reply = await host.Report(client, action, "e1", id, action is "capture" or "refund" ? 1 : null);

            if (expected[i] == "-")
            {
                reply.ShouldBeProblem(409, "transition-refused");
                reply["paymentStatus"].ShouldBe(before["payment.status"]);
                (await host.Dump(client)).ShouldBe(dump);
                continue;
            }
            reply.ShouldBe(200)["status"].ShouldBe(expected[i], $"{row}, {action}");
            var after = await host.Detail(client, id);
            after["payment"].ShouldBe(reply.Text);
            var last = after.Json.GetProperty("history").EnumerateArray().Last();
            last.GetProperty("action").GetString().ShouldBe(action.ToUpperInvariant());
            last.GetProperty("eventId").GetString().ShouldBe("e1");
            last.GetProperty("actor").GetString().ShouldBe(Bearer.Subject);
            last.GetProperty("to").GetString().ShouldBe(expected[i]);
            await host.Rows(client, id);
        }
    }

    [Theory]
    [MemberData(nameof(RemedyRows))]
    public async Task Late_report_is_refused_recorded_and_answered_with_a_remedy(string row, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var (state, cells) = Remedy[row];
        var expected = cells.Split(' ');
        for (var i = 0; i < Actions.Length; i++)
        {
            var (action, id) = (Actions[i], $"p{i}");
            await host.AddPayment(client, state, id);
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
            var (before, dump) = (await host.Rows(client, id), await host.Dump(client));
            var balance = await host.Balance(client);

            Task<Reply> Late() => host.Report(client, action, "late", id, action is "capture" or "refund" ? 1 : null);
            var reply = await Late();

            if (expected[i] == "-")
            {
                reply.ShouldBeProblem(409, "transition-refused");
                reply["paymentStatus"].ShouldBe("CANCELLED");
                (await host.Dump(client)).ShouldBe(dump);
                continue;
            }
            if (expected[i] == "recorded")
                reply.ShouldBe(200)["status"].ShouldBe("CANCELLED");
            else
            {
                reply.ShouldBeProblem(409, "payment-cancelled");
                reply["remedy"].ShouldBe(expected[i], $"{row}, {action}");
                reply["paymentStatus"].ShouldBe("CANCELLED");
                DateTimeOffset.Parse(reply["cancelTime"]!, CultureInfo.InvariantCulture).ShouldBe(host.Now);
            }
            var recorded = await host.Dump(client);
            WithoutTrace(await Late()).ShouldBe(WithoutTrace(reply));
            (await host.Dump(client)).ShouldBe(recorded);
            var after = await host.Rows(client, id);
            after.History.Count.ShouldBe(before.History.Count + 1);
            (after.Status, after.Effect, after.Outbox).ShouldBe((before.Status, before.Effect, before.Outbox));
            after.Transfers.ShouldBe(before.Transfers);
            (await host.Balance(client)).ShouldBe(balance);
            // The merchant's answer stays the same.
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
        }
        var refused = (await host.Call("GET", $"/clients/{client.Id}/late-reports")).ShouldBe(200).Items;
        refused.Count.ShouldBe(3);
        refused
            .Select(e => e.GetProperty("action").GetString())
            .ShouldBe(["AUTHORIZE", "SUCCEED", "CAPTURE"], ignoreOrder: true);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Captures_cannot_exceed_the_amount(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Authorized);
        (await host.Report(client, "capture", "e1", minorUnits: 400)).ShouldBe(200)["captured"].ShouldBe("400");
        (await host.Report(client, "capture", "e2", minorUnits: 601)).ShouldBeProblem(409, "transition-refused");
        (await host.Report(client, "capture", "e3", minorUnits: 1, currency: "EUR")).ShouldBeProblem(
            409,
            "transition-refused"
        );
        (await host.Report(client, "capture", "e4", minorUnits: 600)).ShouldBe(200)["captured"].ShouldBe("1000");
        (await host.Report(client, "capture", "e5", minorUnits: 1)).ShouldBeProblem(409, "transition-refused");
        (await host.Balance(client)).ShouldBe(1000);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Refunds_cannot_exceed_the_payment_or_the_balance(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Post(client, -500)).ShouldBeTrue();
        var dump = await host.Dump(client);
        (await host.Report(client, "refund", "e1", minorUnits: 501)).ShouldBeProblem(409, "balance-not-enough");
        (await host.Report(client, "refund", "e2", minorUnits: 1001)).ShouldBeProblem(409, "transition-refused");
        (await host.Report(client, "refund", "e3", minorUnits: 1, currency: "EUR")).ShouldBeProblem(
            409,
            "transition-refused"
        );
        (await host.Dump(client)).ShouldBe(dump);
        (await host.Report(client, "refund", "e4", minorUnits: 400)).ShouldBe(200)["refunded"].ShouldBe("400");
        (await host.Balance(client)).ShouldBe(100);

        // A refusal is not final: the same eventId is decided again.
        await host.Post(client, 1000);
        (await host.Report(client, "refund", "e1", minorUnits: 501)).ShouldBe(200)["refunded"].ShouldBe("901");
        (await host.Report(client, "refund", "e5", minorUnits: 100)).ShouldBeProblem(409, "transition-refused");
        (await host.Balance(client)).ShouldBe(599);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Repeated_report_takes_effect_once(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.Register(client, kind: "AUTHORIZATION");
        (await host.Report(client, "authorize", "e1")).ShouldBe(200);
        (await host.Report(client, "capture", "e2", minorUnits: 400)).ShouldBe(200);
        var dump = await host.Dump(client);

        (await host.Report(client, "capture", "e2", minorUnits: 400)).ShouldBe(200)["captured"].ShouldBe("400");
        (await host.Report(client, "authorize", "e1")).ShouldBe(200)["status"].ShouldBe("CAPTURED");
        (await host.Report(client, "capture", "e2", minorUnits: 401)).ShouldBeProblem(409, "event-differs");
        (await host.Report(client, "capture", "e2", minorUnits: 400, currency: "EUR")).ShouldBeProblem(
            409,
            "event-differs"
        );
        (await host.Report(client, "refund", "e2", minorUnits: 400)).ShouldBeProblem(409, "event-differs");
        (await host.Report(client, "fail", "e1")).ShouldBeProblem(409, "event-differs");
        (await host.Dump(client)).ShouldBe(dump);

        (await host.Report(client, "refund", "e3", minorUnits: 400)).ShouldBe(200);
        host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        dump = await host.Dump(client);
        (await host.Report(client, "capture", "e2", minorUnits: 400)).ShouldBe(200)["status"].ShouldBe("REFUNDED");
        (await host.Report(client, "refund", "e3", minorUnits: 400)).ShouldBe(200);
        (await host.Dump(client)).ShouldBe(dump);

        // An eventId identifies an event within its payment only.
        await host.Register(client, "p2");
        (await host.Report(client, "succeed", "e1", "p2")).ShouldBe(200);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Repeat_of_a_timely_report_succeeds_after_the_cancel(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.Register(client);
        (await host.Report(client, "succeed", "e1")).ShouldBe(200);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        var dump = await host.Dump(client);
        (await host.Report(client, "succeed", "e1")).ShouldBe(200)["status"].ShouldBe("CANCELLED");
        (await host.Dump(client)).ShouldBe(dump);
    }

    // A problem may contain the trace ID of its request.
    private static string WithoutTrace(Reply reply) =>
        string.Join('\n', reply.Json.EnumerateObject().Where(m => m.Name != "traceId").Select(m => m.ToString()));
}
