using CancelService.Application.Pipeline;
using CancelService.Domain;

namespace CancelService.Application.Reading;

/// <summary>Where an event of the outbox stands.</summary>
public enum NotificationState
{
    /// <summary>It is to be delivered, now or at its next attempt.</summary>
    Due,

    /// <summary>The receiver has confirmed it.</summary>
    Delivered,

    /// <summary>Its attempts are used up; it waits for an operator.</summary>
    Parked,
}

/// <summary>An event of the outbox, as operators see it. Times are UTC; attempts count since it was last queued.</summary>
public sealed record NotificationView(
    Guid EventId,
    string ClientId,
    string PaymentId,
    int Attempts,
    DateTimeOffset CreatedAt,
    DateTimeOffset? DueAt,
    DateTimeOffset? DeliveredAt,
    DateTimeOffset? ParkedAt,
    string? LastError
);

/// <summary>Which events are queued again.</summary>
/// <param name="State">Parked or delivered. What is due comes by itself, and an instance may hold it.</param>
/// <param name="ClientId">The client; null for all.</param>
/// <param name="From">UTC: parked or delivered then or later.</param>
/// <param name="To">UTC: parked or delivered before then.</param>
/// <param name="Limit">The most events, 1 to <see cref="INotifications.MaxRequeued"/>; the oldest of each client first.</param>
public sealed record RequeueOrder(
    NotificationState State,
    ClientId? ClientId,
    DateTimeOffset From,
    DateTimeOffset To,
    int Limit
);

/// <summary>What came of an order to queue events again: how many there were, and whether more are left.</summary>
public sealed record RequeueView(int Requeued, bool More);

/// <summary>What is in the outbox.</summary>
/// <param name="Due">Events that are still to be delivered.</param>
/// <param name="Parked">Events that wait for an operator.</param>
/// <param name="OldestDue">When the oldest of those that are due was written (UTC); null when none is due.</param>
public sealed record OutboxDepth(long Due, long Parked, DateTimeOffset? OldestDue);

/// <summary>What operators see of the outbox, and their one order to it.</summary>
public interface INotifications
{
    /// <summary>The most events that one order queues again.</summary>
    public const int MaxRequeued = 10_000;

    /// <summary>The most clients that one order reaches; what is left of others is told.</summary>
    public const int MaxClients = 100;

    /// <summary>
    /// A page of the events of all clients, in the order of client and payment; null when <paramref name="after"/> is no
    /// cursor.
    /// </summary>
    /// <param name="state">The state; null for all.</param>
    /// <param name="after">The cursor: what the page before gave as next.</param>
    /// <param name="limit">The size of the page.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<Page<NotificationView>?> List(
        NotificationState? state,
        string? after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Queues a parked event again, with all its attempts; one that is not parked stays as it is. Null when there is no
    /// such event.
    /// </summary>
    Task<NotificationView?> Requeue(
        ClientId clientId,
        PaymentId paymentId,
        ChangeAuthor author,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Queues many events again, each due at once with all its attempts, client by client. Only what nobody has claimed is
    /// touched, so no claim is lost.
    /// </summary>
    Task<RequeueView> Requeue(RequeueOrder order, ChangeAuthor author, CancellationToken cancellationToken);

    /// <summary>How much is in the outbox.</summary>
    Task<OutboxDepth> Depth(CancellationToken cancellationToken);
}
