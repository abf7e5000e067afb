using CancelService.Application.Cancelling;
using CancelService.Application.Payments;
using CancelService.Application.Protocol;
using CancelService.Domain;
using MediatR;

namespace CancelService.Api.Public.Cancelling;

/// <summary><c>POST /v2/payments/cancel</c>.</summary>
public sealed class CancelOperation(IMediator mediator, IRefusedCancels refusedCancels, TimeProvider time) : IOperation
{
    /// <summary>The path without prefix.</summary>
    public const string Route = "/v2/payments/cancel";

    private static readonly string[] Members = ["paymentId", "paymentRequestId", "extendInfo"];

    /// <inheritdoc/>
    public string Path => Route;

    /// <inheritdoc/>
    public async Task<Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var members = StringMembers.Read(request.Body, Members);
        if (members is not StringMembers.Given { Values: [var paymentId, var paymentRequestId, var extendInfo] })
            return Answer.Illegal(((StringMembers.Illegal)members).Problem);

        var command = new CancelPaymentCommand(
            request.Client,
            paymentId,
            paymentRequestId,
            extendInfo,
            new Canceller(request.KeyVersion, request.TraceId)
        );
        var answer = ToAnswer(await mediator.Send(command, cancellationToken));
        return answer with { PaymentId = WellFormed(paymentId), PaymentRequestId = WellFormed(paymentRequestId) };
    }

    /// <inheritdoc/>
    public Answer Conclude(Answer answer, VerifiedRequest request)
    {
        ArgumentNullException.ThrowIfNull(answer);
        ArgumentNullException.ThrowIfNull(request);
        if (answer.Code == ResultCode.Success)
            return answer;
        var named = Named(answer, request.Body);
        if ((named.PaymentId ?? named.PaymentRequestId) is not null)
            refusedCancels.Note(
                new(
                    request.Client.Id,
                    named.PaymentId ?? "",
                    named.PaymentRequestId ?? "",
                    answer.Code.Code,
                    request.KeyVersion,
                    request.TraceId,
                    time.GetUtcNow()
                )
            );
        return named;
    }

    // An answer of the exchange (the database is away) does not name the payment yet.
    private static Answer Named(Answer answer, RequestBody.Whole body) =>
        answer is { PaymentId: null, PaymentRequestId: null }
        && StringMembers.Read(body, Members) is StringMembers.Given { Values: [var paymentId, var paymentRequestId, _] }
            ? answer with
            {
                PaymentId = WellFormed(paymentId),
                PaymentRequestId = WellFormed(paymentRequestId),
            }
            : answer;

    private static Answer ToAnswer(CancelPaymentResult result) =>
        result switch
        {
            CancelPaymentResult.Cancelled cancelled => new Answer(ResultCode.Success, cancelled.Answer),
            CancelPaymentResult.Refused refused => Answer.Of(ResultCode.Of(refused.Reason)),
            CancelPaymentResult.Malformed malformed => Answer.Illegal(malformed.Message),
            _ => Answer.Of(ResultCode.UnknownException) with { Reason = "every attempt lost a race" },
        };

    private static string? WellFormed(string? id) => Identifier.IsWellFormed(id) ? id : null;
}
