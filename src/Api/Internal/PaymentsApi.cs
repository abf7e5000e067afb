using System.Diagnostics;
using System.Security.Claims;
using CancelService.Application.Intake;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using MediatR;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>An amount of money.</summary>
/// <param name="MinorUnits">The amount in minor units (cents) of the currency, 1 to 10^15.</param>
/// <param name="Currency">The currency, three capital letters (ISO 4217).</param>
public sealed record AmountBody(long? MinorUnits, string? Currency);

/// <summary>A payment to register.</summary>
/// <param name="PaymentRequestId">The merchant's identifier, 1 to 64 letters, digits, '_', '-' or '.'.</param>
/// <param name="Amount">The full amount.</param>
/// <param name="Kind">PAYMENT takes the money at once; AUTHORIZATION holds it first.</param>
/// <param name="InitiatedAt">
/// The time of the initiation, since 2000 and at most five minutes ahead of our clock; stored to the microsecond. The
/// cancel window counts from it.
/// </param>
/// <param name="Payer">The core's name for the payer, 1 to 128 characters; may be left out.</param>
public sealed record RegisterBody(
    string? PaymentRequestId,
    AmountBody? Amount,
    PaymentKind? Kind,
    DateTimeOffset? InitiatedAt,
    string? Payer = null
);

/// <summary>A report of the core.</summary>
/// <param name="EventId">
/// The core's identifier of the report, 1 to 64 letters, digits, '_', '-' or '.'; it makes the report idempotent.
/// </param>
/// <param name="Amount">The captured or refunded amount; required for capture and refund, otherwise ignored.</param>
public sealed record ReportBody(string? EventId, AmountBody? Amount = null);

/// <summary>
/// Endpoints for the core to register payments and report changes, and for everyone to read payments.
/// </summary>
public static class PaymentsApi
{
    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapPayments(this RouteGroupBuilder internalApi)
    {
        var payments = internalApi.MapGroup("/clients/{clientId}/payments").WithTags("Payments");
        payments.MapPut("/{paymentId}", Register).RequireAuthorization(Scopes.PaymentsWrite);
        payments.MapGet("/{paymentId}", Get).RequireAuthorization(Scopes.PaymentsRead);
        payments.MapGet("/", GetByRequestId).RequireAuthorization(Scopes.PaymentsRead);

        internalApi.MapGet("/payments", FindAnywhere).RequireAuthorization(Scopes.PaymentsRead).WithTags("Payments");

        var reports = payments.MapGroup("/{paymentId}").RequireAuthorization(Scopes.PaymentsWrite);
        MapReport(reports, "authorize", PaymentAction.Authorize, "The payer's money is on hold");
        MapReport(reports, "succeed", PaymentAction.Succeed, "The payer has paid in full");
        MapReport(reports, "capture", PaymentAction.Capture, "Held money is taken, in part or in full");
        MapReport(reports, "refund", PaymentAction.Refund, "Money is returned to the payer, in part or in full");
        MapReport(reports, "fail", PaymentAction.Fail, "The payment has failed, or its hold has lapsed");
    }

    /// <summary>
    /// Registers a payment. Idempotent: 201 first, 200 for repeats. 409: the identifiers or the content differ from an
    /// earlier registration, or an early cancel refuses the payment.
    /// </summary>
    public static async Task<Results<Created<PaymentView>, Ok<PaymentView>, ProblemHttpResult>> Register(
        string clientId,
        string paymentId,
        RegisterBody body,
        ClaimsPrincipal caller,
        IMediator mediator,
        CancellationToken cancellationToken
    )
    {
        var result = await mediator.Send(
            new RegisterPaymentCommand(
                clientId,
                paymentId,
                body.PaymentRequestId,
                body.Kind,
                body.Amount?.MinorUnits,
                body.Amount?.Currency,
                body.InitiatedAt,
                body.Payer,
                caller.Actor()
            ),
            cancellationToken
        );
        return result switch
        {
            RegisterPaymentResult.Registered registered => TypedResults.Created(
                (string?)null,
                PaymentView.Of(registered.Payment)
            ),
            RegisterPaymentResult.Known known => TypedResults.Ok(PaymentView.Of(known.Payment)),
            RegisterPaymentResult.Malformed malformed => Problems.Invalid(malformed.Message),
            RegisterPaymentResult.ClientNotFound => Problems.NotFound("client"),
            RegisterPaymentResult.PaymentDiffers => Problems.PaymentDiffers(),
            RegisterPaymentResult.MappingConflict => Problems.MappingConflict(),
            RegisterPaymentResult.CancelledBeforeArrival early => Problems.CancelledBeforeArrival(early.RefusedAt),
            RegisterPaymentResult.Unknown => Problems.OutcomeUnknown(),
            _ => throw new UnreachableException($"{result} has no status."),
        };
    }

    /// <summary>Finds a payment of a client by the wallet's paymentId, with its details.</summary>
    public static async Task<Results<Ok<PaymentDetailView>, ProblemHttpResult>> Get(
        string clientId,
        string paymentId,
        IPaymentQueries queries,
        CancellationToken cancellationToken
    ) =>
        ClientId.IsWellFormed(clientId)
        && Identifier.IsWellFormed(paymentId)
        && await queries.Payment(new ClientId(clientId), new PaymentId(paymentId), cancellationToken) is { } payment
            ? TypedResults.Ok(payment)
            : Problems.NotFound("payment");

    /// <summary>Finds a payment of a client by the merchant's paymentRequestId, with its details.</summary>
    public static async Task<Results<Ok<PaymentDetailView>, ProblemHttpResult>> GetByRequestId(
        string clientId,
        string? paymentRequestId,
        IPaymentQueries queries,
        CancellationToken cancellationToken
    )
    {
        if (!Identifier.IsWellFormed(paymentRequestId))
            return Problems.Invalid($"paymentRequestId {Identifier.Rule}.");
        return
            ClientId.IsWellFormed(clientId)
            && await queries.PaymentIdOf(
                new ClientId(clientId),
                new PaymentRequestId(paymentRequestId!),
                cancellationToken
            )
                is { } paymentId
            ? await Get(clientId, paymentId.Value, queries, cancellationToken)
            : Problems.NotFound("payment");
    }

    /// <summary>
    /// Finds payments of all clients by paymentId or paymentRequestId, at most 100, in the order of the clients.
    /// </summary>
    public static async Task<Results<Ok<Page<PaymentView>>, ProblemHttpResult>> FindAnywhere(
        string? id,
        IPaymentQueries queries,
        CancellationToken cancellationToken
    ) =>
        Identifier.IsWellFormed(id)
            ? TypedResults.Ok(new Page<PaymentView>(await queries.Payments(id!, cancellationToken), null))
            : Problems.Invalid($"id {Identifier.Rule}.");

    private static void MapReport(RouteGroupBuilder reports, string path, PaymentAction action, string summary) =>
        reports
            .MapPost(
                path,
                (
                    string clientId,
                    string paymentId,
                    ReportBody body,
                    ClaimsPrincipal caller,
                    IMediator mediator,
                    CancellationToken cancellationToken
                ) => Report(clientId, paymentId, action, body, caller, mediator, cancellationToken)
            )
            .WithSummary(summary);

    private static async Task<Results<Ok<PaymentView>, ProblemHttpResult>> Report(
        string clientId,
        string paymentId,
        PaymentAction action,
        ReportBody body,
        ClaimsPrincipal caller,
        IMediator mediator,
        CancellationToken cancellationToken
    )
    {
        var result = await mediator.Send(
            new ReportPaymentCommand(
                clientId,
                paymentId,
                action,
                body.EventId,
                body.Amount?.MinorUnits,
                body.Amount?.Currency,
                caller.Actor()
            ),
            cancellationToken
        );
        return result switch
        {
            ReportPaymentResult.Applied applied => TypedResults.Ok(PaymentView.Of(applied.Payment)),
            ReportPaymentResult.Late late => Problems.PaymentCancelled(late.Payment, late.Remedy),
            ReportPaymentResult.Refused refused => refused.Reason switch
            {
                ReportRefusal.Impossible => Problems.TransitionRefused(refused.Payment),
                ReportRefusal.BalanceNotEnough => Problems.BalanceNotEnough(),
                ReportRefusal.BalanceLimit => Problems.BalanceLimit(),
            },
            ReportPaymentResult.Malformed malformed => Problems.Invalid(malformed.Message),
            ReportPaymentResult.PaymentNotFound => Problems.NotFound("payment"),
            ReportPaymentResult.EventDiffers => Problems.EventDiffers(),
            ReportPaymentResult.Unknown => Problems.OutcomeUnknown(),
            _ => throw new UnreachableException($"{result} has no status."),
        };
    }
}
