using System.Diagnostics;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Payments;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Intake;

/// <summary>The core reports a change of a payment.</summary>
/// <param name="ClientId">The client whose payment it is.</param>
/// <param name="PaymentId">The wallet's identifier.</param>
/// <param name="Action">Authorize, Succeed, Capture, Refund or Fail.</param>
/// <param name="EventId">The core's identifier of the report, which makes it idempotent.</param>
/// <param name="MinorUnits">The amount of a capture or refund, in minor units.</param>
/// <param name="Currency">The currency of that amount, three letters (ISO 4217).</param>
/// <param name="Actor">The subject of the caller's token, for the history.</param>
public sealed record ReportPaymentCommand(
    string ClientId,
    string PaymentId,
    PaymentAction Action,
    string? EventId,
    long? MinorUnits,
    string? Currency,
    string Actor
) : IRequest<ReportPaymentResult>
{
    /// <summary>Whether the report must give an amount.</summary>
    public bool HasAmount => Action is PaymentAction.Capture or PaymentAction.Refund;
}

/// <summary>The result of a <see cref="ReportPaymentCommand"/>: exactly one of seven.</summary>
public abstract record ReportPaymentResult : IValidated<ReportPaymentResult>
{
    private ReportPaymentResult() { }

    /// <summary>The payment has changed, now or at the first report with this eventId.</summary>
    public sealed record Applied(Payment Payment) : ReportPaymentResult;

    /// <summary>
    /// A late report, now on record: the payment is cancelled, and the remedy tells what the money needs.
    /// </summary>
    public sealed record Late(Payment Payment, Remedy Remedy) : ReportPaymentResult;

    /// <summary>
    /// The payment's state or the merchant's balance contradicts the report; the payment is unchanged.
    /// </summary>
    public sealed record Refused(Payment Payment, ReportRefusal Reason) : ReportPaymentResult;

    /// <summary>
    /// A member of the command is missing or malformed; the message names it and says what it must be.
    /// </summary>
    public sealed record Malformed(string Message) : ReportPaymentResult;

    /// <summary>The client has no such payment.</summary>
    public sealed record PaymentNotFound : ReportPaymentResult;

    /// <summary>The eventId belongs to a report with other content, which stays.</summary>
    public sealed record EventDiffers : ReportPaymentResult;

    /// <summary>The report may have taken effect; repeating the command resolves it.</summary>
    public sealed record Unknown : ReportPaymentResult;

    /// <inheritdoc/>
    public static ReportPaymentResult Invalid(string message) => new Malformed(message);
}

/// <summary>The shape of a report.</summary>
public sealed class ReportPaymentValidator : AbstractValidator<ReportPaymentCommand>
{
    /// <summary>Sets the rules up.</summary>
    public ReportPaymentValidator()
    {
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(c => c.ClientId).ClientId();
        RuleFor(c => c.PaymentId).Id("paymentId");
        RuleFor(c => c.EventId).Id("eventId");
        RuleFor(c => c.MinorUnits).Amount().When(c => c.HasAmount);
        RuleFor(c => c.Currency).Currency().When(c => c.HasAmount);
    }
}

/// <summary>Applies a report once: the aggregate decides, the database arbitrates.</summary>
public sealed class ReportPaymentHandler(IPayments payments, Races races, TimeProvider time)
    : IRequestHandler<ReportPaymentCommand, ReportPaymentResult>
{
    /// <inheritdoc/>
    public async Task<ReportPaymentResult> Handle(ReportPaymentCommand request, CancellationToken cancellationToken)
    {
        var (clientId, paymentId) = (new ClientId(request.ClientId), new PaymentId(request.PaymentId));
        foreach (var _ in races.Attempts("report", clientId, request.PaymentId))
        {
            // The order matters: a concurrent repeat may commit the report between the two reads. The look-up then
            // finds the report, and its own effect can't refuse it.
            var found = await payments.Find(clientId, paymentId, Telling.Cancellation, cancellationToken);
            var recorded = await payments.FindReport(clientId, paymentId, request.EventId!, cancellationToken);
            if (recorded is not null) // The answer to a repeat tells the payment as it was read.
                found = await payments.Find(clientId, paymentId, Telling.Anything, cancellationToken);
            if (found is null)
                return new ReportPaymentResult.PaymentNotFound();

            var payment = found.Payment;
            if (recorded is not null)
                return Recorded(recorded, request, payment);

            switch (Decide(request, found))
            {
                case ReportDecision.Refused refused:
                    return new ReportPaymentResult.Refused(payment, refused.Reason);

                case ReportDecision.Late late:
                    if (await Commit(payment, late.Change, request, cancellationToken))
                        return new ReportPaymentResult.Late(payment, late.Remedy);
                    break;

                case ReportDecision.Applied applied:
                    if (await Commit(payment, applied.Change, request, cancellationToken))
                        return new ReportPaymentResult.Applied(payment);
                    break;
            }
        }

        return new ReportPaymentResult.Unknown();
    }

    private ReportDecision Decide(ReportPaymentCommand request, FoundPayment found)
    {
        var now = time.GetUtcNow();
        return request.Action switch
        {
            PaymentAction.Authorize => found.Payment.Authorize(now),
            PaymentAction.Succeed => found.Payment.Succeed(found.Available, now),
            PaymentAction.Capture => found.Payment.Capture(Amount(request), found.Available, now),
            PaymentAction.Refund => found.Payment.Refund(Amount(request), found.Available, now),
            PaymentAction.Fail => found.Payment.Fail(now),
            PaymentAction.Register or PaymentAction.Cancel => throw new UnreachableException(
                "Not a report of the core."
            ),
        };
    }

    private static Money Amount(ReportPaymentCommand request) =>
        new(request.MinorUnits!.Value, new Currency(request.Currency!));

    // A repeat gets the answer of the first report, whatever has happened since.
    private static ReportPaymentResult Recorded(
        RecordedReport recorded,
        ReportPaymentCommand request,
        Payment payment
    ) =>
        recorded.Action != request.Action || (request.HasAmount && recorded.Amount != Amount(request))
            ? new ReportPaymentResult.EventDiffers()
        : recorded.Remedy is { } remedy ? new ReportPaymentResult.Late(payment, remedy)
        : new ReportPaymentResult.Applied(payment);

    private async Task<bool> Commit(
        Payment payment,
        PaymentChange change,
        ReportPaymentCommand request,
        CancellationToken cancellationToken
    ) =>
        await payments.Report(payment, change, request.Actor, request.EventId!, cancellationToken)
        is WriteResult.Written;
}
