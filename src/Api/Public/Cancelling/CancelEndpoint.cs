using AutoMapper;
using CancelService.Application.Cancelling;
using CancelService.Domain;
using CancelService.Domain.Clients;
using MediatR;

namespace CancelService.Api.Public.Cancelling;

/// <summary><c>POST /v2/payments/cancel</c>, behind a verified signature.</summary>
public sealed class CancelEndpoint(IMapper mapper, IMediator mediator)
{
    /// <summary>The path, without prefix.</summary>
    public const string Path = "/v2/payments/cancel";

    /// <summary>Answers a verified client's request with the code of its outcome.</summary>
    public async Task<Answer> Cancel(Client client, byte[] body, CancellationToken cancellationToken)
    {
        if (CancelRequest.Parse(client, body, out var problem) is not { } request)
            return Answer.Of(ResultCode.ParamIllegal.Because(problem));

        var result = await mediator.Send(mapper.Map<CancelPaymentCommand>(request), cancellationToken);
        var answer = result.Outcome switch
        {
            CancelOutcome.Invalid => Answer.Of(ResultCode.ParamIllegal.Because(result.Message!)),
            CancelOutcome.AccessDenied => Answer.Of(ResultCode.AccessDenied),
            CancelOutcome.NotFound => Answer.Of(ResultCode.OrderNotExist),
            CancelOutcome.WindowClosed => Answer.Of(ResultCode.CancelWindowExceed),
            CancelOutcome.MoneyMoved => Answer.Of(ResultCode.ProcessFail),
            CancelOutcome.BalanceNotEnough => Answer.Of(ResultCode.MerchantBalanceNotEnough),
            CancelOutcome.Cancelled => new Answer(ResultCode.Success, result.Answer!),
            CancelOutcome.Unknown => Answer.Of(ResultCode.UnknownException),
        };
        return answer with
        {
            PaymentId = ForLog(request.PaymentId),
            PaymentRequestId = ForLog(request.PaymentRequestId),
        };
    }

    private static string? ForLog(string? id) => Identifier.IsWellFormed(id) ? id : null;
}
