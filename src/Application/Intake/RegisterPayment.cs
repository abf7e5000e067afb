using CancelService.Application.Clients;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Payments;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Intake;

/// <summary>The core registers a payment.</summary>
/// <param name="ClientId">The client whose payment it is.</param>
/// <param name="PaymentId">The wallet's identifier.</param>
/// <param name="PaymentRequestId">The merchant's identifier.</param>
/// <param name="Kind">Whether money is taken at once or held first.</param>
/// <param name="MinorUnits">The full amount, in minor units.</param>
/// <param name="Currency">Three letters (ISO 4217).</param>
/// <param name="InitiatedAt">The time of the initiation, stored to the microsecond.</param>
/// <param name="Payer">The core's name for the payer, at most 128 characters.</param>
/// <param name="Actor">The subject of the caller's token, for the history.</param>
public sealed record RegisterPaymentCommand(
    string ClientId,
    string PaymentId,
    string? PaymentRequestId,
    PaymentKind? Kind,
    long? MinorUnits,
    string? Currency,
    DateTimeOffset? InitiatedAt,
    string? Payer,
    string Actor
) : IRequest<RegisterPaymentResult>;

/// <summary>The result of a <see cref="RegisterPaymentCommand"/>: exactly one of eight.</summary>
public abstract record RegisterPaymentResult : IValidated<RegisterPaymentResult>
{
    private RegisterPaymentResult() { }

    /// <summary>The payment is registered now.</summary>
    public sealed record Registered(Payment Payment) : RegisterPaymentResult;

    /// <summary>The payment was registered earlier, with the same content.</summary>
    public sealed record Known(Payment Payment) : RegisterPaymentResult;

    /// <summary>
    /// A member of the command is missing or malformed; the message names it and says what it must be.
    /// </summary>
    public sealed record Malformed(string Message) : RegisterPaymentResult;

    /// <summary>No client has this identifier.</summary>
    public sealed record ClientNotFound : RegisterPaymentResult;

    /// <summary>The payment is registered with other content, which stays.</summary>
    public sealed record PaymentDiffers : RegisterPaymentResult;

    /// <summary>One of the two identifiers is mapped to another payment, for ever.</summary>
    public sealed record MappingConflict : RegisterPaymentResult;

    /// <summary>An early cancel was answered ORDER_NOT_EXIST at this time (UTC), so the payment is refused.</summary>
    public sealed record CancelledBeforeArrival(DateTimeOffset RefusedAt) : RegisterPaymentResult;

    /// <summary>It is not known whether the payment is registered; repeating the command resolves it.</summary>
    public sealed record Unknown : RegisterPaymentResult;

    /// <inheritdoc/>
    public static RegisterPaymentResult Invalid(string message) => new Malformed(message);
}

/// <summary>The shape of a registration.</summary>
public sealed class RegisterPaymentValidator : AbstractValidator<RegisterPaymentCommand>
{
    /// <summary>The longest name of a payer, in UTF-16 code units.</summary>
    public const int MaxPayer = 128;

    /// <summary>The tolerance for a core's clock that is ahead of ours.</summary>
    public static readonly TimeSpan MaxAhead = TimeSpan.FromMinutes(5);

    /// <summary>Sets the rules up.</summary>
    public RegisterPaymentValidator(TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(c => c.ClientId).ClientId();
        RuleFor(c => c.PaymentId).Id("paymentId");
        RuleFor(c => c.PaymentRequestId).Id("paymentRequestId");
        RuleFor(c => c.Kind).NotNull().WithMessage("kind must be PAYMENT or AUTHORIZATION.");
        RuleFor(c => c.MinorUnits).Amount();
        RuleFor(c => c.Currency).Currency();
        RuleFor(c => c.InitiatedAt)
            .Must(at => at is not null && at.Value.Year >= 2000 && at.Value <= time.GetUtcNow() + MaxAhead)
            .WithMessage(
                "initiatedAt must be a time with an offset, since 2000 and at most five minutes ahead of our clock."
            );
        RuleFor(c => c.Payer)
            .Must(payer => payer is null || (payer.Length is > 0 and <= MaxPayer && !payer.Any(char.IsControl)))
            .WithMessage($"payer must be 1 to {MaxPayer} characters, or left out.");
    }
}

/// <summary>Registers a payment. Unique keys arbitrate races with another registration or an early cancel.</summary>
public sealed class RegisterPaymentHandler(IPayments payments, IClients clients, Races races, TimeProvider time)
    : IRequestHandler<RegisterPaymentCommand, RegisterPaymentResult>
{
    /// <inheritdoc/>
    public async Task<RegisterPaymentResult> Handle(RegisterPaymentCommand request, CancellationToken cancellationToken)
    {
        var clientId = new ClientId(request.ClientId);
        if (await clients.Find(clientId, cancellationToken) is not { } client)
            return new RegisterPaymentResult.ClientNotFound();

        foreach (var _ in races.Attempts("register", clientId, request.PaymentId))
        {
            var now = time.GetUtcNow();
            var (payment, change) = Payment.Register(
                clientId,
                new PaymentId(request.PaymentId),
                new PaymentRequestId(request.PaymentRequestId!),
                request.Kind!.Value,
                new Money(request.MinorUnits!.Value, new Currency(request.Currency!)),
                request.InitiatedAt!.Value,
                now,
                request.Payer
            );

            var earlier = await payments.FindRegistration(
                clientId,
                payment.Id,
                payment.RequestId,
                now,
                cancellationToken
            );
            switch (earlier)
            {
                case EarlierRegistration.Known known:
                    return Compare(known.Payment, payment);
                case EarlierRegistration.EarlyCancel early when client.Contract.RememberUnknown:
                    return new RegisterPaymentResult.CancelledBeforeArrival(early.RefusedAt);
            }

            var written = await payments.Register(
                payment,
                change,
                request.Actor,
                despiteEarlyCancel: !client.Contract.RememberUnknown,
                cancellationToken
            );
            if (written is WriteResult.Written)
                return new RegisterPaymentResult.Registered(payment);
        }

        return new RegisterPaymentResult.Unknown();
    }

    private static RegisterPaymentResult Compare(Payment known, Payment given) =>
        known.Id != given.Id || known.RequestId != given.RequestId ? new RegisterPaymentResult.MappingConflict()
        : known.IsSameAs(given) ? new RegisterPaymentResult.Known(known)
        : new RegisterPaymentResult.PaymentDiffers();
}
