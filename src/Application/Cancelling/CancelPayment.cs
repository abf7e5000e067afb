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
/// <param name="Canceller">Who asks, for the history.</param>
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

    /// <summary>Cancelled, now or earlier: the stored answer, the same byte for byte for ever.</summary>
    public sealed record Cancelled(byte[] Answer) : CancelPaymentResult;

    /// <summary>Not cancelled, and nothing has changed.</summary>
    public sealed record Refused(CancelRefusal Reason) : CancelPaymentResult;

    /// <summary>The command is malformed; the message names the field and what is wrong with it.</summary>
    public sealed record Malformed(string Message) : CancelPaymentResult;

    /// <summary>Every attempt lost a race, so it is not known whether the payment is cancelled. Repeating the command resolves it.</summary>
    public sealed record Unknown : CancelPaymentResult;

    /// <inheritdoc/>
    public static CancelPaymentResult Invalid(string message) => new Malformed(message);
}

/// <summary>Writes the answer to a cancel in the form in which merchants get it: the wire format is the API's business.</summary>
public interface IReceiptFormat
{
    /// <summary>The bytes of the answer. They are stored with the cancellation, and every repeat is answered with them.</summary>
    /// <param name="cancelled">The cancelled payment.</param>
    /// <param name="extendInfo">What the merchant wants to have repeated; null and empty are left out.</param>
    byte[] Write(Payment cancelled, string? extendInfo);
}

/// <summary>The shape of a command: what can be said about it without looking anything up.</summary>
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

    /// <summary>Judges the members of a request before its client is known: a sentence, or empty when nothing is wrong.</summary>
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
                // When both identifiers are given, paymentId decides. It found nothing, although the paymentRequestId has a
                // payment: that payment has another paymentId, for ever.
                if (
                    (requestHasPayment && request.PaymentId is not null)
                    || await RememberEarlyCancel(request, cancellationToken)
                )
                    return new CancelPaymentResult.Refused(new CancelRefusal.NotFound());
                requestHasPayment = true;
                continue; // A payment has this paymentRequestId. It may have arrived since the first look-up, so look again.
            }

            var payment = found.Payment;
            switch (payment.Cancel(contract.Window, found.Available, time.GetUtcNow()))
            {
                case CancelDecision.Repeated:
                    return new CancelPaymentResult.Cancelled(found.Answer!);

                // A cancel that was decided when the window was open, or the balance higher, may still be on its way to the
                // database. The merchant is told "not cancelled" only when it can't take effect any more.
                case CancelDecision.Refused { Reason.RestsOnTimeOrBalance: true } refused:
                    if (await payments.Fence(payment, cancellationToken) is WriteResult.Written)
                        return new CancelPaymentResult.Refused(refused.Reason);
                    break; // The payment has changed: decide on fresh data.

                case CancelDecision.Refused refused:
                    return new CancelPaymentResult.Refused(refused.Reason);

                case CancelDecision.Cancelled cancelled:
                    var answer = receipts.Write(payment, request.ExtendInfo);
                    if (
                        await payments.Cancel(payment, cancelled.Change, request.Canceller, answer, cancellationToken)
                        is WriteResult.Written
                    )
                        return new CancelPaymentResult.Cancelled(answer);
                    break; // Lost a race: the winner has changed the payment or the balance, so decide on fresh data.
            }
        }

        return new CancelPaymentResult.Unknown();
    }

    // The merchant is told that there is no such payment, so one that arrives later must not take money.
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
