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
/// <param name="ExtendInfo">The merchant's text for the answer, at most 4096 characters.</param>
/// <param name="Canceller">The key and the trace of the request, for the history.</param>
public sealed record CancelPaymentCommand(
    Client Client,
    string? PaymentId,
    string? PaymentRequestId,
    string? ExtendInfo,
    Canceller Canceller
) : IRequest<CancelPaymentResult>;

/// <summary>The result of a <see cref="CancelPaymentCommand"/>: exactly one of four.</summary>
public abstract record CancelPaymentResult : IValidated<CancelPaymentResult>
{
    private CancelPaymentResult() { }

    /// <summary>The payment is cancelled, now or earlier. Every repeat gets these bytes.</summary>
    public sealed record Cancelled(byte[] Answer) : CancelPaymentResult;

    /// <summary>The payment is not cancelled, and nothing has changed.</summary>
    public sealed record Refused(CancelRefusal Reason) : CancelPaymentResult;

    /// <summary>The command is malformed; the message names the field and what is wrong with it.</summary>
    public sealed record Malformed(string Message) : CancelPaymentResult;

    /// <summary>Every attempt lost a race. The payment may be cancelled; repeating the command resolves it.</summary>
    public sealed record Unknown : CancelPaymentResult;

    /// <inheritdoc/>
    public static CancelPaymentResult Invalid(string message) => new Malformed(message);
}

/// <summary>Serialises the answer to a cancel. The wire format belongs to the API, so this is a port.</summary>
public interface IReceiptFormat
{
    /// <summary>
    /// Writes the body of the answer, which is stored with the cancellation and answers every repeat.
    /// </summary>
    /// <param name="cancelled">The cancelled payment.</param>
    /// <param name="extendInfo">The merchant's text for the answer; null and empty are left out.</param>
    byte[] Write(Payment cancelled, string? extendInfo);
}

/// <summary>Checks the shape of a cancel: the rules that need no look-up.</summary>
public sealed class CancelPaymentValidator : AbstractValidator<CancelPaymentCommand>
{
    /// <summary>The longest extendInfo, in UTF-16 code units.</summary>
    public const int MaxExtendInfo = 4096;

    private static readonly CancelPaymentValidator Rules = new();
    private static readonly Client Nobody = new()
    {
        Id = new ClientId("NOBODY"),
        Name = "",
        Enabled = true,
        Contract = new Contract(),
    };

    /// <summary>Checks the members of a request before its client is known.</summary>
    /// <returns>The first mistake as a sentence; empty without a mistake.</returns>
    public static string Problem(string? paymentId, string? paymentRequestId, string? extendInfo) =>
        Rules
            .Validate(new CancelPaymentCommand(Nobody, paymentId, paymentRequestId, extendInfo, new Canceller(1, "")))
            .Errors.FirstOrDefault()
            ?.ErrorMessage
        ?? "";

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
public sealed class CancelPaymentHandler(IPayments payments, IReceiptFormat receipts, Races races, TimeProvider time)
    : IRequestHandler<CancelPaymentCommand, CancelPaymentResult>
{
    /// <inheritdoc/>
    public async Task<CancelPaymentResult> Handle(CancelPaymentCommand request, CancellationToken cancellationToken)
    {
        var contract = request.Client.Contract;
        if (!contract.MayCancel)
            return new CancelPaymentResult.Refused(new CancelRefusal.AccessDenied());

        var requestHasPayment = false;
        var id = request.PaymentId ?? request.PaymentRequestId!;
        foreach (var _ in races.Attempts("cancel", request.Client.Id, id))
        {
            var found = await Find(request, cancellationToken);
            if (found is null)
            {
                // paymentId decides when both are given. Here the paymentRequestId belongs to a payment with another
                // paymentId, for ever.
                if (
                    (requestHasPayment && request.PaymentId is not null)
                    || await RememberEarlyCancel(request, cancellationToken)
                )
                    return new CancelPaymentResult.Refused(new CancelRefusal.NotFound());
                requestHasPayment = true;
                continue; // A payment with this paymentRequestId may have arrived after the look-up: look again.
            }

            var payment = found.Payment;
            switch (payment.Cancel(contract.Window, found.Available, time.GetUtcNow()))
            {
                case CancelDecision.Repeated:
                    return new CancelPaymentResult.Cancelled(found.Answer!);

                // Another instance may have decided to cancel while the window was open or the balance higher, and not
                // have committed yet. The fence stops that commit before the merchant reads "not cancelled".
                case CancelDecision.Refused { Reason.RestsOnTimeOrBalance: true } refused:
                    if (await payments.Fence(payment, cancellationToken) is WriteResult.Written)
                        return new CancelPaymentResult.Refused(refused.Reason);
                    break; // The payment has changed: retry on fresh data.

                case CancelDecision.Refused refused:
                    return new CancelPaymentResult.Refused(refused.Reason);

                case CancelDecision.Cancelled cancelled:
                    var answer = receipts.Write(payment, request.ExtendInfo);
                    if (
                        await payments.Cancel(payment, cancelled.Change, request.Canceller, answer, cancellationToken)
                        is WriteResult.Written
                    )
                        return new CancelPaymentResult.Cancelled(answer);
                    break; // Lost a race for the payment or the balance: retry on fresh data.
            }
        }

        return new CancelPaymentResult.Unknown();
    }

    // The merchant reads ORDER_NOT_EXIST, so a payment that arrives later must not take money.
    private async Task<bool> RememberEarlyCancel(CancelPaymentCommand request, CancellationToken cancellationToken) =>
        request is not { PaymentRequestId: { } requestId, Client.Contract.RememberUnknown: true }
        || await payments.RememberEarlyCancel(
            request.Client.Id,
            new PaymentRequestId(requestId),
            time.GetUtcNow(),
            cancellationToken
        ) is WriteResult.Written;

    private Task<FoundPayment?> Find(CancelPaymentCommand request, CancellationToken cancellationToken) =>
        request.PaymentId is { } paymentId
            ? payments.Find(request.Client.Id, new PaymentId(paymentId), Telling.Cancellation, cancellationToken)
            : payments.Find(
                request.Client.Id,
                new PaymentRequestId(request.PaymentRequestId!),
                Telling.Cancellation,
                cancellationToken
            );
}
