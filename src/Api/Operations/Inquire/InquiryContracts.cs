using System.Globalization;
using CancelService.Api.Exchange;
using CancelService.Application.Inquiring;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Protocol;

namespace CancelService.Api.Operations.Inquire;

/// <summary>
/// The request for a payment's state. At least one identifier is required; unknown members are ignored.
/// </summary>
public sealed record InquiryRequest(string? PaymentId = null, string? PaymentRequestId = null);

/// <summary>An amount on the wire.</summary>
/// <param name="Currency">The ISO 4217 code.</param>
/// <param name="Value">Minor units, as a string of digits.</param>
public sealed record WireAmount(string Currency, string Value)
{
    /// <summary>Writes minor units of a currency.</summary>
    public static WireAmount Of(long minorUnits, Currency currency) =>
        new(currency.Code, minorUnits.ToString(CultureInfo.InvariantCulture));
}

/// <summary>
/// The answer to an inquiry. Only a success has more than the result; a member without a value is left out. Times are
/// ISO 8601 in the wallet's time zone, with its offset.
/// </summary>
public sealed record InquiryAnswer(WireResult Result)
{
    /// <summary>The wallet's identifier.</summary>
    public string? PaymentId { get; init; }

    /// <summary>The merchant's identifier.</summary>
    public string? PaymentRequestId { get; init; }

    /// <summary>The state in the words of the client SDKs: SUCCESS, FAIL, PROCESSING or CANCELLED.</summary>
    public string? PaymentStatus { get; init; }

    /// <summary>The full amount of the payment.</summary>
    public WireAmount? PaymentAmount { get; init; }

    /// <summary>The time of the payment's initiation.</summary>
    public string? PaymentCreateTime { get; init; }

    /// <summary>The time at which the money was held or taken first.</summary>
    public string? PaymentTime { get; init; }

    /// <summary>The time of the cancellation.</summary>
    public string? CancelTime { get; init; }

    /// <summary>
    /// The state in the wallet's words: PROCESSING, AUTHORIZED, SUCCESS, CAPTURED, REFUNDED, FAILED or CANCELLED.
    /// </summary>
    public string? PaymentState { get; init; }

    /// <summary>
    /// The cancellation's effect on the money: CLOSED (none had moved), RELEASED (the hold) or REFUNDED.
    /// </summary>
    public string? CancelEffect { get; init; }

    /// <summary>
    /// The end of the cancel window, while the payment's state allows a cancel. The end is exclusive.
    /// </summary>
    public string? CancellableUntil { get; init; }

    /// <summary>The part of an authorisation that is captured; left out when it is zero.</summary>
    public WireAmount? CapturedAmount { get; init; }

    /// <summary>The part of the money that the core refunded; left out when it is zero.</summary>
    public WireAmount? RefundedAmount { get; init; }

    /// <summary>Describes the current state of a payment.</summary>
    /// <param name="found">The payment.</param>
    /// <param name="contract">The client's contract, for the cancel window.</param>
    /// <param name="clock">Writes times in the wallet's zone.</param>
    public static InquiryAnswer Of(InquiredPayment found, Contract contract, WalletClock clock)
    {
        ArgumentNullException.ThrowIfNull(found);
        ArgumentNullException.ThrowIfNull(contract);
        ArgumentNullException.ThrowIfNull(clock);
        var payment = found.Payment;
        var (status, state, isCancellable) = Words(payment.Status);
        return new(WireResult.Of(ResultCode.Success))
        {
            PaymentId = payment.Id.Value,
            PaymentRequestId = payment.RequestId.Value,
            PaymentStatus = status,
            PaymentAmount = WireAmount.Of(payment.Amount.MinorUnits, payment.Amount.Currency),
            PaymentCreateTime = clock.Seconds(payment.InitiatedAt),
            PaymentTime = found.SucceededAt is { } at ? clock.Seconds(at) : null,
            CancelTime = payment.Cancellation is { } cancelled ? clock.Seconds(cancelled.CancelledAt) : null,
            PaymentState = state,
            CancelEffect = payment.Cancellation is { } cancellation ? Word(cancellation.Effect) : null,
            CancellableUntil = isCancellable ? clock.Seconds(contract.Window.ClosesAt(payment.InitiatedAt)) : null,
            CapturedAmount = payment.Captured > 0 ? WireAmount.Of(payment.Captured, payment.Amount.Currency) : null,
            RefundedAmount = payment.Refunded > 0 ? WireAmount.Of(payment.Refunded, payment.Amount.Currency) : null,
        };
    }

    // Exhaustive: a new status does not compile until its words are decided.
    private static (string Status, string State, bool IsCancellable) Words(PaymentStatus status) =>
        status switch
        {
            Domain.Payments.PaymentStatus.Processing => ("PROCESSING", "PROCESSING", true),
            Domain.Payments.PaymentStatus.Authorized => ("SUCCESS", "AUTHORIZED", true),
            Domain.Payments.PaymentStatus.Success => ("SUCCESS", "SUCCESS", true),
            Domain.Payments.PaymentStatus.Captured => ("SUCCESS", "CAPTURED", false),
            Domain.Payments.PaymentStatus.Refunded => ("SUCCESS", "REFUNDED", false),
            Domain.Payments.PaymentStatus.Failed => ("FAIL", "FAILED", true),
            Domain.Payments.PaymentStatus.Cancelled => ("CANCELLED", "CANCELLED", false),
        };

    private static string Word(CancelEffect effect) =>
        effect switch
        {
            Domain.Payments.CancelEffect.Closed => "CLOSED",
            Domain.Payments.CancelEffect.HoldReleased => "RELEASED",
            Domain.Payments.CancelEffect.Refunded => "REFUNDED",
        };
}
