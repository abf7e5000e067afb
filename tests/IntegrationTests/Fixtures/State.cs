using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>State of a payment, with the events that lead to it.</summary>
public sealed record State(bool IsAuthorization, params Func<Payment, DateTimeOffset, Currency, ReportDecision>[] Steps)
{
    /// <summary>Amount of every test payment, in minor units.</summary>
    public const long Amount = 1000;

    public static readonly State Processing = new(false);
    public static readonly State ProcessingAuthorization = new(true);
    public static readonly State Authorized = new(true, (p, now, _) => p.Authorize(now));
    public static readonly State Success = new(false, (p, now, _) => p.Succeed(0, now));
    public static readonly State Failed = new(false, (p, now, _) => p.Fail(now));
    public static readonly State HoldLapsed = new(true, (p, now, _) => p.Authorize(now), (p, now, _) => p.Fail(now));
    public static readonly State PartlyCaptured = Capture(1);
    public static readonly State Captured = Capture(Amount);
    public static readonly State PartlyRefunded = new(false, (p, now, _) => p.Succeed(0, now), Refund(1));
    public static readonly State Refunded = new(false, (p, now, _) => p.Succeed(0, now), Refund(Amount));
    public static readonly State CapturedThenRefunded = Captured with { Steps = [.. Captured.Steps, Refund(Amount)] };

    private static State Capture(long minorUnits) =>
        new(true, (p, now, _) => p.Authorize(now), (p, now, c) => p.Capture(new Money(minorUnits, c), 0, now));

    private static Func<Payment, DateTimeOffset, Currency, ReportDecision> Refund(long minorUnits) =>
        (p, now, c) => p.Refund(new Money(minorUnits, c), minorUnits, now);
}
