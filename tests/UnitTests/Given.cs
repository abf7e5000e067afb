using System.Diagnostics.Metrics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace CancelService.UnitTests;

/// <summary>Fixtures of the unit tests. Payments reach their state by the aggregate's own transitions.</summary>
internal static class Given
{
    /// <summary>A counter of lost races with no listener.</summary>
    public static Races Races() =>
        new(
            new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>(),
            NullLogger<Races>.Instance
        );

    /// <summary>The key version and trace that cancels are recorded with.</summary>
    public static readonly Canceller Canceller = new(1, "trace-1");

    public const long FullAmount = 1000;

    public static readonly Currency Usd = new("USD");
    public static readonly Money Amount = Usd.Of(FullAmount);
    public static readonly DateTimeOffset Noon = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);
    public static readonly CancelWindow OneDay = new CancelWindow.Lasting(TimeSpan.FromDays(1));

    private static readonly Lazy<RSA> Rsa = new(() => RSA.Create(2048));

    /// <summary>The merchant's key pair, shared by all tests because generating one is slow.</summary>
    public static RSA KeyPair => Rsa.Value;

    public static PublicKey PublicKey => PublicKey.Parse(KeyPair.ExportSubjectPublicKeyInfoPem());

    public static Money Of(this Currency currency, long minorUnits) => new(minorUnits, currency);

    public static DateTimeOffset Time(string text) =>
        DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    public static Client Client(Contract? contract = null, params ClientKey[] keys) =>
        new()
        {
            Id = new ClientId("MERCHANT_1"),
            Name = "A merchant",
            Enabled = true,
            Contract = contract ?? new Contract { Window = OneDay },
            Keys = keys,
        };

    public static Payment Registered(PaymentKind kind, string id = "pay-1", DateTimeOffset? initiatedAt = null) =>
        Payment
            .Register(
                new ClientId("MERCHANT_1"),
                new PaymentId(id),
                new PaymentRequestId($"req-{id}"),
                kind,
                Amount,
                initiatedAt ?? Noon,
                initiatedAt ?? Noon
            )
            .Payment;

    /// <summary>
    /// Creates a payment in a state: a <see cref="PaymentStatus"/>, PartlyCaptured or PartlyRefunded (400 of 1000), or
    /// cancelled with one of the effects CancelledClosed, CancelledHeld and CancelledRefunded.
    /// </summary>
    public static Payment PaymentThatIs(string state, string id = "pay-1")
    {
        var authorization = state is "Authorized" or "Captured" or "PartlyCaptured" or "CancelledHeld";
        var payment = Registered(authorization ? PaymentKind.Authorization : PaymentKind.Payment, id);
        if (authorization)
            payment.Authorize(Noon).ShouldBeOfType<ReportDecision.Applied>();
        else if (state is "Success" or "Refunded" or "PartlyRefunded" or "CancelledRefunded")
            payment.Succeed(0, Noon).ShouldBeOfType<ReportDecision.Applied>();

        object? last = state switch
        {
            "Processing" or "Authorized" or "Success" => null,
            "Captured" => payment.Capture(Amount, 0, Noon),
            "PartlyCaptured" => payment.Capture(Usd.Of(400), 0, Noon),
            "Refunded" => payment.Refund(Amount, FullAmount, Noon),
            "PartlyRefunded" => payment.Refund(Usd.Of(400), FullAmount, Noon),
            "Failed" => payment.Fail(Noon),
            "CancelledClosed" or "CancelledHeld" or "CancelledRefunded" => payment.Cancel(OneDay, FullAmount, Noon),
            _ => throw new ArgumentOutOfRangeException(nameof(state), state, "The test names an unknown state."),
        };
        (last is null or ReportDecision.Applied or CancelDecision.Cancelled).ShouldBeTrue();
        return payment;
    }
}

/// <summary>
/// Parses a table of test cases: a line of headings, then one case on each line, in columns at least two spaces apart.
/// </summary>
internal static partial class Table
{
    public static TheoryData<string[]> Cases(string table)
    {
        var lines = table
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => Cells().Split(line))
            .ToList();
        var cases = lines.Skip(1).Where(line => line is not [""]).ToList();
        cases.ShouldAllBe(line => line.Length == lines[0].Length, "every line must have a cell in every column");
        return [.. cases];
    }

    public static T Named<T>(string name)
        where T : struct, Enum => Enum.Parse<T>(name);

    [GeneratedRegex(" {2,}", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Cells();
}
