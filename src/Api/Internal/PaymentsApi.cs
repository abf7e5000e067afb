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

/// <summary>An amount: minor units (cents) of an ISO 4217 currency.</summary>
public sealed record AmountBody(long? MinorUnits, string? Currency);

/// <summary>What the core says of a payment when it makes it known.</summary>
public sealed record RegisterBody(
    string? PaymentRequestId,
    AmountBody? Amount,
    PaymentKind? Kind,
    DateTimeOffset? InitiatedAt,
    string? Payer = null
);

/// <summary>What the core reports; captures and refunds have an amount.</summary>
public sealed record ReportBody(string? EventId, AmountBody? Amount = null);

/// <summary>The core's side: payments are made known, and what happens to them is reported.</summary>
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
        MapReport(reports, "succeed", PaymentAction.Succeed, "The payer has paid, in full");
        MapReport(reports, "capture", PaymentAction.Capture, "Some or all of the held money is taken");
        MapReport(reports, "refund", PaymentAction.Refund, "Money went back to the payer");
        MapReport(reports, "fail", PaymentAction.Fail, "The payment did not come about, or its hold has lapsed");
    }

    /// <summary>Makes a payment known. Idempotent: 201 the first time, 200 afterwards.</summary>
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

    /// <summary>The payment with its history and its transfers.</summary>
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

    /// <summary>The same, by the merchant's identifier.</summary>
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
    /// Finds payments when only an identifier is known, the wallet's or a merchant's. Looks at all clients, and returns at
    /// most 100 payments.
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
