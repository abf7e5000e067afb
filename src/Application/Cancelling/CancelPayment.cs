using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Cancelling;

/// <summary>A verified client asks to cancel one of its payments.</summary>
/// <param name="Client">The client, with its contract.</param>
/// <param name="PaymentId">The wallet's identifier; it decides when both are given.</param>
/// <param name="PaymentRequestId">The merchant's identifier.</param>
/// <param name="ExtendInfo">Whatever the merchant wants to have repeated in the answer, at most 4096 characters.</param>
public sealed record CancelPaymentCommand(
    Client Client,
    string? PaymentId,
    string? PaymentRequestId,
    string? ExtendInfo
) : IRequest<CancelPaymentResult>;

/// <summary>How a cancel ended, in the order in which the protocol decides.</summary>
public enum CancelOutcome
{
    /// <summary>The command is malformed; the message names the field and what is wrong with it.</summary>
    Invalid,

    /// <summary>The contract does not include cancelling.</summary>
    AccessDenied,

    /// <summary>The client has no such payment.</summary>
    NotFound,

    /// <summary>The contract's window has closed.</summary>
    WindowClosed,

    /// <summary>Captured or refunded, in part or in full.</summary>
    MoneyMoved,

    /// <summary>The merchant's account can't give the money back.</summary>
    BalanceNotEnough,

    /// <summary>Cancelled, now or earlier: the answer is the same for ever.</summary>
    Cancelled,

    /// <summary>It is not known whether the payment is cancelled; repeating the command resolves it.</summary>
    Unknown,
}

/// <summary>The result of a <see cref="CancelPaymentCommand"/>.</summary>
/// <param name="Outcome">How the cancel ended.</param>
/// <param name="Answer">With <see cref="CancelOutcome.Cancelled"/>: the stored answer, byte for byte.</param>
/// <param name="Message">With <see cref="CancelOutcome.Invalid"/>: the field and what is wrong with it.</param>
public sealed record CancelPaymentResult(CancelOutcome Outcome, byte[]? Answer = null, string? Message = null)
    : IValidated<CancelPaymentResult>
{
    /// <inheritdoc/>
    public static CancelPaymentResult Invalid(string message) => new(CancelOutcome.Invalid, Message: message);
}

/// <summary>What a cancel tells the merchant; written once, as the answer that is stored.</summary>
/// <param name="PaymentId">The wallet's identifier, as stored.</param>
/// <param name="PaymentRequestId">The merchant's identifier, as stored.</param>
/// <param name="CancelTime">When the payment was cancelled (UTC).</param>
/// <param name="ExtendInfo">As given with the cancellation.</param>
public sealed record CancellationReceipt(
    PaymentId PaymentId,
    PaymentRequestId PaymentRequestId,
    DateTimeOffset CancelTime,
    string? ExtendInfo
);

/// <summary>Writes a receipt in the form in which merchants get it: the wire format is the API's business.</summary>
public interface IReceiptFormat
{
    /// <summary>The bytes of the answer.</summary>
    byte[] Write(CancellationReceipt receipt);
}

/// <summary>The shape of a command: what can be said about it without looking anything up.</summary>
public sealed class CancelPaymentValidator : AbstractValidator<CancelPaymentCommand>
{
    /// <summary>The longest extendInfo, in UTF-16 code units.</summary>
    public const int MaxExtendInfo = 4096;

    /// <summary>Sets the rules up.</summary>
    public CancelPaymentValidator()
    {
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(command => command.PaymentId)
            .Must(id => id is not null)
            .When(command => command.PaymentRequestId is null)
            .WithMessage("paymentId or paymentRequestId is required.");
        RuleFor(command => command.PaymentId)
            .Must(id => id is null || Identifier.IsWellFormed(id))
            .WithMessage($"paymentId {Identifier.Rule}.");
        RuleFor(command => command.PaymentRequestId)
            .Must(id => id is null || Identifier.IsWellFormed(id))
            .WithMessage($"paymentRequestId {Identifier.Rule}.");
        RuleFor(command => command.ExtendInfo)
            .MaximumLength(MaxExtendInfo)
            .WithMessage($"extendInfo must be at most {MaxExtendInfo} characters.");
    }
}

/// <summary>Cancels: the aggregate decides, the database arbitrates.</summary>
public sealed class CancelPaymentHandler(IPayments payments, IReceiptFormat receipts, TimeProvider time)
    : IRequestHandler<CancelPaymentCommand, CancelPaymentResult>
{
    /// <summary>How often a cancel that lost a race is decided again before its outcome is given up as unknown.</summary>
    public const int MaxAttempts = 5;

    /// <inheritdoc/>
    public async Task<CancelPaymentResult> Handle(CancelPaymentCommand request, CancellationToken cancellationToken)
    {
        var contract = request.Client.Contract;
        if (!contract.MayCancel)
            return new(CancelOutcome.AccessDenied);

        for (var attempt = 1; attempt <= MaxAttempts; attempt++)
        {
            var found = await Find(request, cancellationToken);
            if (found is null)
            {
                if (await RememberUnknown(request, cancellationToken))
                    return new(CancelOutcome.NotFound);
                continue; // The payment arrived between the look and the note: now it can be cancelled.
            }

            var payment = found.Payment;
            switch (payment.Cancel(contract.Window, found.Available, time.GetUtcNow()))
            {
                case CancelDecision.Repeated:
                    return new(CancelOutcome.Cancelled, found.Answer);

                case CancelDecision.Refused refused:
                    return new(
                        refused.Reason switch
                        {
                            CancelRefusal.WindowClosed => CancelOutcome.WindowClosed,
                            CancelRefusal.MoneyMoved => CancelOutcome.MoneyMoved,
                            CancelRefusal.BalanceNotEnough => CancelOutcome.BalanceNotEnough,
                        }
                    );

                case CancelDecision.Cancelled cancelled:
                    var answer = receipts.Write(
                        new(payment.Id, payment.RequestId, cancelled.Cancellation.CancelledAt, request.ExtendInfo)
                    );
                    var write = new PaymentWrite(payment, cancelled.Change, "merchant") { Answer = answer };
                    if (await payments.Commit(write, cancellationToken))
                        return new(CancelOutcome.Cancelled, answer);
                    break; // Lost a race: whoever won has changed the payment or the balance, so decide on fresh data.
            }
        }

        return new(CancelOutcome.Unknown);
    }

    // The merchant will believe that there is no such payment. One that arrives late must not take money.
    private async Task<bool> RememberUnknown(CancelPaymentCommand request, CancellationToken cancellationToken) =>
        request is not { PaymentId: null, PaymentRequestId: { } requestId, Client.Contract.RememberUnknown: true }
        || await payments.RememberUnknown(
            request.Client.Id,
            new PaymentRequestId(requestId),
            time.GetUtcNow(),
            cancellationToken
        );

    private Task<FoundPayment?> Find(CancelPaymentCommand request, CancellationToken cancellationToken) =>
        request.PaymentId is { } paymentId
            ? payments.Find(request.Client.Id, new PaymentId(paymentId), cancellationToken)
            : payments.Find(request.Client.Id, new PaymentRequestId(request.PaymentRequestId!), cancellationToken);
}
