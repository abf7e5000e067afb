using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CsCheck;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: the invariants of a payment hold for random histories. A failure prints its seed; set CsCheck_Seed to it to
/// repeat the case.
/// </summary>
[Trait(Category.Trait, Category.Seeded)]
public sealed class CancelPropertiesTests
{
    private const long Amount = 100;

    // Some zones crossed the date line before; only windows of the present rules matter.
    private static readonly DateTimeOffset From = Given.Time("2016-01-01");
    private static readonly long Ticks = (Given.Time("2040-01-01") - From).Ticks;

    private static readonly Gen<Step> Steps = Gen.Select(
        Gen.Enum<PaymentAction>(),
        Gen.Frequency((1, Gen.Const(Amount)), (3, Gen.Long[1, Amount + 10])),
        Gen.Frequency((1, Gen.Const(0L)), (3, Gen.Long[0, 2 * Amount])),
        Gen.Int[0, 8],
        (action, amount, deposit, hours) => new Step(action, amount, deposit, hours)
    );

    private static readonly Gen<(PaymentKind Kind, Step[] Steps)> Histories = Gen.Select(
        Gen.Enum<PaymentKind>(),
        Steps.Array[1, 20]
    );

    private static readonly TimeZoneInfo[] SystemZones = [.. TimeZoneInfo.GetSystemTimeZones()];

    private static readonly Gen<TimeZoneInfo> Zones = Gen.Int[0, SystemZones.Length - 1].Select(i => SystemZones[i]);

    private static readonly Gen<CancelWindow> CutOffs = Gen.Select(
        Gen.Int[0, 8],
        Gen.Int[0, (24 * 60) - 1],
        Zones,
        CancelWindow (days, minute, zone) =>
            new CancelWindow.CutOff(days, new TimeOnly(minute / 60, minute % 60), zone.Id)
    );

    private static readonly Gen<CancelWindow> Windows = Gen.OneOf(
        CutOffs,
        Gen.Long[1, TimeSpan.FromDays(CancelWindow.MaxDays).Ticks]
            .Select(CancelWindow (ticks) => new CancelWindow.Lasting(new TimeSpan(ticks)))
    );

    private static readonly Gen<DateTimeOffset> Times = Gen.Long[0, Ticks].Select(ticks => From.AddTicks(ticks));

    [Fact]
    public void A_cancelled_payment_keeps_its_cancellation() =>
        ForEveryStep(step =>
        {
            if (step.Before.Status is not PaymentStatus.Cancelled)
                return;
            step.After.Status.ShouldBe(PaymentStatus.Cancelled);
            step.After.Cancellation.ShouldBeSameAs(step.Before.Cancellation);
            (step.After.Captured, step.After.Refunded).ShouldBe((step.Before.Captured, step.Before.Refunded));
            if (step.Action is not PaymentAction.Fail) // A failure is recorded, but changes nothing.
                step.Outcome.ShouldNotBeOfType<ReportDecision.Applied>();
            step.Change?.Transfer.ShouldBeNull();
        });

    [Fact]
    public void A_repeated_cancel_is_idempotent() =>
        ForEveryStep(step =>
        {
            if (step.Action is not PaymentAction.Cancel || step.Before.Cancellation is not { } first)
                return;
            step.Outcome.ShouldBeOfType<CancelDecision.Repeated>().Cancellation.ShouldBeSameAs(first);
            step.After.ShouldBe(step.Before);
        });

    [Fact]
    public void A_payment_has_a_cancellation_exactly_when_it_is_cancelled() =>
        ForEveryStep(step =>
            (step.After.Cancellation is not null).ShouldBe(step.After.Status is PaymentStatus.Cancelled)
        );

    [Fact]
    public void A_refusal_changes_nothing() =>
        ForEveryStep(step =>
        {
            if (step.Outcome is CancelDecision.Refused or ReportDecision.Refused)
                step.After.ShouldBe(step.Before);
        });

    [Fact]
    public void A_change_increments_the_version_and_records_both_statuses() =>
        ForEveryStep(step =>
        {
            if (step.Change is not { } change)
                return;
            (change.From, change.To).ShouldBe((step.Before.Status, step.After.Status));
            change.Version.ShouldBe(step.Before.Version + 1);
            step.After.Version.ShouldBe(change.Version);
        });

    [Fact]
    public void A_transfer_moves_the_amount_of_its_change_between_merchant_and_payers() =>
        ForEveryStep(step =>
        {
            if (step.Change is not { Transfer: { } transfer } change)
                return;
            ((LedgerAccount[])[transfer.Debit, transfer.Credit]).ShouldBe(
                [LedgerAccount.Merchant, LedgerAccount.Payers],
                ignoreOrder: true
            );
            transfer.Amount.ShouldBe(change.Amount.ShouldNotBeNull());
        });

    [Fact]
    public void Captures_and_refunds_never_exceed_the_amount() =>
        ForEveryStep(step =>
        {
            step.After.Captured.ShouldBeInRange(step.Before.Captured, Amount);
            step.After.Refunded.ShouldBeInRange(step.Before.Refunded, Amount);
        });

    [Fact]
    public void A_merchant_earns_at_most_the_amount_and_nothing_from_a_cancelled_payment() =>
        ForEveryStep(step =>
        {
            step.Earned.ShouldBeInRange(0, Amount);
            step.Balance.ShouldBeGreaterThanOrEqualTo(0);
            if (step.After.Status is PaymentStatus.Cancelled)
                step.Earned.ShouldBe(0);
        });

    [Fact]
    public void A_later_payment_has_a_window_that_closes_no_earlier() =>
        Gen.Select(Windows, Times, Gen.OneOf(Gen.Long[0, TimeSpan.TicksPerHour * 4], Gen.Long[0, Ticks]))
            .Sample(
                (window, initiatedAt, later) =>
                    window.ClosesAt(initiatedAt.AddTicks(later)) >= window.ClosesAt(initiatedAt),
                iter: 100_000
            );

    [Fact]
    public void A_window_that_has_closed_stays_closed() =>
        Gen.Select(Windows, Times, Gen.Long[0, Ticks], Gen.Long[0, Ticks])
            .Sample(
                (window, initiatedAt, wait, more) =>
                {
                    var now = initiatedAt.AddTicks(wait / 1000);
                    return window.IsOpen(initiatedAt, now) || !window.IsOpen(initiatedAt, now.AddTicks(more));
                },
                iter: 100_000
            );

    [Fact]
    public void A_window_does_not_depend_on_the_offset_of_a_time() =>
        Gen.Select(Windows, Times, Gen.Int[-14 * 60, 14 * 60])
            .Sample(
                (window, initiatedAt, offset) =>
                    window.ClosesAt(initiatedAt) == window.ClosesAt(initiatedAt.ToOffset(TimeSpan.FromMinutes(offset))),
                iter: 10_000
            );

    [Fact]
    public void A_cut_off_is_the_last_instant_with_its_local_time_or_the_end_of_the_gap_that_skips_it() =>
        Gen.Select(CutOffs, Times)
            .Sample(
                (window, initiatedAt) =>
                {
                    var cutOff = (CancelWindow.CutOff)window;
                    var day = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(initiatedAt, cutOff.Zone).DateTime);
                    var wanted = day.AddDays(cutOff.Days).ToDateTime(cutOff.Time);
                    var closesAt = TimeZoneInfo.ConvertTime(window.ClosesAt(initiatedAt), cutOff.Zone);

                    // The instants at which the zone's clocks show that time, by the offsets of the days around.
                    var readings = Enumerable
                        .Range(-48, 97)
                        .Select(hours => cutOff.Zone.GetUtcOffset(Utc(wanted).AddHours(hours)))
                        .Distinct()
                        .Select(offset => new DateTimeOffset(wanted, offset))
                        .Where(time => cutOff.Zone.GetUtcOffset(time) == time.Offset)
                        .ToList();
                    return readings.Count == 0 ? closesAt.DateTime > wanted : closesAt == readings.Max();
                },
                iter: 20_000
            );

    [Fact]
    public void A_window_survives_a_round_trip_as_text() =>
        Windows.Sample(window => CancelWindow.Parse(window.ToString()!) == window, iter: 5_000);

    private static DateTimeOffset Utc(DateTime time) => new(time, TimeSpan.Zero);

    private static void ForEveryStep(Action<Taken> check) =>
        Histories.Sample(
            history =>
            {
                foreach (var taken in Walk(history.Kind, history.Steps))
                    check(taken);
            },
            iter: 10_000
        );

    // Deposits and the payment's own transfers make up the balance, so that refusals for the balance are about as
    // frequent as refusals for the payment's status.
    private static IEnumerable<Taken> Walk(PaymentKind kind, Step[] steps)
    {
        var (payment, _) = Payment.Register(
            new("C"),
            new("P"),
            new("R"),
            kind,
            Given.Usd.Of(Amount),
            Given.Noon,
            Given.Noon
        );
        var (now, earned, balance) = (Given.Noon, 0L, 0L);
        foreach (var step in steps)
        {
            now = now.AddHours(step.Hours);
            balance += step.Deposit;
            var before = State.Of(payment);
            var amount = Given.Usd.Of(step.Amount);
            object outcome = step.Action switch
            {
                PaymentAction.Register or PaymentAction.Cancel => payment.Cancel(Given.OneDay, balance, now),
                PaymentAction.Authorize => payment.Authorize(now),
                PaymentAction.Succeed => payment.Succeed(balance, now),
                PaymentAction.Capture => payment.Capture(amount, balance, now),
                PaymentAction.Refund => payment.Refund(amount, balance, now),
                PaymentAction.Fail => payment.Fail(now),
            };
            var change = outcome switch
            {
                CancelDecision.Cancelled cancelled => cancelled.Change,
                ReportDecision.Applied applied => applied.Change,
                ReportDecision.Late late => late.Change,
                _ => null,
            };
            var moved = change?.Transfer?.Change ?? 0;
            (earned, balance) = (earned + moved, balance + moved);
            yield return new Taken(
                step.Action is PaymentAction.Register ? PaymentAction.Cancel : step.Action,
                before,
                outcome,
                change,
                State.Of(payment),
                earned,
                balance
            );
        }
    }

    private sealed record Step(PaymentAction Action, long Amount, long Deposit, int Hours);

    private sealed record State(
        PaymentStatus Status,
        long Captured,
        long Refunded,
        int Version,
        Cancellation? Cancellation
    )
    {
        public static State Of(Payment payment) =>
            new(payment.Status, payment.Captured, payment.Refunded, payment.Version, payment.Cancellation);
    }

    private sealed record Taken(
        PaymentAction Action,
        State Before,
        object Outcome,
        PaymentChange? Change,
        State After,
        long Earned,
        long Balance
    );
}
