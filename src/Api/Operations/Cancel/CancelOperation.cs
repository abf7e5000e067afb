using System.Diagnostics;
using CancelService.Api.Exchange;
using CancelService.Application.Cancelling;
using CancelService.Application.Payments;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Protocol;
using MediatR;

namespace CancelService.Api.Operations.Cancel;

/// <summary>The operation <c>POST /v2/payments/cancel</c>.</summary>
public sealed class CancelOperation(IMediator mediator, IRefusedCancels refusedCancels, TimeProvider time) : IOperation
{
    /// <summary>The path without prefix.</summary>
    public const string Route = "/v2/payments/cancel";

    /// <summary>The value of <see cref="Order"/>.</summary>
    public static readonly IReadOnlyList<ResultCode> Codes =
    [
        .. SignedExchange.Order,
        ResultCode.ParamIllegal,
        ResultCode.AccessDenied,
        ResultCode.OrderNotExist,
        ResultCode.Success, // The stored answer outranks the rules below.
        ResultCode.CancelWindowExceed,
        ResultCode.ProcessFail,
        ResultCode.MerchantBalanceNotEnough,
        ResultCode.Success,
    ];

    private static readonly string[] Known = ["paymentId", "paymentRequestId", "extendInfo"];

    /// <inheritdoc/>
    public string Name => "cancel";

    /// <inheritdoc/>
    public string Path => Route;

    /// <inheritdoc/>
    public IReadOnlyList<ResultCode> Order => Codes;

    /// <inheritdoc/>
    public IReadOnlyList<string> Members => Known;

    /// <inheritdoc/>
    public OperationDescription Description { get; } =
        new("Cancels a payment in full, once and for ever", typeof(CancelRequest), typeof(CancelAnswer));

    /// <inheritdoc/>
    public string Problem(IReadOnlyList<string?> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return CancelPaymentValidator.Problem(values[0], values[1], values[2]);
    }

    /// <inheritdoc/>
    public RequestRate RateOf(Contract contract)
    {
        ArgumentNullException.ThrowIfNull(contract);
        return new(contract.RequestsPerSecond, contract.Burst);
    }

    /// <inheritdoc/>
    public async Task<Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var members = StringMembers.Read(request.Body, Known);
        if (members is not StringMembers.Given { Values: [var paymentId, var paymentRequestId, var extendInfo] })
            return Answer.Illegal(((StringMembers.Illegal)members).Problem);

        var command = new CancelPaymentCommand(
            request.Client,
            paymentId,
            paymentRequestId,
            extendInfo,
            new Canceller(request.KeyVersion, request.TraceId)
        );
        return ToAnswer(await mediator.Send(command, cancellationToken)).Naming(paymentId, paymentRequestId);
    }

    /// <inheritdoc/>
    public Answer Conclude(Answer answer, VerifiedRequest request)
    {
        ArgumentNullException.ThrowIfNull(answer);
        ArgumentNullException.ThrowIfNull(request);
        var named = answer.NamedBy(request);
        if (answer.Code != ResultCode.Success && (named.PaymentId ?? named.PaymentRequestId) is not null)
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

    private static Answer ToAnswer(CancelPaymentResult result) =>
        result switch
        {
            CancelPaymentResult.Cancelled cancelled => new Answer(ResultCode.Success, cancelled.Answer)
            {
                IsFinal = true,
                IsFromDatabase = true,
            },
            CancelPaymentResult.Refused refused => Answer.Of(CodeOf(refused.Reason)) with
            {
                IsFromDatabase = refused.Reason is not CancelRefusal.AccessDenied,
            },
            CancelPaymentResult.Malformed malformed => Answer.Illegal(malformed.Message),
            _ => Answer.Of(ResultCode.UnknownException) with { Reason = "every attempt lost a race" },
        };

    /// <summary>Returns the code of a refusal. A test asserts that every refusal has a code.</summary>
    public static ResultCode CodeOf(CancelRefusal refusal) =>
        refusal switch
        {
            CancelRefusal.AccessDenied => ResultCode.AccessDenied,
            CancelRefusal.NotFound => ResultCode.OrderNotExist,
            CancelRefusal.WindowClosed => ResultCode.CancelWindowExceed,
            CancelRefusal.MoneyMoved => ResultCode.ProcessFail,
            CancelRefusal.BalanceNotEnough => ResultCode.MerchantBalanceNotEnough,
            _ => throw new UnreachableException($"{refusal} has no code."),
        };
}
