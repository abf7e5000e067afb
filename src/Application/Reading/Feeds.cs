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

/// <summary>The feeds and reports for reconciliation.</summary>
public interface IFeeds
{
    /// <summary>A client's cancellations after a place, in the order of their places.</summary>
    Task<Page<CancellationItem>> Cancellations(
        ClientId clientId,
        long after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>A client's late reports after a place, in the order of their places.</summary>
    Task<Page<LateReport>> LateReports(ClientId clientId, long after, int limit, CancellationToken cancellationToken);

    /// <summary>
    /// The cancellations of all clients in a span of time, by time; null when <paramref name="after"/> is no cursor. A
    /// report, not a feed: what commits late into a span that was read already is not in it.
    /// </summary>
    Task<Page<CancellationItem>?> Report(
        DateTimeOffset from,
        DateTimeOffset to,
        string? after,
        int limit,
        CancellationToken cancellationToken
    );
}
