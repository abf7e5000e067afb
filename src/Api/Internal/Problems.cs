using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>
/// The errors of the internal API, as problem details (RFC 9457). A problem's type never changes, so callers may rely
/// on it. The detail names the mistake and the remedy.
/// </summary>
public static class Problems
{
    /// <summary>The prefix of every type.</summary>
    public const string TypePrefix = "urn:cancelservice:";

    /// <summary>400, or 408, 413 or 415 for a body: the request is malformed; the detail names the mistake.</summary>
    public static ProblemHttpResult Invalid(string? detail, int status = StatusCodes.Status400BadRequest) =>
        Of(status, "invalid-request", "The request is malformed", detail);

    /// <summary>404: the path names something unknown.</summary>
    public static ProblemHttpResult NotFound(string what) =>
        Of(StatusCodes.Status404NotFound, "not-found", $"There is no such {what}", $"Check the {what} in the path.");

    /// <summary>
    /// 410: the cursor is older than a restore of the database, which may have undone rows already read. The member
    /// goOn is a cursor that continues without a gap.
    /// </summary>
    public static ProblemHttpResult DatabaseRestored(DateTimeOffset at, FeedCursor goOn) =>
        Of(
            StatusCodes.Status410Gone,
            "database-restored",
            "The cursor was given before the database was restored",
            "Rows that you read before may be undone. Compare your books with the feed from its beginning, or "
                + "go on with "
                + "goOn, which skips nothing.",
            ("restoredAt", at),
            ("goOn", goOn.ToString())
        );

    /// <summary>409: the payment is known with other content.</summary>
    public static ProblemHttpResult PaymentDiffers() =>
        Of(
            StatusCodes.Status409Conflict,
            "payment-differs",
            "The payment is known with other content",
            "The first registration stays. Read the payment and compare."
        );

    /// <summary>409: one of the identifiers belongs to another payment.</summary>
    public static ProblemHttpResult MappingConflict() =>
        Of(
            StatusCodes.Status409Conflict,
            "mapping-conflict",
            "One of the identifiers belongs to another payment",
            "paymentId and paymentRequestId correspond one-to-one, for ever. Nothing was changed."
        );

    /// <summary>409: the merchant cancelled before the payment arrived.</summary>
    public static ProblemHttpResult CancelledBeforeArrival(DateTimeOffset refusedAt) =>
        Of(
            StatusCodes.Status409Conflict,
            "cancelled-before-arrival",
            "The payment was cancelled before it arrived",
            "The merchant has been told that it does not exist. Fail it towards the payer, and return any money taken.",
            ("cancelTime", refusedAt)
        );

    /// <summary>409: the report is impossible in the payment's state.</summary>
    public static ProblemHttpResult TransitionRefused(Payment payment) =>
        Of(
            StatusCodes.Status409Conflict,
            "transition-refused",
            "The payment's state does not allow the report",
            "Nothing was changed. Check the kind, status and amounts of the payment.",
            ("paymentStatus", payment.Status)
        );

    /// <summary>409: a late report; the payment is cancelled.</summary>
    public static ProblemHttpResult PaymentCancelled(Payment payment, Remedy remedy) =>
        Of(
            StatusCodes.Status409Conflict,
            "payment-cancelled",
            "The payment is cancelled",
            remedy switch
            {
                Remedy.None => "The cancellation has returned the money already. There is nothing to do.",
                Remedy.ReleaseHold => "Release the hold on the payer's money. The report is on record.",
                Remedy.RefundPayer => "Refund the payer, once. The report is on record.",
            },
            ("paymentStatus", payment.Status),
            ("cancelTime", payment.Cancellation!.CancelledAt),
            (
                "remedy",
                remedy switch
                {
                    Remedy.None => "none",
                    Remedy.ReleaseHold => "release-hold",
                    Remedy.RefundPayer => "refund-payer",
                }
            )
        );

    /// <summary>409: the eventId is known with other content.</summary>
    public static ProblemHttpResult EventDiffers() =>
        Of(
            StatusCodes.Status409Conflict,
            "event-differs",
            "The report is known with other content",
            "An eventId names one report for ever. Give another report another eventId."
        );

    /// <summary>409: the merchant's balance is not enough.</summary>
    public static ProblemHttpResult BalanceNotEnough() =>
        Of(
            StatusCodes.Status409Conflict,
            "balance-not-enough",
            "The merchant's balance is not enough",
            "Nothing was changed. Deposit first, or ask for less."
        );

    /// <summary>409: the merchant's balance would exceed its limit.</summary>
    public static ProblemHttpResult BalanceLimit() =>
        Of(
            StatusCodes.Status409Conflict,
            "balance-limit",
            "The merchant's balance would exceed its limit",
            $"Nothing was changed. A balance holds at most {Money.MaxBalance} minor units: pay out first, or "
                + "ask for less."
        );

    /// <summary>409: the identifier of the transfer is known with other content.</summary>
    public static ProblemHttpResult TransferDiffers() =>
        Of(
            StatusCodes.Status409Conflict,
            "transfer-differs",
            "The transfer is known with other content",
            "An id names one deposit or payout for ever. Give another transfer another id."
        );

    /// <summary>409: the key version is taken.</summary>
    public static ProblemHttpResult KeyDiffers() =>
        Of(
            StatusCodes.Status409Conflict,
            "key-differs",
            "The key version is taken",
            "It belongs to another key or to a revoked key. A version is never reused: take the next one."
        );

    /// <summary>422: the key is of a kind that is not accepted.</summary>
    public static ProblemHttpResult KeyNotAccepted(string? why) =>
        Of(StatusCodes.Status422UnprocessableEntity, "key-not-accepted", "The key is not accepted", why);

    /// <summary>503: the request may have taken effect.</summary>
    public static ProblemHttpResult OutcomeUnknown() =>
        Of(
            StatusCodes.Status503ServiceUnavailable,
            "outcome-unknown",
            "It is not known whether the request took effect",
            "Repeat the same request: it takes effect once."
        );

    /// <summary>503: the tokens' issuer can't be asked for its keys.</summary>
    public static ProblemHttpResult IssuerAway() =>
        Of(
            StatusCodes.Status503ServiceUnavailable,
            "issuer-away",
            "The token can't be checked now",
            "The tokens' issuer does not answer. Nothing was changed: repeat the request."
        );

    private static ProblemHttpResult Of(
        int status,
        string type,
        string title,
        string? detail,
        params (string Name, object Value)[] extensions
    ) =>
        TypedResults.Problem(
            detail,
            statusCode: status,
            title: title,
            type: TypePrefix + type,
            extensions: extensions.Select(extension => KeyValuePair.Create(extension.Name, (object?)extension.Value))
        );
}
