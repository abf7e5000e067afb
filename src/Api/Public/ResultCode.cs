using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace CancelService.Api.Public;

/// <summary>
/// The catalogue of the protocol's codes, in the order in which they are decided: the first that applies is the answer.
/// Codes and messages are the API page's and the common table's.
/// </summary>
public sealed record ResultCode(string Code, string Status, string Message)
{
    /// <summary>1. Another path under the prefix.</summary>
    public static readonly ResultCode InvalidApi = F("INVALID_API", "The called API is invalid or not active.");

    /// <summary>2. Not POST.</summary>
    public static readonly ResultCode MethodNotSupported = F(
        "METHOD_NOT_SUPPORTED",
        "The server does not implement the requested HTTP method."
    );

    /// <summary>3. Accept admits no kind of text or JSON, or Content-Type is not JSON.</summary>
    public static readonly ResultCode MediaTypeNotAcceptable = F(
        "MEDIA_TYPE_NOT_ACCEPTABLE",
        "The server does not implement the media type that can be accepted by the client."
    );

    /// <summary>4 and 9. A header, then the body: <see cref="Because"/> says which field and what is wrong with it.</summary>
    public static readonly ResultCode ParamIllegal = F("PARAM_ILLEGAL", "Illegal parameters.");

    /// <summary>5. Unknown or disabled client.</summary>
    public static readonly ResultCode ClientInvalid = F("CLIENT_INVALID", "The client is invalid.");

    /// <summary>6. The client has no such key version, or it is revoked or not valid at this time.</summary>
    public static readonly ResultCode KeyNotFound = F("KEY_NOT_FOUND", "The key is not found.");

    /// <summary>7. The signature cannot be decoded or does not verify.</summary>
    public static readonly ResultCode InvalidSignature = F("INVALID_SIGNATURE", "The signature is invalid.");

    /// <summary>8. The verified client is over its rate.</summary>
    public static readonly ResultCode RequestTrafficExceedLimit = F(
        "REQUEST_TRAFFIC_EXCEED_LIMIT",
        "The request traffic exceeds the limit."
    );

    /// <summary>10. The client's contract does not include cancelling.</summary>
    public static readonly ResultCode AccessDenied = F("ACCESS_DENIED", "Access is denied.");

    /// <summary>11. The client has no such payment.</summary>
    public static readonly ResultCode OrderNotExist = F("ORDER_NOT_EXIST", "The order does not exist.");

    /// <summary>12 and 16. Cancelled, earlier or now.</summary>
    public static readonly ResultCode Success = new("SUCCESS", "S", "Success");

    /// <summary>13. The contract's window has closed.</summary>
    public static readonly ResultCode CancelWindowExceed = F(
        "CANCEL_WINDOW_EXCEED",
        "The cancellation date is beyond the period that is agreed in the contract."
    );

    /// <summary>14. Captured or refunded, in part or in full.</summary>
    public static readonly ResultCode ProcessFail = F(
        "PROCESS_FAIL",
        "A general business failure occurred. Do not retry."
    );

    /// <summary>15. Paid, and the merchant's account can't give the money back.</summary>
    public static readonly ResultCode MerchantBalanceNotEnough = F(
        "MERCHANT_BALANCE_NOT_ENOUGH",
        "The merchant's balance is not enough."
    );

    /// <summary>Anything that leaves the outcome unknown. The client repeats the same request.</summary>
    public static readonly ResultCode UnknownException = new(
        "UNKNOWN_EXCEPTION",
        "U",
        "An API calling is failed, which is caused by unknown reasons."
    );

    /// <summary>The same code with a message of its own, at most 256 characters.</summary>
    public ResultCode Because(string message) => this with { Message = message };

    private static ResultCode F(string code, string message) => new(code, "F", message);
}

/// <summary>An answer of the API before it is signed.</summary>
/// <param name="Code">The code in the body.</param>
/// <param name="Body">The body, as it will be sent.</param>
public sealed record Answer(ResultCode Code, byte[] Body)
{
    /// <summary>Whether the request's signature was verified.</summary>
    public bool IsVerified { get; init; }

    /// <summary>The payment that the request was about, once that is known to be well-formed; for the log.</summary>
    public string? PaymentId { get; init; }

    /// <summary>The merchant's identifier in the request, once that is known to be well-formed; for the log.</summary>
    public string? PaymentRequestId { get; init; }

    /// <summary>An answer that holds a result and nothing else.</summary>
    public static Answer Of(ResultCode code) =>
        new(code, JsonSerializer.SerializeToUtf8Bytes(new { result = WireResult.Of(code) }, WireJson.Options));
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
    /// <summary>
    /// Members without a value are left out. Only what JSON requires is escaped: the answers are never part of a page,
    /// and <c>+08:00</c> should read like that.
    /// </summary>
    public static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}
