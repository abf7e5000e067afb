using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using CancelService.Domain;
using CancelService.Protocol;

namespace CancelService.Api.Exchange;

/// <summary>An answer of the API before it is signed, with the facts for the log.</summary>
/// <param name="Code">The code in the body.</param>
/// <param name="Body">The body's bytes.</param>
public sealed record Answer(ResultCode Code, byte[] Body)
{
    private static readonly string[] Identifiers = ["paymentId", "paymentRequestId"];

    /// <summary>Whether every repeat gets these bytes. Only then is response-time exact to the millisecond.</summary>
    public bool IsFinal { get; init; }

    /// <summary>Whether the database has answered, which ends an outage.</summary>
    public bool IsFromDatabase { get; init; }

    /// <summary>For the log: the key version that the request named, or that verified it.</summary>
    public int? KeyVersion { get; init; }

    /// <summary>For the log: the request's paymentId, when it is well-formed.</summary>
    public string? PaymentId { get; init; }

    /// <summary>For the log: the request's paymentRequestId, when it is well-formed.</summary>
    public string? PaymentRequestId { get; init; }

    /// <summary>For the log: the reason. It quotes nothing of the request but well-formed identifiers.</summary>
    public string Reason { get; init; } = "";

    /// <summary>
    /// Names the request's payment for the log, by the well-formed identifiers in its body. An answer that already
    /// names a payment stays unchanged.
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

    /// <summary>Names a payment for the log, by its well-formed identifiers.</summary>
    public Answer Naming(string? paymentId, string? paymentRequestId) =>
        this with
        {
            PaymentId = Identifier.IsWellFormed(paymentId) ? paymentId : null,
            PaymentRequestId = Identifier.IsWellFormed(paymentRequestId) ? paymentRequestId : null,
        };

    /// <summary>Makes an answer with a result and no other member.</summary>
    public static Answer Of(ResultCode code) =>
        new(code, JsonSerializer.SerializeToUtf8Bytes(new { result = WireResult.Of(code) }, WireJson.Options));

    /// <summary>
    /// Makes PARAM_ILLEGAL with a message that names the field and its mistake, in at most 256 characters.
    /// </summary>
    public static Answer Illegal(string message) =>
        Of(ResultCode.ParamIllegal.Because(message)) with
        {
            Reason = message,
        };
}

/// <summary>The outcome of a request.</summary>
/// <param name="ResultCode">The code, at most 64 characters; docs/api.md lists the codes.</param>
/// <param name="ResultStatus">
/// S: success, final. F: refused, nothing has changed. U: unknown, repeat the same request.
/// </param>
/// <param name="ResultMessage">
/// The code's message, at most 256 characters; for PARAM_ILLEGAL it names the mistake.
/// </param>
public sealed record WireResult(string ResultCode, string ResultStatus, string ResultMessage)
{
    /// <summary>Converts a code.</summary>
    public static WireResult Of(ResultCode code)
    {
        ArgumentNullException.ThrowIfNull(code);
        return new(code.Code, code.Status, code.Message);
    }
}

/// <summary>Settings for JSON on the wire.</summary>
public static class WireJson
{
    /// <summary>Leaves out members without a value, and writes text as raw UTF-8.</summary>
    public static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new RawUtf8() },
    };

    /// <summary>
    /// Escapes only quotation marks, backslashes and control characters, as JSON requires. .NET's encoders also escape
    /// every character beyond U+FFFF, such as an emoji. A client that parses an answer and serialises it again to
    /// verify it would then check other bytes.
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
