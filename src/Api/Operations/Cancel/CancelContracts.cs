using System.Text.Json;
using AutoMapper;
using CancelService.Api.Exchange;
using CancelService.Application.Cancelling;
using CancelService.Domain.Payments;
using CancelService.Protocol;

namespace CancelService.Api.Operations.Cancel;

/// <summary>The members of a cancel's request that are known. Others are ignored.</summary>
public sealed record CancelRequest(
    string? PaymentId = null,
    string? PaymentRequestId = null,
    string? ExtendInfo = null
);

/// <summary>The members of an answer to a cancel. All but the result are there on success only.</summary>
public sealed record CancelAnswer(
    WireResult Result,
    string? PaymentId = null,
    string? PaymentRequestId = null,
    string? CancelTime = null,
    string? ExtendInfo = null
);

/// <summary>The body of the answer to a successful cancel.</summary>
public sealed record CancelResponse(WireResult Result, string PaymentId, string PaymentRequestId, string CancelTime)
{
    /// <summary>As given with the cancel; left out when there was none.</summary>
    public string? ExtendInfo { get; init; }
}

/// <summary>The mapping from the cancelled payment to the wire; a test asserts that it is complete.</summary>
public sealed class WireProfile : Profile
{
    /// <summary>Sets the mapping up.</summary>
    /// <param name="clock">Writes times in the wallet's zone.</param>
    public WireProfile(WalletClock clock) =>
        CreateMap<Payment, CancelResponse>()
            .ForCtorParam(nameof(CancelResponse.Result), to => to.MapFrom(_ => WireResult.Of(ResultCode.Success)))
            .ForCtorParam(nameof(CancelResponse.PaymentId), to => to.MapFrom(payment => payment.Id.Value))
            .ForCtorParam(nameof(CancelResponse.PaymentRequestId), to => to.MapFrom(payment => payment.RequestId.Value))
            .ForCtorParam(
                nameof(CancelResponse.CancelTime),
                to => to.MapFrom(payment => clock.Seconds(payment.Cancellation!.CancelledAt))
            )
            .ForMember(response => response.ExtendInfo, to => to.Ignore()); // It is the request's, not the payment's.
}

/// <summary>Writes the answer that is stored with a cancellation.</summary>
public sealed class ReceiptFormat(IMapper mapper) : IReceiptFormat
{
    /// <inheritdoc/>
    public byte[] Write(Payment cancelled, string? extendInfo)
    {
        var response = mapper.Map<CancelResponse>(cancelled) with
        {
            ExtendInfo = string.IsNullOrEmpty(extendInfo) ? null : extendInfo,
        };
        return JsonSerializer.SerializeToUtf8Bytes(response, WireJson.Options);
    }
}
