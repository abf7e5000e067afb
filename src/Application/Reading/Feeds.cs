using System.Globalization;
using System.Runtime.InteropServices;
using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Reading;

/// <summary>A cancellation in a feed or report for reconciliation.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="PaymentId">The wallet's identifier of the payment.</param>
/// <param name="PaymentRequestId">The merchant's identifier of the payment.</param>
/// <param name="Amount">The full amount of the payment, in minor units of its currency.</param>
/// <param name="Effect">The effect of the cancel on the payment.</param>
/// <param name="CancelTime">The time of the cancel (UTC).</param>
public sealed record CancellationItem(
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    MoneyView Amount,
    CancelEffect Effect,
    DateTimeOffset CancelTime
);

/// <summary>A late report: the core reported held or moved money after the cancel.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="PaymentId">The wallet's identifier of the payment.</param>
/// <param name="Version">The payment's version after the report.</param>
/// <param name="Action">The reported action.</param>
/// <param name="EventId">The core's identifier of the report.</param>
/// <param name="Amount">The reported amount, in minor units of its currency.</param>
/// <param name="Remedy">The core's task with the money.</param>
/// <param name="Actor">The subject of the token that reported.</param>
/// <param name="At">The time of the report (UTC).</param>
public sealed record LateReport(
    string ClientId,
    string PaymentId,
    int Version,
    PaymentAction Action,
    string? EventId,
    MoneyView Amount,
    Remedy Remedy,
    string Actor,
    DateTimeOffset At
);

/// <summary>A reader's position in a feed. Its text, <c>epoch-position</c>, is the feed's cursor.</summary>
/// <param name="Epoch">The epoch: the last restore of the database, in seconds since 1970 (UTC); 0 before any.</param>
/// <param name="Position">The position of the last row that was read; 0 before the first.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct FeedCursor(long Epoch, long Position)
{
    /// <summary>Parses a cursor; null when the text is not a cursor.</summary>
    public static FeedCursor? Parse(string? text) =>
        text?.Split('-') is [var epoch, var position]
        && long.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out var since)
        && long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            ? new FeedCursor(since, last)
            : null;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Epoch}-{Position}");
}

/// <summary>The feeds and reports for reconciliation.</summary>
public interface IFeeds
{
    /// <summary>
    /// Returns the current epoch: the last restore of the database, in seconds since 1970 (UTC); 0 before any. The
    /// reader of a cursor with another epoch may have read rows that the restore has undone.
    /// </summary>
    Task<long> Epoch(CancellationToken cancellationToken);

    /// <summary>Lists a client's cancellations behind a cursor, in the feed's order.</summary>
    Task<Page<CancellationItem>> Cancellations(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>Lists a client's late reports behind a cursor, in the feed's order.</summary>
    Task<Page<LateReport>> LateReports(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Lists the cancellations of all clients in a span of time, by time; null when <paramref name="after"/> is no
    /// cursor of this span. It is a report, not a feed: a row that commits late into a page already read is missed.
    /// </summary>
    Task<Page<CancellationItem>?> Report(
        DateTimeOffset from,
        DateTimeOffset to,
        string? after,
        int limit,
        CancellationToken cancellationToken
    );
}
