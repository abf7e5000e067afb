using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Inquiring;

/// <summary>A verified client asks for the state of one of its payments. Nothing is written.</summary>
/// <param name="Client">The client, with its contract.</param>
/// <param name="PaymentId">The wallet's identifier; it decides when both are given.</param>
/// <param name="PaymentRequestId">The merchant's identifier.</param>
public sealed record InquirePaymentQuery(Client Client, string? PaymentId, string? PaymentRequestId)
    : IRequest<InquirePaymentResult>;

/// <summary>The result of an <see cref="InquirePaymentQuery"/>: exactly one of four.</summary>
public abstract record InquirePaymentResult : IValidated<InquirePaymentResult>
{
    private InquirePaymentResult() { }

    /// <summary>The payment's current state, which may change.</summary>
    public sealed record Found(InquiredPayment Payment) : InquirePaymentResult;

    /// <summary>The client has no such payment. The payment may still arrive, and is then welcome.</summary>
    public sealed record NotFound : InquirePaymentResult;

    /// <summary>The client's contract does not include inquiries.</summary>
    public sealed record AccessDenied : InquirePaymentResult;

    /// <summary>The query is malformed; the message names the field and its mistake.</summary>
    public sealed record Malformed(string Message) : InquirePaymentResult;

    /// <inheritdoc/>
    public static InquirePaymentResult Invalid(string message) => new Malformed(message);
}

/// <summary>A payment for an inquiry.</summary>
/// <param name="Payment">The aggregate.</param>
/// <param name="SucceededAt">
/// The time (UTC) at which money was first held or taken; null when no money was.
/// </param>
public sealed record InquiredPayment(Payment Payment, DateTimeOffset? SucceededAt);

/// <summary>
/// Reads payments for inquiries. A returned state is durable: no failover can take it back.
/// </summary>
public interface IInquiries
{
    /// <summary>Finds a payment by the wallet's paymentId; null when the client has no such payment.</summary>
    Task<InquiredPayment?> Find(ClientId clientId, PaymentId id, CancellationToken cancellationToken);

    /// <summary>Finds a payment by the merchant's paymentRequestId; null when the client has no such payment.</summary>
    Task<InquiredPayment?> Find(ClientId clientId, PaymentRequestId requestId, CancellationToken cancellationToken);
}

/// <summary>The shape of an <see cref="InquirePaymentQuery"/>.</summary>
public sealed class InquirePaymentValidator : AbstractValidator<InquirePaymentQuery>
{
    private static readonly InquirePaymentValidator Rules = new();

    private static readonly Client Nobody = new()
    {
        Id = new ClientId("NOBODY"),
        Name = "",
        Enabled = true,
        Contract = new Contract(),
    };

    /// <summary>Checks the members of a request before its client is known.</summary>
    /// <returns>The first mistake as a sentence; empty without a mistake.</returns>
    public static string Problem(string? paymentId, string? paymentRequestId) =>
        Rules
            .Validate(new InquirePaymentQuery(Nobody, paymentId, paymentRequestId))
            .Errors.FirstOrDefault()
            ?.ErrorMessage
        ?? "";

    /// <summary>Sets the rules up.</summary>
    public InquirePaymentValidator()
    {
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(query => query.PaymentId)
            .Must(id => id is not null)
            .When(query => query.PaymentRequestId is null)
            .WithMessage("paymentId or paymentRequestId is required.");
        RuleFor(query => query.PaymentId)
            .Must(id => id is null || Identifier.IsWellFormed(id))
            .WithMessage($"paymentId {Identifier.Rule}.");
        RuleFor(query => query.PaymentRequestId)
            .Must(id => id is null || Identifier.IsWellFormed(id))
            .WithMessage($"paymentRequestId {Identifier.Rule}.");
    }
}

/// <summary>Finds the payment by one read.</summary>
public sealed class InquirePaymentHandler(IInquiries inquiries)
    : IRequestHandler<InquirePaymentQuery, InquirePaymentResult>
{
    /// <inheritdoc/>
    public async Task<InquirePaymentResult> Handle(InquirePaymentQuery request, CancellationToken cancellationToken)
    {
        if (!request.Client.Contract.MayInquire)
            return new InquirePaymentResult.AccessDenied();
        var clientId = request.Client.Id;
        var found = request.PaymentId is { } id
            ? await inquiries.Find(clientId, new PaymentId(id), cancellationToken)
            : await inquiries.Find(clientId, new PaymentRequestId(request.PaymentRequestId!), cancellationToken);
        return found is null ? new InquirePaymentResult.NotFound() : new InquirePaymentResult.Found(found);
    }
}
