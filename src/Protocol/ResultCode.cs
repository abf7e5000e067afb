namespace CancelService.Protocol;

/// <summary>
/// The catalogue of the protocol's result codes, with the messages of the API page and its common table. Each operation
/// decides them in an order of its own.
/// </summary>
/// <param name="Code">The member <c>resultCode</c>, at most 64 characters.</param>
/// <param name="Status">The member <c>resultStatus</c>: S, F or U.</param>
/// <param name="Message">The member <c>resultMessage</c>, at most 256 characters.</param>
public sealed record ResultCode(string Code, string Status, string Message)
{
    /// <summary>The path is not served.</summary>
    public static readonly ResultCode InvalidApi = F("INVALID_API", "The called API is invalid or not active.");

    /// <summary>The method is not POST.</summary>
    public static readonly ResultCode MethodNotSupported = F(
        "METHOD_NOT_SUPPORTED",
        "The server does not implement the requested HTTP method."
    );

    /// <summary>Accept admits no kind of text or JSON, or Content-Type is not JSON.</summary>
    public static readonly ResultCode MediaTypeNotAcceptable = F(
        "MEDIA_TYPE_NOT_ACCEPTABLE",
        "The server does not implement the media type that can be accepted by the client."
    );

    /// <summary>A header or the body is malformed. <see cref="Because"/> names the field and its mistake.</summary>
    public static readonly ResultCode ParamIllegal = F("PARAM_ILLEGAL", "Illegal parameters.");

    /// <summary>The client is unknown or disabled.</summary>
    public static readonly ResultCode ClientInvalid = F("CLIENT_INVALID", "The client is invalid.");

    /// <summary>The client has no such key version, or it is revoked or not valid at this time.</summary>
    public static readonly ResultCode KeyNotFound = F("KEY_NOT_FOUND", "The key is not found.");

    /// <summary>The signature cannot be decoded or does not verify.</summary>
    public static readonly ResultCode InvalidSignature = F("INVALID_SIGNATURE", "The signature is invalid.");

    /// <summary>The verified client is over its rate.</summary>
    public static readonly ResultCode RequestTrafficExceedLimit = F(
        "REQUEST_TRAFFIC_EXCEED_LIMIT",
        "The request traffic exceeds the limit."
    );

    /// <summary>The client's contract does not include cancelling.</summary>
    public static readonly ResultCode AccessDenied = F("ACCESS_DENIED", "Access is denied.");

    /// <summary>The client has no such payment.</summary>
    public static readonly ResultCode OrderNotExist = F("ORDER_NOT_EXIST", "The order does not exist.");

    /// <summary>The operation succeeded; a cancel, now or earlier.</summary>
    public static readonly ResultCode Success = new("SUCCESS", "S", "Success");

    /// <summary>The contract's window has closed.</summary>
    public static readonly ResultCode CancelWindowExceed = F(
        "CANCEL_WINDOW_EXCEED",
        "The cancellation date is beyond the period that is agreed in the contract."
    );

    /// <summary>The payment is captured or refunded, in part or in full.</summary>
    public static readonly ResultCode ProcessFail = F(
        "PROCESS_FAIL",
        "A general business failure occurred. Do not retry."
    );

    /// <summary>The payment is paid, and the merchant's balance does not cover the refund.</summary>
    public static readonly ResultCode MerchantBalanceNotEnough = F(
        "MERCHANT_BALANCE_NOT_ENOUGH",
        "The merchant's balance is not enough."
    );

    /// <summary>The outcome is unknown. The client repeats the same request.</summary>
    public static readonly ResultCode UnknownException = new(
        "UNKNOWN_EXCEPTION",
        "U",
        "An API calling is failed, which is caused by unknown reasons."
    );

    /// <summary>Every code, once.</summary>
    public static IReadOnlyList<ResultCode> All { get; } =
    [
        InvalidApi,
        MethodNotSupported,
        MediaTypeNotAcceptable,
        ParamIllegal,
        ClientInvalid,
        KeyNotFound,
        InvalidSignature,
        RequestTrafficExceedLimit,
        AccessDenied,
        OrderNotExist,
        CancelWindowExceed,
        ProcessFail,
        MerchantBalanceNotEnough,
        UnknownException,
        Success,
    ];

    /// <summary>Copies this code with another message, of at most 256 characters.</summary>
    public ResultCode Because(string message) => this with { Message = message };

    private static ResultCode F(string code, string message) => new(code, "F", message);
}
