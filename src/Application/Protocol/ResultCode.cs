using System.Diagnostics;
using CancelService.Domain.Payments;

namespace CancelService.Application.Protocol;

/// <summary>
/// The catalogue of the protocol's codes. Codes and messages are the API page's and the common table's;
/// <see cref="Order"/> says which one wins.
/// </summary>
/// <param name="Code">The member <c>resultCode</c>, at most 64 characters.</param>
/// <param name="Status">The member <c>resultStatus</c>: S, F or U.</param>
/// <param name="Message">The member <c>resultMessage</c>, at most 256 characters.</param>
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

    /// <summary>4. A header; 9. the body. <see cref="Because"/> names the field and what is wrong with it.</summary>
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

    /// <summary>
    /// The order in which the codes are decided: the first rule that applies gives the answer. Rule n of the protocol's table
    /// is at n - 1, so a code of two rules occurs twice. UNKNOWN_EXCEPTION is no rule: it answers what can't be decided.
    /// </summary>
    public static IReadOnlyList<ResultCode> Order { get; } =
    [
        InvalidApi,
        MethodNotSupported,
        MediaTypeNotAcceptable,
        ParamIllegal,
        ClientInvalid,
        KeyNotFound,
        InvalidSignature,
        RequestTrafficExceedLimit,
        ParamIllegal,
        AccessDenied,
        OrderNotExist,
        Success,
        CancelWindowExceed,
        ProcessFail,
        MerchantBalanceNotEnough,
        Success,
    ];

    private static readonly HashSet<ResultCode> FromThePayment = [.. Order.SkipWhile(code => code != OrderNotExist)];

    /// <summary>The code of a refusal; a test asserts that each has one.</summary>
    public static ResultCode Of(CancelRefusal refusal) =>
        refusal switch
        {
            CancelRefusal.AccessDenied => AccessDenied,
            CancelRefusal.NotFound => OrderNotExist,
            CancelRefusal.WindowClosed => CancelWindowExceed,
            CancelRefusal.MoneyMoved => ProcessFail,
            CancelRefusal.BalanceNotEnough => MerchantBalanceNotEnough,
            _ => throw new UnreachableException($"{refusal} has no code."),
        };

    /// <summary>Whether an answer with this code shows that the database has answered.</summary>
    public bool RestsOnThePayment => FromThePayment.Contains(this);

    /// <summary>Whether the answer stays the same for ever.</summary>
    public bool IsFinal => Status == "S";

    /// <summary>The same code with a message of its own, at most 256 characters.</summary>
    public ResultCode Because(string message) => this with { Message = message };

    private static ResultCode F(string code, string message) => new(code, "F", message);
}
