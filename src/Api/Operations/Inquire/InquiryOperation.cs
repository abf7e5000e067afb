using System.Text.Json;
using CancelService.Api.Exchange;
using CancelService.Application.Inquiring;
using CancelService.Domain.Clients;
using CancelService.Protocol;
using MediatR;

namespace CancelService.Api.Operations.Inquire;

/// <summary>
/// The operation <c>POST /v2/payments/inquiryPayment</c>, which reads a payment's state. The result tells whether the
/// inquiry was answered, never the payment's state. Nothing is written, and a repeat may answer otherwise.
/// </summary>
public sealed class InquiryOperation(IMediator mediator, WalletClock clock) : IOperation
{
    private static readonly string[] Known = ["paymentId", "paymentRequestId"];

    /// <inheritdoc/>
    public string Name => "inquiry";

    /// <inheritdoc/>
    public string Path => "/v2/payments/inquiryPayment";

    /// <inheritdoc/>
    public IReadOnlyList<ResultCode> Order { get; } =
    [
        .. SignedExchange.Order,
        ResultCode.ParamIllegal,
        ResultCode.AccessDenied,
        ResultCode.OrderNotExist,
        ResultCode.Success,
    ];

    /// <inheritdoc/>
    public IReadOnlyList<string> Members => Known;

    /// <inheritdoc/>
    public OperationDescription Description { get; } =
        new("Tells how a payment stands, without changing it", typeof(InquiryRequest), typeof(InquiryAnswer));

    /// <inheritdoc/>
    public string Problem(IReadOnlyList<string?> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return InquirePaymentValidator.Problem(values[0], values[1]);
    }

    /// <inheritdoc/>
    public RequestRate RateOf(Contract contract)
    {
        ArgumentNullException.ThrowIfNull(contract);
        return new(contract.InquiriesPerSecond, contract.InquiryBurst);
    }

    /// <inheritdoc/>
    public async Task<Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var members = StringMembers.Read(request.Body, Known);
        if (members is not StringMembers.Given { Values: [var paymentId, var paymentRequestId] })
            return Answer.Illegal(((StringMembers.Illegal)members).Problem);

        var query = new InquirePaymentQuery(request.Client, paymentId, paymentRequestId);
        return ToAnswer(await mediator.Send(query, cancellationToken), request.Client.Contract)
            .Naming(paymentId, paymentRequestId);
    }

    /// <inheritdoc/>
    public Answer Conclude(Answer answer, VerifiedRequest request)
    {
        ArgumentNullException.ThrowIfNull(answer);
        return answer.NamedBy(request);
    }

    private Answer ToAnswer(InquirePaymentResult result, Contract contract) =>
        result switch
        {
            InquirePaymentResult.Found { Payment: var payment } => new Answer(
                ResultCode.Success,
                JsonSerializer.SerializeToUtf8Bytes(InquiryAnswer.Of(payment, contract, clock), WireJson.Options)
            )
            {
                IsFromDatabase = true,
            },
            InquirePaymentResult.NotFound => Answer.Of(ResultCode.OrderNotExist) with { IsFromDatabase = true },
            InquirePaymentResult.Malformed malformed => Answer.Illegal(malformed.Message),
            _ => Answer.Of(ResultCode.AccessDenied),
        };
}
