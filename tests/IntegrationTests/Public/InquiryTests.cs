using System.Text.Json;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: an inquiry tells how a payment stands, in every state, and changes nothing.</summary>
public sealed class InquiryTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private const string Path = "/v2/payments/inquiryPayment";

    // State, then whether it is cancelled, then paymentStatus, paymentState, captured, refunded, cancelEffect, has paymentTime.
    private static readonly Dictionary<string, (State State, bool Cancel, string Expected)> Cases = new(
        StringComparer.Ordinal
    )
    {
        ["processing"] = (State.Processing, false, "PROCESSING PROCESSING - - - no open"),
        ["authorized"] = (State.Authorized, false, "SUCCESS AUTHORIZED - - - paid open"),
        ["success"] = (State.Success, false, "SUCCESS SUCCESS - - - paid open"),
        ["captured in part"] = (State.PartlyCaptured, false, "SUCCESS CAPTURED 1 - - paid closed"),
        ["captured"] = (State.Captured, false, "SUCCESS CAPTURED 1000 - - paid closed"),
        ["refunded in part"] = (State.PartlyRefunded, false, "SUCCESS REFUNDED - 1 - paid closed"),
        ["captured, then refunded"] = (State.CapturedThenRefunded, false, "SUCCESS REFUNDED 1000 1000 - paid closed"),
        ["failed"] = (State.Failed, false, "FAIL FAILED - - - no open"),
        ["hold lapsed"] = (State.HoldLapsed, false, "FAIL FAILED - - - paid open"),
        ["cancelled while processing"] = (State.Processing, true, "CANCELLED CANCELLED - - CLOSED no closed"),
        ["cancelled hold"] = (State.Authorized, true, "CANCELLED CANCELLED - - RELEASED paid closed"),
        ["cancelled payment"] = (State.Success, true, "CANCELLED CANCELLED - - REFUNDED paid closed"),
        ["cancelled failure"] = (State.Failed, true, "CANCELLED CANCELLED - - CLOSED no closed"),
    };

    public static MatrixTheoryData<string, DatabaseProvider> States => Both.Times(Cases.Keys);

    [Theory]
    [MemberData(nameof(States))]
    public async Task Inquiry_tells_the_state_and_changes_nothing(string name, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var (state, cancel, expected) = Cases[name];
        await host.AddPayment(client, state);
        if (cancel)
            (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        var before = await host.Dump(client);

        var byId = await Inquire(host, client, """{"paymentId":"p1","extendInfo":{"ignored":true}}""");
        var byRequest = await Inquire(host, client, """{"paymentRequestId":"req-p1"}""");

        byId.Code.ShouldBe("SUCCESS");
        byRequest.Body.ShouldBe(byId.Body);
        using var json = JsonDocument.Parse(byId.Body);
        var answer = json.RootElement;
        Text(answer, "paymentId").ShouldBe("p1");
        Text(answer, "paymentRequestId").ShouldBe("req-p1");
        answer.GetProperty("paymentAmount").ToString().ShouldBe("""{"currency":"USD","value":"1000"}""");
        Text(answer, "paymentCreateTime").ShouldEndWith("+08:00");
        (Text(answer, "cancelTime") != "-").ShouldBe(cancel);
        string.Join(
                ' ',
                Text(answer, "paymentStatus"),
                Text(answer, "paymentState"),
                Amount(answer, "capturedAmount"),
                Amount(answer, "refundedAmount"),
                Text(answer, "cancelEffect"),
                Text(answer, "paymentTime") == "-" ? "no" : "paid",
                Text(answer, "cancellableUntil") == "-" ? "closed" : "open"
            )
            .ShouldBe(expected);
        answer.EnumerateObject().ShouldAllBe(member => member.Value.ValueKind != JsonValueKind.Null);
        (await host.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MatrixData("""{"paymentId":"none"}""", """{"paymentRequestId":"none"}""")]
    public async Task Inquiry_about_an_unknown_payment_leaves_no_note(string body, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();

        (await Inquire(host, client, body)).Code.ShouldBe("ORDER_NOT_EXIST");

        (await host.Register(client, "none", requestId: "none")).ShouldBe(201);
        (await Inquire(host, client, body)).Member("paymentStatus").ShouldBe("PROCESSING");
    }

    [Fact]
    public async Task Inquiry_does_not_see_the_payment_of_another_client()
    {
        var host = await hosts.On(DatabaseProvider.Postgres);
        var (client, neighbour) = (await host.AddClient(), await host.AddClient());
        await host.AddPayment(neighbour, State.Success);

        (await Inquire(host, client)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await Inquire(host, neighbour)).Code.ShouldBe("SUCCESS");
    }

    [Theory]
    [InlineData("{}", "paymentId or paymentRequestId is required.")]
    [InlineData("""{"paymentId":""}""", "paymentId must be 1 to 64 letters")]
    [InlineData("""{"paymentId":1}""", "paymentId must be a string")]
    [InlineData("[]", "The body is an array")]
    public async Task Inquiry_refuses_a_malformed_body(string body, string message)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();

        var answer = await Inquire(host, client, body);

        answer.Code.ShouldBe("PARAM_ILLEGAL");
        answer.Message.ShouldContain(message);
    }

    [Fact]
    public async Task Contract_may_exclude_inquiries_and_allow_cancels()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient(
            new Contract
            {
                RequestsPerSecond = 10_000,
                Burst = 10_000,
                MayInquire = false,
            }
        );
        await host.AddPayment(client, State.Success);

        (await Inquire(host, client)).Code.ShouldBe("ACCESS_DENIED");
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task Polling_does_not_use_up_the_rate_of_cancels()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient(
            new Contract
            {
                RequestsPerSecond = 10_000,
                Burst = 10_000,
                InquiriesPerSecond = 1,
                InquiryBurst = 1,
            }
        );
        await host.AddPayment(client, State.Success);

        var limited = false;
        for (var i = 0; i < 1000 && !limited; i++)
            limited = (await Inquire(host, client)).Code == "REQUEST_TRAFFIC_EXCEED_LIMIT";

        limited.ShouldBeTrue();
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
    }

    [Fact]
    public async Task Inquiry_answers_after_the_cancel_window_has_closed()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success, initiatedAt: host.Now.AddDays(-3));

        var answer = await Inquire(host, client);

        answer.Member("paymentState").ShouldBe(nameof(PaymentStatus.Success).ToUpperInvariant());
        DateTimeOffset.Parse(answer.Member("cancellableUntil")!, null).ShouldBeLessThan(host.Now);
    }

    private static Task<Answer> Inquire(TestHost host, TestClient client, string body = """{"paymentId":"p1"}""") =>
        host.Send(
            new CancelCall
            {
                Client = client,
                At = host.Now,
                Target = Path,
                Json = body,
            }
        );

    private static string Text(JsonElement answer, string member) =>
        answer.TryGetProperty(member, out var value) ? value.GetString()! : "-";

    private static string Amount(JsonElement answer, string member) =>
        answer.TryGetProperty(member, out var value) ? value.GetProperty("value").GetString()! : "-";
}
