using System.Text.Json;
using AutoMapper;
using CancelService.Api.Exchange;
using CancelService.Application.Cancelling;
using CancelService.Domain.Payments;
using CancelService.Protocol;

namespace CancelService.Api.Operations.Cancel;

/// <summary>
/// The request to cancel a payment. At least one identifier is required; unknown members are ignored.
/// </summary>
/// <param name="PaymentId">
/// The wallet's identifier, 1 to 64 letters, digits, '_', '-' or '.'; it decides when both are given.
/// </param>
/// <param name="PaymentRequestId">The merchant's identifier, 1 to 64 letters, digits, '_', '-' or '.'.</param>
/// <param name="ExtendInfo">Text for the answer, at most 4096 characters; usually JSON.</param>
public sealed record CancelRequest(
    string? PaymentId = null,
    string? PaymentRequestId = null,
    string? ExtendInfo = null
);

/// <summary>
/// The answer to a cancel. Only a success has more than the result; every repeat of it has the same bytes.
/// </summary>
/// <param name="Result">The outcome.</param>
/// <param name="PaymentId">The wallet's identifier, as stored.</param>
/// <param name="PaymentRequestId">The merchant's identifier, as stored.</param>
/// <param name="CancelTime">
/// The time of the cancel: ISO 8601 in the wallet's time zone, such as 2021-06-08T12:12:12+08:00.
/// </param>
/// <param name="ExtendInfo">The extendInfo of the first successful cancel; left out when it had none.</param>
public sealed record CancelAnswer(
    WireResult Result,
    string? PaymentId = null,
    string? PaymentRequestId = null,
    string? CancelTime = null,
    string? ExtendInfo = null
);

/// <summary>Maps a cancelled payment to its answer. A test asserts that the mapping is complete.</summary>
public sealed class WireProfile : Profile
{
    /// <summary>Creates the mapping.</summary>
    /// <param name="clock">Writes times in the wallet's time zone.</param>
    public WireProfile(WalletClock clock) =>
        CreateMap<Payment, CancelAnswer>()
            .ForCtorParam(nameof(CancelAnswer.Result), to => to.MapFrom(_ => WireResult.Of(ResultCode.Success)))
            .ForCtorParam(nameof(CancelAnswer.PaymentId), to => to.MapFrom(payment => payment.Id.Value))
            .ForCtorParam(nameof(CancelAnswer.PaymentRequestId), to => to.MapFrom(payment => payment.RequestId.Value))
            .ForCtorParam(
                nameof(CancelAnswer.CancelTime),
                to => to.MapFrom(payment => clock.Seconds(payment.Cancellation!.CancelledAt))
            )
            // Comes from the request, not the payment.
            .ForCtorParam(nameof(CancelAnswer.ExtendInfo), to => to.MapFrom(_ => (string?)null));
}

/// <summary>Serialises the answer that is stored with a cancellation.</summary>
public sealed class ReceiptFormat(IMapper mapper) : IReceiptFormat
{
    /// <inheritdoc/>
    public byte[] Write(Payment cancelled, string? extendInfo)
    {
        var answer = mapper.Map<CancelAnswer>(cancelled) with
        {
            ExtendInfo = string.IsNullOrEmpty(extendInfo) ? null : extendInfo,
        };
        return JsonSerializer.SerializeToUtf8Bytes(answer, WireJson.Options);
    }
}
