using CancelService.Application.Cancelling;
using CancelService.Application.Payments;
using CancelService.Application.Protocol;
using CancelService.Domain;
using MediatR;

namespace CancelService.Api.Public.Cancelling;

/// <summary><c>POST /v2/payments/cancel</c>.</summary>
public sealed class CancelOperation(IMediator mediator) : IOperation
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
        var result = await mediator.Send(command, cancellationToken);
        return ToAnswer(result) with { PaymentId = ForLog(paymentId), PaymentRequestId = ForLog(paymentRequestId) };
    }

    private static Answer ToAnswer(CancelPaymentResult result) =>
        result switch
        {
            CancelPaymentResult.Cancelled cancelled => new Answer(ResultCode.Success, cancelled.Answer),
            CancelPaymentResult.Refused refused => Answer.Of(ResultCode.Of(refused.Reason)),
            CancelPaymentResult.Malformed malformed => Answer.Illegal(malformed.Message),
            _ => Answer.Of(ResultCode.UnknownException) with { Reason = "every attempt lost a race" },
        };

    private static string? ForLog(string? id) => Identifier.IsWellFormed(id) ? id : null;
}
