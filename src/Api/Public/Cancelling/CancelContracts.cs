using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using AutoMapper;
using CancelService.Application.Cancelling;
using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.Api.Public.Cancelling;

/// <summary>A verified client's request to cancel: the members that we know of its body.</summary>
public sealed record CancelRequest(Client Client, string? PaymentId, string? PaymentRequestId, string? ExtendInfo)
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>
    /// Reads a body. Members that we do not know are ignored, null counts as absent; what is not a JSON object in UTF-8,
    /// holds a member twice, or has a member of a wrong type is refused with a message that says so.
    /// </summary>
    public static CancelRequest? Parse(Client client, byte[] body, out string problem)
    {
        problem = "The body must be a JSON object in UTF-8, with no member twice.";
        if (!Utf8.IsValid(body))
            return null;
        try
        {
            using var document = JsonDocument.Parse(body, Strict);
            if (document.RootElement.ValueKind is not JsonValueKind.Object)
                return null;

            var members = new string?[3];
            string[] names = ["paymentId", "paymentRequestId", "extendInfo"];
            for (var i = 0; i < names.Length; i++)
            {
                if (!document.RootElement.TryGetProperty(names[i], out var member))
                    continue;
                if (member.ValueKind is not (JsonValueKind.String or JsonValueKind.Null))
                {
                    problem = $"{names[i]} must be a string.";
                    return null;
                }
                members[i] = member.GetString();
            }
            return new CancelRequest(client, members[0], members[1], members[2]);
        }
        // InvalidOperationException: a string that is no text, such as half of a surrogate pair.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}

/// <summary>The body of the answer to a successful cancel.</summary>
public sealed record CancelResponse(
    WireResult Result,
    string PaymentId,
    string PaymentRequestId,
    string CancelTime,
    string? ExtendInfo
);

/// <summary>The mappings between the wire and the application; a test asserts that they are complete.</summary>
public sealed class WireProfile : Profile
{
    /// <summary>Sets the mappings up.</summary>
    /// <param name="zone">The wallet's time zone, in which times are written.</param>
    public WireProfile(TimeZoneInfo zone)
    {
        CreateMap<CancelRequest, CancelPaymentCommand>();
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
