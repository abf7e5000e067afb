using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using CancelService.Domain;
using CancelService.Protocol;

namespace CancelService.Api.Exchange;

/// <summary>An answer of the API before it is signed, with what the log says about it.</summary>
/// <param name="Code">The code in the body.</param>
/// <param name="Body">The body as it is sent.</param>
public sealed record Answer(ResultCode Code, byte[] Body)
{
    private static readonly string[] Identifiers = ["paymentId", "paymentRequestId"];

    /// <summary>Whether repeats of the request get the same bytes for ever. Its time is then exact to the millisecond.</summary>
    public bool IsFinal { get; init; }

    /// <summary>Whether the database was asked and has answered, so that there is no outage.</summary>
    public bool IsFromDatabase { get; init; }

    /// <summary>For the log: the key version that the request named, or that verified it.</summary>
    public int? KeyVersion { get; init; }

    /// <summary>For the log: the request's paymentId, when it is well-formed.</summary>
    public string? PaymentId { get; init; }

    /// <summary>For the log: the request's paymentRequestId, when it is well-formed.</summary>
    public string? PaymentRequestId { get; init; }

    /// <summary>For the log: the reason, in our own words. It holds no byte of the request but well-formed identifiers.</summary>
    public string Reason { get; init; } = "";

    /// <summary>
    /// Names for the log the payment that the request is about, by the identifiers in its body that are well-formed. Where the
    /// answer names it already, this returns the answer as it is.
    /// </summary>
    public Answer NamedBy(VerifiedRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return
            this is { PaymentId: null, PaymentRequestId: null }
            && StringMembers.Read(request.Body, Identifiers)
                is StringMembers.Given { Values: [var paymentId, var paymentRequestId] }
            ? Naming(paymentId, paymentRequestId)
            : this;
    }

    /// <summary>Names for the log the payment that the request is about, as far as its identifiers are well-formed.</summary>
    public Answer Naming(string? paymentId, string? paymentRequestId) =>
        this with
        {
            PaymentId = Identifier.IsWellFormed(paymentId) ? paymentId : null,
            PaymentRequestId = Identifier.IsWellFormed(paymentRequestId) ? paymentRequestId : null,
        };

    /// <summary>An answer that holds a result and nothing else.</summary>
    public static Answer Of(ResultCode code) =>
        new(code, JsonSerializer.SerializeToUtf8Bytes(new { result = WireResult.Of(code) }, WireJson.Options));

    /// <summary>PARAM_ILLEGAL with a message of at most 256 characters that names the field and what is wrong with it.</summary>
    public static Answer Illegal(string message) =>
        Of(ResultCode.ParamIllegal.Because(message)) with
        {
            Reason = message,
        };
}

/// <summary>The member <c>result</c> of every answer.</summary>
public sealed record WireResult(string ResultCode, string ResultStatus, string ResultMessage)
{
    /// <summary>The result of a code.</summary>
    public static WireResult Of(ResultCode code)
    {
        ArgumentNullException.ThrowIfNull(code);
        return new(code.Code, code.Status, code.Message);
    }
}

/// <summary>How JSON is written on the wire.</summary>
public static class WireJson
{
    /// <summary>Members without a value are left out, and text is raw UTF-8.</summary>
    public static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new RawUtf8() },
    };

    /// <summary>
    /// Escapes what JSON requires and nothing else: quotation marks, backslashes and control characters. .NET's encoders
    /// also escape every character beyond the first 65,536, so an emoji would come back as two escapes. A client that parses
    /// an answer and writes it again to verify it would then check other bytes.
    /// </summary>
    private sealed class RawUtf8 : JsonConverter<string>
    {
        public override string? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.GetString();

        public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options)
        {
            var text = new StringBuilder(value.Length + 2).Append('"');
            foreach (var c in value)
            {
                _ = c switch
                {
                    '"' or '\\' => text.Append('\\').Append(c),
                    '\n' => text.Append("\\n"),
                    '\r' => text.Append("\\r"),
                    '\t' => text.Append("\\t"),
                    '\b' => text.Append("\\b"),
                    '\f' => text.Append("\\f"),
                    < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}"),
                    _ => text.Append(c),
                };
            }
            writer.WriteRawValue(text.Append('"').ToString(), skipInputValidation: true);
        }
    }
}
