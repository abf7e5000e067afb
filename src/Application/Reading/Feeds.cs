using System.Globalization;
using System.Runtime.InteropServices;
using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.Application.Reading;

/// <summary>A cancellation, as reconciliation reads it. Times are UTC.</summary>
public sealed record CancellationItem(
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    MoneyView Amount,
    CancelEffect Effect,
    DateTimeOffset CancelTime
);

/// <summary>A report of the core that came after the cancel. Times are UTC.</summary>
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

/// <summary>How far a reader of a feed has read. As text, <c>epoch-position</c>, it is the feed's cursor.</summary>
/// <param name="Epoch">
/// When the database was last restored from a backup before the cursor was given (seconds since 1970, UTC); 0 when never.
/// </param>
/// <param name="Position">The position of the last row that was read; 0 before the first row.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct FeedCursor(long Epoch, long Position)
{
    /// <summary>Reads a cursor; null when the text is none.</summary>
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
    /// When the database was last restored from a backup (seconds since 1970, UTC); 0 when never. A cursor of another epoch
    /// comes from a reader who may have read rows that the restore has undone.
    /// </summary>
    Task<long> Epoch(CancellationToken cancellationToken);

    /// <summary>Reads a client's cancellations after a position, in order, with the cursor to continue from.</summary>
    Task<Page<CancellationItem>> Cancellations(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>Reads a client's late reports after a position, in order, with the cursor to continue from.</summary>
    Task<Page<LateReport>> LateReports(
        ClientId clientId,
        FeedCursor after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// The cancellations of all clients in a span of time, by time; null when <paramref name="after"/> is no cursor of this
    /// span. A report, not a feed: what commits late into a span that was read already is not in it.
    /// </summary>
    Task<Page<CancellationItem>?> Report(
        DateTimeOffset from,
        DateTimeOffset to,
        string? after,
        int limit,
        CancellationToken cancellationToken
    );
}
