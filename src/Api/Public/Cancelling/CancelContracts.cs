using System.Globalization;
using System.Text.Json;
using AutoMapper;
using CancelService.Application.Cancelling;
using CancelService.Application.Protocol;
using CancelService.Domain;

namespace CancelService.Api.Public.Cancelling;

/// <summary>The body of the answer to a successful cancel.</summary>
public sealed record CancelResponse(
    WireResult Result,
    string PaymentId,
    string PaymentRequestId,
    string CancelTime,
    string? ExtendInfo
);

/// <summary>The mappings from the application to the wire; a test asserts that they are complete.</summary>
public sealed class WireProfile : Profile
{
    /// <summary>Sets the mappings up.</summary>
    /// <param name="zone">The wallet's time zone, in which times are written.</param>
    public WireProfile(TimeZoneInfo zone)
    {
        CreateMap<PaymentId, string>().ConvertUsing(id => id.Value);
        CreateMap<PaymentRequestId, string>().ConvertUsing(id => id.Value);
        CreateMap<CancellationReceipt, CancelResponse>()
            .ForCtorParam(nameof(CancelResponse.Result), to => to.MapFrom(_ => WireResult.Of(ResultCode.Success)))
            .ForCtorParam(
                nameof(CancelResponse.CancelTime),
                to => to.MapFrom(receipt => Iso8601(receipt.CancelTime, zone))
            )
            // A field without a value is left out.
            .ForCtorParam(
                nameof(CancelResponse.ExtendInfo),
                to => to.MapFrom(receipt => string.IsNullOrEmpty(receipt.ExtendInfo) ? null : receipt.ExtendInfo)
            );
    }

    private static string Iso8601(DateTimeOffset time, TimeZoneInfo zone) =>
        TimeZoneInfo.ConvertTime(time, zone).ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);
}

/// <summary>Writes the answer that is stored with a cancellation.</summary>
public sealed class ReceiptFormat(IMapper mapper) : IReceiptFormat
{
    /// <inheritdoc/>
    public byte[] Write(CancellationReceipt receipt) =>
        JsonSerializer.SerializeToUtf8Bytes(mapper.Map<CancelResponse>(receipt), WireJson.Options);
}
