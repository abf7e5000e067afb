using System.Diagnostics;
using System.Globalization;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;

namespace CancelService.UnitTests;

public sealed class CancelRuleTests
{
    // The column of the balance relates it to the payment's amount: 1 less, equal, or 1 more.
    public static readonly TheoryData<string[]> Rule = Table.Cases(
        """
        payment            window  balance  decision
        Processing         open    below    Cancelled Closed
        Processing         open    equal    Cancelled Closed
        Processing         open    above    Cancelled Closed
        Processing         closed  above    Refused WindowClosed
        Authorized         open    below    Cancelled HoldReleased
        Authorized         open    equal    Cancelled HoldReleased
        Authorized         open    above    Cancelled HoldReleased
        Authorized         closed  above    Refused WindowClosed
        Success            open    below    Refused BalanceNotEnough
        Success            open    equal    Cancelled Refunded
        Success            open    above    Cancelled Refunded
        Success            closed  below    Refused WindowClosed
        Success            closed  above    Refused WindowClosed
        Failed             open    below    Cancelled Closed
        Failed             open    equal    Cancelled Closed
        Failed             open    above    Cancelled Closed
        Failed             closed  above    Refused WindowClosed
        PartlyCaptured     open    below    Refused MoneyMoved
        PartlyCaptured     open    above    Refused MoneyMoved
        PartlyCaptured     closed  above    Refused WindowClosed
        Captured           open    below    Refused MoneyMoved
        Captured           open    above    Refused MoneyMoved
        Captured           closed  above    Refused WindowClosed
        PartlyRefunded     open    below    Refused MoneyMoved
        PartlyRefunded     open    above    Refused MoneyMoved
        PartlyRefunded     closed  above    Refused WindowClosed
        Refunded           open    below    Refused MoneyMoved
        Refunded           open    above    Refused MoneyMoved
        Refunded           closed  above    Refused WindowClosed
        CancelledClosed    open    below    Repeated Closed
        CancelledClosed    closed  below    Repeated Closed
        CancelledHeld      open    below    Repeated HoldReleased
        CancelledHeld      closed  below    Repeated HoldReleased
        CancelledRefunded  open    below    Repeated Refunded
        CancelledRefunded  open    above    Repeated Refunded
        CancelledRefunded  closed  below    Repeated Refunded
        """
    );

    // Captures and refunds name their amount; the balance is 1000 where a line names none.
    public static readonly TheoryData<string[]> Events = Table.Cases(
        """
        payment                     event                decision
        Processing                  Succeed              Success, credits 1000
        Processing                  Succeed of 999999999999999000  Success, credits 1000
        Processing                  Succeed of 999999999999999001  BalanceLimit
        Processing                  Authorize            Impossible
        Processing                  Capture 1000         Impossible
        Processing                  Refund 1             Impossible
        Processing                  Fail                 Failed
        ProcessingAuthorization     Authorize            Authorized
        ProcessingAuthorization     Succeed              Impossible
        ProcessingAuthorization     Capture 1000         Impossible
        ProcessingAuthorization     Refund 1             Impossible
        ProcessingAuthorization     Fail                 Failed
        Authorized                  Authorize            Impossible
        Authorized                  Succeed              Impossible
        Authorized                  Capture 1            Captured, credits 1
        Authorized                  Capture 1 of 999999999999999999    Captured, credits 1
        Authorized                  Capture 1 of 1000000000000000000   BalanceLimit
        Authorized                  Capture 1000         Captured, credits 1000
        Authorized                  Capture 1001         Impossible
        Authorized                  Capture 1000 EUR     Impossible
        Authorized                  Refund 1             Impossible
        Authorized                  Fail                 Failed
        Success                     Authorize            Impossible
        Success                     Succeed              Impossible
        Success                     Capture 1            Impossible
        Success                     Refund 1             Refunded, debits 1
        Success                     Refund 1000          Refunded, debits 1000
        Success                     Refund 1001          Impossible
        Success                     Refund 1000 EUR      Impossible
        Success                     Refund 1000 of 1000  Refunded, debits 1000
        Success                     Refund 1000 of 999   BalanceNotEnough
        Success                     Refund 1001 of 999   Impossible
        Success                     Fail                 Impossible
        PartlyCaptured              Authorize            Impossible
        PartlyCaptured              Succeed              Impossible
        PartlyCaptured              Capture 600          Captured, credits 600
        PartlyCaptured              Capture 601          Impossible
        PartlyCaptured              Refund 400           Refunded, debits 400
        PartlyCaptured              Refund 401           Impossible
        PartlyCaptured              Refund 400 of 399    BalanceNotEnough
        PartlyCaptured              Fail                 Impossible
        Captured                    Capture 1            Impossible
        Captured                    Authorize            Impossible
        Captured                    Succeed              Impossible
        Captured                    Refund 1000          Refunded, debits 1000
        Captured                    Fail                 Impossible
        PartlyRefunded              Authorize            Impossible
        PartlyRefunded              Succeed              Impossible
        PartlyRefunded              Capture 1            Impossible
        PartlyRefunded              Refund 600           Refunded, debits 600
        PartlyRefunded              Refund 601           Impossible
        PartlyRefunded              Fail                 Impossible
        PartlyRefundedCapture       Capture 600          Refunded, credits 600
        PartlyRefundedCapture       Capture 601          Impossible
        PartlyRefundedCapture       Refund 300           Refunded, debits 300
        PartlyRefundedCapture       Refund 301           Impossible
        Refunded                    Authorize            Impossible
        Refunded                    Succeed              Impossible
        Refunded                    Capture 1            Impossible
        Refunded                    Refund 1             Impossible
        Refunded                    Fail                 Impossible
        Failed                      Authorize            Impossible
        Failed                      Succeed              Impossible
        Failed                      Capture 1            Impossible
        Failed                      Refund 1             Impossible
        Failed                      Fail                 Impossible
        CancelledClosed             Authorize            late, ReleaseHold
        CancelledClosed             Succeed              late, RefundPayer
        CancelledClosed             Capture 1000         late, RefundPayer
        CancelledClosed             Refund 1             Impossible
        CancelledClosed             Fail                 Cancelled
        CancelledHeld               Authorize            late, ReleaseHold
        CancelledHeld               Succeed              late, RefundPayer
        CancelledHeld               Capture 1            late, RefundPayer
        CancelledHeld               Capture 1 of 1000000000000000000   late, RefundPayer
        CancelledHeld               Capture 1001         late, RefundPayer
        CancelledHeld               Refund 1             Impossible
        CancelledHeld               Fail                 Cancelled
        CancelledRefunded           Authorize            late, ReleaseHold
        CancelledRefunded           Succeed              late, None
        CancelledRefunded           Capture 1            late, RefundPayer
        CancelledRefunded           Refund 1             Impossible
        CancelledRefunded           Fail                 Impossible
        """
    );

    [Theory]
    [MemberData(nameof(Rule))]
    public void A_cancel_is_decided_as_the_table_says(string[] columns)
    {
        var (payment, window, balance) = (Given.PaymentThatIs(columns[0]), columns[1], columns[2]);
        var now = window == "open" ? Given.Noon.AddDays(1).AddTicks(-1) : Given.Noon.AddDays(1);
        var available =
            Given.FullAmount
            + (
                balance == "below" ? -1
                : balance == "above" ? 1
                : 0
            );

        var decision = payment.Cancel(Given.OneDay, available, now) switch
        {
            CancelDecision.Repeated repeated => $"Repeated {repeated.Cancellation.Effect}",
            CancelDecision.Refused refused => $"Refused {refused.Reason.GetType().Name}",
            CancelDecision.Cancelled cancelled => $"Cancelled {cancelled.Cancellation.Effect}",
            _ => "nothing",
        };

        decision.ShouldBe(columns[3]);
    }

    [Fact]
    public void The_tables_cover_every_status()
    {
        foreach (var table in new[] { Rule, Events })
        {
            var statuses = table.Select(row => StateOf(row.Data[0]).Status).Distinct();
            statuses.ShouldBe(Enum.GetValues<PaymentStatus>(), ignoreOrder: true);
        }
    }

    [Theory]
    [InlineData("Processing", CancelEffect.Closed, "")]
    [InlineData("Failed", CancelEffect.Closed, "")]
    [InlineData("Authorized", CancelEffect.HoldReleased, "")]
    [InlineData("Success", CancelEffect.Refunded, "Merchant to Payers 1000 USD")]
    public void A_cancel_returns_money_only_when_money_was_taken(string state, CancelEffect effect, string transfer)
    {
        var payment = Given.PaymentThatIs(state);
        var (status, version) = (payment.Status, payment.Version);
        var now = Given.Noon.AddHours(3);

        var cancelled = payment.Cancel(Given.OneDay, Given.FullAmount, now).ShouldBeOfType<CancelDecision.Cancelled>();

        payment.Status.ShouldBe(PaymentStatus.Cancelled);
        payment.Cancellation.ShouldBe(new Cancellation(status, now));
        payment.Cancellation!.Effect.ShouldBe(effect);
        payment.Cancellation.ShouldBeSameAs(cancelled.Cancellation);
        var change = cancelled.Change;
        (change.Action, change.From, change.To).ShouldBe((PaymentAction.Cancel, status, PaymentStatus.Cancelled));
        (change.Version, change.At, change.Amount).ShouldBe((version + 1, now, Given.Amount));
        (change.Transfer is { } t ? $"{t.Debit} to {t.Credit} {t.Amount}" : "").ShouldBe(transfer);
    }

    [Fact]
    public void A_cancelled_payment_answers_with_its_first_cancellation_after_the_window_closed()
    {
        var payment = Given.PaymentThatIs("CancelledRefunded");
        var first = payment.Cancellation;

        var decision = payment.Cancel(Given.OneDay, 0, Given.Noon.AddYears(10));

        decision.ShouldBeOfType<CancelDecision.Repeated>().Cancellation.ShouldBeSameAs(first);
        payment.Version.ShouldBe(3);
    }

    [Theory]
    [MemberData(nameof(Events))]
    public void A_report_is_applied_refused_or_late_as_the_table_says(string[] columns)
    {
        var payment = StateOf(columns[0]);
        var (status, version) = (payment.Status, payment.Version);

        var decision = Report(payment, columns[1]);

        Describe(decision).ShouldBe(columns[2]);
        if (decision is ReportDecision.Refused)
            (payment.Status, payment.Version).ShouldBe((status, version));
        else
            payment.Version.ShouldBe(version + 1);
    }

    [Fact]
    public void A_late_report_is_recorded_with_its_remedy_and_moves_no_money()
    {
        var payment = Given.PaymentThatIs("CancelledClosed");
        var first = payment.Cancellation;

        var late = payment.Succeed(0, Given.Noon.AddHours(1)).ShouldBeOfType<ReportDecision.Late>();

        late.Cancellation.ShouldBeSameAs(first);
        late.Change.Remedy.ShouldBe(Remedy.RefundPayer);
        late.Change.Transfer.ShouldBeNull();
        (late.Change.Action, late.Change.From, late.Change.To).ShouldBe(
            (PaymentAction.Succeed, PaymentStatus.Cancelled, PaymentStatus.Cancelled)
        );
        payment.Cancellation.ShouldBeSameAs(first);
    }

    [Fact]
    public void Partial_captures_and_refunds_add_up_to_the_whole_amount()
    {
        var payment = Given.PaymentThatIs("Authorized");

        Describe(Report(payment, "Capture 300")).ShouldBe("Captured, credits 300");
        Describe(Report(payment, "Capture 700")).ShouldBe("Captured, credits 700");
        Describe(Report(payment, "Capture 1")).ShouldBe("Impossible");
        Describe(Report(payment, "Refund 999")).ShouldBe("Refunded, debits 999");
        Describe(Report(payment, "Refund 2")).ShouldBe("Impossible");
        Describe(Report(payment, "Refund 1")).ShouldBe("Refunded, debits 1");
        (payment.Captured, payment.Refunded, payment.Version).ShouldBe((1000L, 1000L, 6));
    }

    [Fact]
    public void A_registration_is_the_first_line_of_the_history()
    {
        var initiated = Given.Time("2026-03-10T20:00:00+08:00");

        var (payment, change) = Payment.Register(
            new ClientId("C"),
            new PaymentId("P"),
            new PaymentRequestId("R"),
            PaymentKind.Authorization,
            Given.Amount,
            initiated,
            initiated.AddSeconds(1)
        );

        (payment.ClientId.Value, payment.Id.Value, payment.RequestId.Value).ShouldBe(("C", "P", "R"));
        (payment.Kind, payment.Amount).ShouldBe((PaymentKind.Authorization, Given.Amount));
        (payment.Status, payment.Version).ShouldBe((PaymentStatus.Processing, 1));
        payment.Cancellation.ShouldBeNull();
        (change.Action, change.From, change.To).ShouldBe((PaymentAction.Register, null, PaymentStatus.Processing));
        (change.Version, change.Amount).ShouldBe((1, Given.Amount));
        change.Transfer.ShouldBeNull();
    }

    [Fact]
    public void Times_are_converted_to_UTC()
    {
        var atEight = Given.Time("2026-03-10T20:00:00+08:00");
        var (payment, registered) = Payment.Register(
            new ClientId("C"),
            new PaymentId("P"),
            new PaymentRequestId("R"),
            PaymentKind.Payment,
            Given.Amount,
            atEight,
            atEight
        );
        var succeeded = payment.Succeed(0, atEight).ShouldBeOfType<ReportDecision.Applied>().Change;
        var cancelled = payment
            .Cancel(Given.OneDay, Given.FullAmount, atEight)
            .ShouldBeOfType<CancelDecision.Cancelled>();

        DateTimeOffset[] times =
        [
            payment.InitiatedAt,
            registered.At,
            succeeded.At,
            cancelled.Change.At,
            cancelled.Cancellation.CancelledAt,
        ];

        times.ShouldAllBe(time => time.Offset == TimeSpan.Zero && time == atEight);
    }

    [Fact]
    public void A_transfer_changes_the_merchants_balance_only_when_the_merchant_is_a_party()
    {
        Transfer.Paid(Given.Amount).Change.ShouldBe(Given.FullAmount);
        Transfer.Refunded(Given.Amount).Change.ShouldBe(-Given.FullAmount);
        Transfer.Of(TransferKind.Deposit, Given.Amount).Change.ShouldBe(Given.FullAmount);
        Transfer.Of(TransferKind.Payout, Given.Amount).Change.ShouldBe(-Given.FullAmount);
        new Transfer(LedgerAccount.Payers, LedgerAccount.Settlement, Given.Amount).Change.ShouldBe(0);
    }

    [Fact]
    public void A_cancel_needs_a_window() =>
        Should.Throw<ArgumentNullException>(() => Given.PaymentThatIs("Processing").Cancel(null!, 0, Given.Noon));

    private static Payment StateOf(string state)
    {
        if (state == "ProcessingAuthorization")
            return Given.Registered(PaymentKind.Authorization);
        if (state != "PartlyRefundedCapture")
            return Given.PaymentThatIs(state);
        var payment = Given.PaymentThatIs("PartlyCaptured");
        payment.Refund(Given.Usd.Of(100), Given.FullAmount, Given.Noon);
        return payment;
    }

    // Parses "Refund 1000 EUR of 999": the event, its amount, its currency and the balance.
    private static ReportDecision Report(Payment payment, string reported)
    {
        var words = reported.Split(' ');
        var currency = words is [_, _, "EUR", ..] ? new Currency("EUR") : Given.Usd;
        var available = words is [.., "of", var balance] ? Number(balance) : Given.FullAmount;
        return words[0] switch
        {
            "Authorize" => payment.Authorize(Given.Noon),
            "Succeed" => payment.Succeed(available, Given.Noon),
            "Capture" => payment.Capture(currency.Of(Number(words[1])), available, Given.Noon),
            "Refund" => payment.Refund(currency.Of(Number(words[1])), available, Given.Noon),
            "Fail" => payment.Fail(Given.Noon),
            _ => throw new ArgumentOutOfRangeException(nameof(reported), reported, "The table names an unknown event."),
        };
    }

    private static string Describe(ReportDecision decision)
    {
        switch (decision)
        {
            case ReportDecision.Refused refused:
                return refused.Reason.ToString();
            case ReportDecision.Late late:
                late.Change.To.ShouldBe(PaymentStatus.Cancelled);
                return $"late, {late.Remedy}";
            case ReportDecision.Applied { Change: var change }:
                return change.Transfer?.Change switch
                {
                    null => $"{change.To}",
                    > 0 and var credit => $"{change.To}, credits {credit}",
                    var debit => $"{change.To}, debits {-debit}",
                };
            default:
                return "nothing";
        }
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>
    /// Goal: a refusal waits for an earlier cancel only where that cancel may still have been allowed. Time and balance
    /// can have changed since; the other reasons can't.
    /// </summary>
    [Fact]
    public void Only_a_closed_window_and_a_low_balance_rest_on_time_or_balance()
    {
        new CancelRefusal.WindowClosed().RestsOnTimeOrBalance.ShouldBeTrue();
        new CancelRefusal.BalanceNotEnough().RestsOnTimeOrBalance.ShouldBeTrue();
        new CancelRefusal.AccessDenied().RestsOnTimeOrBalance.ShouldBeFalse();
        new CancelRefusal.NotFound().RestsOnTimeOrBalance.ShouldBeFalse();
        new CancelRefusal.MoneyMoved().RestsOnTimeOrBalance.ShouldBeFalse();
    }

    [Theory]
    [InlineData(PaymentStatus.Captured)]
    [InlineData(PaymentStatus.Refunded)]
    [InlineData(PaymentStatus.Cancelled)]
    public void The_effect_of_a_cancellation_throws_when_its_status_could_not_be_cancelled(PaymentStatus from) =>
        Should
            .Throw<UnreachableException>(() => new Cancellation(from, Given.Noon).Effect)
            .Message.ShouldContain(from.ToString());
}
