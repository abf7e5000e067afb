using System.Text;
using System.Text.Json;
using AutoMapper;
using CancelService.Api.Operations.Cancel;
using CancelService.Application;
using CancelService.Application.Cancelling;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Protocol;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.UnitTests;

public sealed class CancelPaymentTests
{
    private readonly InMemoryPayments _payments = new() { Balance = Given.FullAmount };
    private readonly FakeTimeProvider _time = new(Given.Noon.AddHours(1));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Processing", "Cancelled")]
    [InlineData("Authorized", "Cancelled")]
    [InlineData("Success", "Cancelled")]
    [InlineData("Failed", "Cancelled")]
    [InlineData("Captured", "MoneyMoved")]
    [InlineData("Refunded", "MoneyMoved")]
    public async Task The_handler_returns_the_decision_of_the_aggregate(string state, string expected)
    {
        _payments.Add(Given.PaymentThatIs(state));

        var result = await Cancel("pay-1");

        result.Outcome().ShouldBe(expected);
        _payments.Writes.Count.ShouldBe(expected is "Cancelled" ? 1 : 0);
    }

    [Fact]
    public async Task A_cancel_commits_its_change_and_its_answer_together()
    {
        _payments.Add(Given.PaymentThatIs("Success"));

        var result = await Cancel("pay-1", extendInfo: "memo");

        var write = _payments.Writes.Single();
        (write.Actor, write.Canceller).ShouldBe(("merchant", Given.Canceller));
        (write.Change.Action, write.Change.Version).ShouldBe((PaymentAction.Cancel, 3));
        write.Answer.ShouldBeSameAs(AnswerOf(result));
        Text(result).ShouldBe("pay-1 req-pay-1 2026-03-10T13:00:00.0000000+00:00 memo");
        _payments.Balance.ShouldBe(0);
    }

    [Fact]
    public async Task A_contract_without_cancelling_denies_access_whether_or_not_the_payment_exists()
    {
        _payments.Add(Given.PaymentThatIs("CancelledClosed"), Encoding.UTF8.GetBytes("stored"));
        var client = Given.Client(new Contract { MayCancel = false });

        (await Cancel("pay-1", client: client)).Outcome().ShouldBe("AccessDenied");
        (await Cancel("unknown", client: client)).Outcome().ShouldBe("AccessDenied");
        _payments.Reads.ShouldBe(0);
    }

    [Theory]
    [InlineData("pay-1", null, "Cancelled")]
    [InlineData(null, "req-pay-1", "Cancelled")]
    [InlineData("pay-1", "req-pay-1", "Cancelled")]
    [InlineData("pay-1", "unknown", "Cancelled")]
    [InlineData("unknown", "req-pay-1", "NotFound")]
    [InlineData("unknown", null, "NotFound")]
    [InlineData(null, "unknown", "NotFound")]
    [InlineData("req-pay-1", null, "NotFound")]
    [InlineData(null, "pay-1", "NotFound")]
    public async Task The_paymentId_takes_precedence_over_the_paymentRequestId(
        string? id,
        string? requestId,
        string outcome
    )
    {
        _payments.Add(Given.PaymentThatIs("Processing"));

        (await Cancel(id, requestId)).Outcome().ShouldBe(outcome);
    }

    [Fact]
    public async Task The_answer_holds_both_stored_identifiers_whichever_the_request_had()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));

        Text(await Cancel("pay-1", "something-else")).ShouldStartWith("pay-1 req-pay-1 ");
    }

    [Fact]
    public async Task A_payment_of_another_client_is_not_found()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        var other = new Client
        {
            Id = new ClientId("MERCHANT_2"),
            Name = "Another",
            Enabled = true,
            Contract = new Contract { Window = Given.OneDay },
        };

        (await Cancel("pay-1", client: other)).Outcome().ShouldBe("NotFound");
    }

    [Fact]
    public async Task The_window_comes_from_the_contract()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        var oneHour = new Contract { Window = new CancelWindow.Lasting(TimeSpan.FromHours(1)) };

        (await Cancel("pay-1", client: Given.Client(oneHour))).Outcome().ShouldBe("WindowClosed");
        (await Cancel("pay-1")).Outcome().ShouldBe("Cancelled");
    }

    [Theory]
    [InlineData(30, Given.FullAmount)]
    [InlineData(0, 0)]
    public async Task A_refusal_for_time_or_balance_gives_way_to_an_earlier_cancel_that_takes_effect(
        int hours,
        long balance
    )
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        var month = new Contract { Window = new CancelWindow.Lasting(TimeSpan.FromDays(30)) };
        byte[]? first = null;
        _payments.BeforeRefusal = () =>
        {
            _payments.BeforeRefusal = null;
            _payments.Balance = Given.FullAmount;
            first = AnswerOf(Cancel("pay-1", client: Given.Client(month)).GetAwaiter().GetResult());
        };
        _payments.Balance = balance;
        _time.Advance(TimeSpan.FromHours(hours));

        AnswerOf(await Cancel("pay-1")).ShouldBe(first.ShouldNotBeNull());
        _payments.Writes.Count.ShouldBe(1);
    }

    [Theory]
    [InlineData(30, Given.FullAmount, "WindowClosed")]
    [InlineData(0, 0, "BalanceNotEnough")]
    public async Task A_cancel_that_was_decided_before_a_refusal_for_time_or_balance_does_not_take_effect_after_it(
        int hours,
        long balance,
        string refusal
    )
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        var month = new Contract { Window = new CancelWindow.Lasting(TimeSpan.FromDays(30)) };
        var commits = 0;
        // A second cancel is refused after the first is decided and before it commits.
        _payments.BeforeCommit = async () =>
        {
            if (++commits > 1)
                return;
            _time.Advance(TimeSpan.FromHours(hours));
            _payments.Balance = balance;
            (await Cancel("pay-1")).Outcome().ShouldBe(refusal);
            _payments.Writes.ShouldBeEmpty();
            _payments.Balance = Given.FullAmount;
        };

        // The fence makes the first cancel lose its race, so it decides again on fresh data.
        (await Cancel("pay-1", client: Given.Client(month)))
            .Outcome()
            .ShouldBe("Cancelled");
        (commits, _payments.Fences).ShouldBe((2, 1));
        _payments.Writes.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_repeated_cancel_always_answers_with_the_stored_bytes()
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        var first = await Cancel("pay-1", extendInfo: "first");
        _time.Advance(TimeSpan.FromDays(1000));

        var second = await Cancel(null, "req-pay-1", extendInfo: "second");

        second.Outcome().ShouldBe("Cancelled");
        AnswerOf(second).ShouldBe(AnswerOf(first));
        _payments.Writes.Count.ShouldBe(1);
        _payments.LastTelling.ShouldBe(Telling.Cancellation);
    }

    [Fact]
    public async Task A_cancel_that_loses_to_another_cancel_answers_with_the_winners_bytes()
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        byte[]? winner = null;
        _payments.BeforeCommit = async () =>
        {
            _payments.BeforeCommit = null;
            winner = AnswerOf(await Cancel("pay-1", extendInfo: "winner"));
        };

        var result = await Cancel("pay-1", extendInfo: "loser");

        result.Outcome().ShouldBe("Cancelled");
        winner.ShouldNotBeNull();
        AnswerOf(result).ShouldBe(winner);
        _payments.Writes.Count.ShouldBe(1);
        _payments.Balance.ShouldBe(0);
    }

    [Theory]
    [InlineData("Authorized", "capture", "MoneyMoved", CancelEffect.Closed)]
    [InlineData("Success", "refund", "MoneyMoved", CancelEffect.Closed)]
    [InlineData("Processing", "success", "Cancelled", CancelEffect.Refunded)]
    [InlineData("Processing", "failure", "Cancelled", CancelEffect.Closed)]
    [InlineData("Authorized", "failure", "Cancelled", CancelEffect.Closed)]
    public async Task A_cancel_that_loses_to_a_report_is_decided_again_on_the_new_state(
        string state,
        string reported,
        string outcome,
        CancelEffect effect
    )
    {
        _payments.Add(Given.PaymentThatIs(state));
        _payments.BeforeCommit = () =>
        {
            _payments.BeforeCommit = null;
            _payments.Change(
                "pay-1",
                payment =>
                    reported switch
                    {
                        "capture" => payment.Capture(Given.Usd.Of(1), 0, Given.Noon),
                        "refund" => payment.Refund(Given.Usd.Of(1), Given.FullAmount, Given.Noon),
                        "success" => payment.Succeed(0, Given.Noon),
                        _ => payment.Fail(Given.Noon),
                    }
            );
            return Task.CompletedTask;
        };

        var result = await Cancel("pay-1");

        result.Outcome().ShouldBe(outcome);
        _payments.Reads.ShouldBe(2);
        if (outcome is "Cancelled")
            _payments.Writes.Single().Payment.Cancellation!.Effect.ShouldBe(effect);
        else
            _payments.Writes.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_cancel_is_refused_when_the_balance_is_spent_before_the_commit()
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        _payments.BeforeCommit = () =>
        {
            _payments.Balance = Given.FullAmount - 1;
            return Task.CompletedTask;
        };

        var result = await Cancel("pay-1");

        result.Outcome().ShouldBe("BalanceNotEnough");
        _payments.Writes.ShouldBeEmpty();
        _payments.Status("pay-1").ShouldBe(PaymentStatus.Success);
        _payments.Balance.ShouldBe(Given.FullAmount - 1);
    }

    [Theory]
    [InlineData(Races.MaxAttempts - 1, "Cancelled", Races.MaxAttempts)]
    [InlineData(Races.MaxAttempts, "Unknown", Races.MaxAttempts)]
    public async Task A_cancel_ends_as_unknown_when_it_loses_every_attempt(int losses, string outcome, int reads)
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        var lost = 0;
        // A concurrent payout empties the balance before each commit, and a deposit restores it before the next read.
        _payments.BeforeFind = () => _payments.Balance = Given.FullAmount;
        _payments.BeforeCommit = () =>
        {
            if (lost++ < losses)
                _payments.Balance = 0;
            return Task.CompletedTask;
        };

        var result = await Cancel("pay-1");

        result.Outcome().ShouldBe(outcome);
        _payments.Reads.ShouldBe(reads);
        _payments.Writes.Count.ShouldBe(outcome is "Cancelled" ? 1 : 0);
    }

    [Fact]
    public async Task A_failed_commit_propagates_its_exception()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        _payments.BeforeCommit = () => throw new TimeoutException("The connection to the database broke.");

        await Should.ThrowAsync<TimeoutException>(() => Cancel("pay-1"));

        _payments.BeforeCommit = null;
        (await Cancel("pay-1")).Outcome().ShouldBe("Cancelled");
    }

    private const string Sixty4 = "1234567890123456789012345678901234567890123456789012345678901234";

    [Theory]
    [InlineData("p", null, 0, null)]
    [InlineData(null, "r", 0, null)]
    [InlineData("p", "r", 4096, null)]
    [InlineData(Sixty4, Sixty4, 0, null)]
    [InlineData(null, null, 0, "paymentId or paymentRequestId is required.")]
    [InlineData("", null, 0, "paymentId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData("", "r", 0, "paymentId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData("p/", "r", 0, "paymentId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData(Sixty4 + "5", "r", 0, "paymentId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData(null, "", 0, "paymentRequestId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData("p", "", 0, "paymentRequestId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData("p", "r r", 0, "paymentRequestId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData("p", Sixty4 + "5", 0, "paymentRequestId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    [InlineData("p", "r", 4097, "extendInfo must be at most 4096 characters.")]
    [InlineData("", "", 4097, "paymentId must be 1 to 64 letters, digits, '_', '-' or '.'.")]
    public void A_malformed_command_is_refused_with_the_name_of_its_field(
        string? id,
        string? requestId,
        int size,
        string? why
    )
    {
        var extendInfo = size == 0 ? null : new string('x', size);
        var command = new CancelPaymentCommand(Given.Client(), id, requestId, extendInfo, Given.Canceller);

        var result = new CancelPaymentValidator().Validate(command);

        result.Errors.Select(error => error.ErrorMessage).ShouldBe(why is null ? [] : [why]);
    }

    [Fact]
    public async Task A_malformed_command_does_not_reach_its_handler()
    {
        await using var services = Services();
        var command = new CancelPaymentCommand(Given.Client(), "no good", null, null, Given.Canceller);

        var result = await services.GetRequiredService<IMediator>().Send(command, Token);

        result.Outcome().ShouldBe("Malformed");
        result.ShouldBeOfType<CancelPaymentResult.Malformed>().Message.ShouldStartWith("paymentId ");
        _payments.Reads.ShouldBe(0);
    }

    [Fact]
    public async Task A_well_formed_command_reaches_its_handler()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        await using var services = Services();
        var command = new CancelPaymentCommand(Given.Client(), "pay-1", null, null, Given.Canceller);

        var result = await services.GetRequiredService<IMediator>().Send(command, Token);

        result.Outcome().ShouldBe("Cancelled");
    }

    [Fact]
    public void The_AutoMapper_configuration_is_valid() => Mapping("+08:00").AssertConfigurationIsValid();

    private const string Result =
        """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"paymentId":"p","paymentRequestId":"req-p","cancelTime":""";

    [Theory]
    [InlineData("+08:00", "2021-06-08T04:12:12Z", null, "\"2021-06-08T12:12:12+08:00\"}")]
    [InlineData("+08:00", "2021-06-08T04:12:12Z", "", "\"2021-06-08T12:12:12+08:00\"}")]
    [InlineData("+08:00", "2021-06-08T04:12:12.9999999Z", null, "\"2021-06-08T12:12:12+08:00\"}")]
    [InlineData("+08:00", "2021-06-08T20:00:00Z", null, "\"2021-06-09T04:00:00+08:00\"}")]
    [InlineData("UTC", "2021-06-08T04:12:12Z", null, "\"2021-06-08T04:12:12+00:00\"}")]
    [InlineData("-03:30", "2021-06-08T04:12:12Z", null, "\"2021-06-08T00:42:12-03:30\"}")]
    [InlineData("Europe/Berlin", "2021-06-08T04:12:12Z", null, "\"2021-06-08T06:12:12+02:00\"}")]
    [InlineData("Europe/Berlin", "2021-12-08T04:12:12Z", null, "\"2021-12-08T05:12:12+01:00\"}")]
    [InlineData("+08:00", "2021-06-08T04:12:12Z", " ", "\"2021-06-08T12:12:12+08:00\",\"extendInfo\":\" \"}")]
    [InlineData(
        "+08:00",
        "2021-06-08T04:12:12Z",
        "{\"memo\":\"é<&'+>\"}",
        "\"2021-06-08T12:12:12+08:00\",\"extendInfo\":\"{\\\"memo\\\":\\\"é<&'+>\\\"}\"}"
    )]
    public void A_receipt_has_its_time_in_the_zone_of_the_wallet(
        string zone,
        string time,
        string? extendInfo,
        string rest
    )
    {
        var format = new ReceiptFormat(Mapping(zone).CreateMapper());

        var bytes = format.Write(CancelledAt(Given.Time(time)), extendInfo);

        Encoding.UTF8.GetString(bytes).ShouldBe(Result + rest);
    }

    [Fact]
    public void A_receipt_repeats_extendInfo_unchanged()
    {
        var format = new ReceiptFormat(Mapping("+08:00").CreateMapper());
        var extendInfo = string.Concat(Enumerable.Range(0, 0x3000).Select(i => (char)i)) + "😀";

        var bytes = format.Write(CancelledAt(Given.Noon), extendInfo);

        using var json = JsonDocument.Parse(bytes);
        json.RootElement.GetProperty("extendInfo").GetString().ShouldBe(extendInfo);
    }

    private Task<CancelPaymentResult> Cancel(
        string? paymentId,
        string? paymentRequestId = null,
        string? extendInfo = null,
        Client? client = null
    ) =>
        new CancelPaymentHandler(_payments, new PlainReceipts(), Given.Races(), _time).Handle(
            new CancelPaymentCommand(
                client ?? Given.Client(),
                paymentId,
                paymentRequestId,
                extendInfo,
                Given.Canceller
            ),
            Token
        );

    private ServiceProvider Services() =>
        new ServiceCollection()
            .AddLogging()
            .AddMetrics()
            .AddApplication()
            .AddSingleton<IPayments>(_payments)
            .AddSingleton<IReceiptFormat, PlainReceipts>()
            .AddSingleton<TimeProvider>(_time)
            .BuildServiceProvider();

    private static Payment CancelledAt(DateTimeOffset time)
    {
        var payment = Given.Registered(PaymentKind.Payment, "p", time);
        payment.Cancel(Given.OneDay, 0, time).ShouldBeOfType<CancelDecision.Cancelled>();
        return payment;
    }

    private static MapperConfiguration Mapping(string zone) =>
        new(
            mapper => mapper.AddProfile(new WireProfile(new WalletClock(TimeZones.Find(zone)!))),
            NullLoggerFactory.Instance
        );

    private static string Text(CancelPaymentResult result) => Encoding.UTF8.GetString(AnswerOf(result));

    private static byte[] AnswerOf(CancelPaymentResult result) =>
        result.ShouldBeOfType<CancelPaymentResult.Cancelled>().Answer;

    private sealed class PlainReceipts : IReceiptFormat
    {
        public byte[] Write(Payment cancelled, string? extendInfo) =>
            Encoding.UTF8.GetBytes(
                $"{cancelled.Id} {cancelled.RequestId} {cancelled.Cancellation!.CancelledAt:o} {extendInfo}"
            );
    }
}
