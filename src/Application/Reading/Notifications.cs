using CancelService.Application.Pipeline;
using CancelService.Domain;

namespace CancelService.Application.Reading;

/// <summary>The state of an event in the outbox.</summary>
public enum NotificationState
{
    /// <summary>The event waits for its next attempt.</summary>
    Due,

    /// <summary>The receiver has confirmed the event.</summary>
    Delivered,

    /// <summary>A dead letter: its attempts are used up, and it waits for an operator.</summary>
    Parked,
}

/// <summary>An event of the outbox.</summary>
/// <param name="EventId">The identifier of the event, stable across attempts; receivers use it to deduplicate.</param>
/// <param name="ClientId">The client.</param>
/// <param name="PaymentId">The wallet's identifier of the cancelled payment.</param>
/// <param name="Attempts">The number of attempts since the event was last queued.</param>
/// <param name="CreatedAt">The time of the cancel (UTC).</param>
/// <param name="DueAt">The time of the next attempt (UTC); null when the event is not due.</param>
/// <param name="DeliveredAt">The time of the confirmed delivery (UTC); null before it.</param>
/// <param name="ParkedAt">The time at which the attempts were used up (UTC); null when the event is not parked.</param>
/// <param name="LastError">The failure of the last attempt; null when it did not fail.</param>
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

/// <summary>Selects the events to requeue.</summary>
/// <param name="State">Parked or delivered. Due events need no requeue, and an instance may have claimed them.</param>
/// <param name="ClientId">The client; null for all clients.</param>
/// <param name="From">The earliest time (UTC, inclusive) at which the event was parked or delivered.</param>
/// <param name="To">The latest time (UTC, exclusive) at which the event was parked or delivered.</param>
/// <param name="Limit">
/// The most events, 1 to <see cref="INotifications.MaxRequeued"/>; each client's oldest first.
/// </param>
public sealed record RequeueOrder(
    NotificationState State,
    ClientId? ClientId,
    DateTimeOffset From,
    DateTimeOffset To,
    int Limit
);

/// <summary>The result of a requeue.</summary>
/// <param name="Requeued">The number of requeued events.</param>
/// <param name="More">Whether selected events are left; repeat the request to requeue them.</param>
public sealed record RequeueView(int Requeued, bool More);

/// <summary>The numbers of undelivered events in the outbox.</summary>
/// <param name="Due">The number of events that wait for an attempt.</param>
/// <param name="Parked">The number of events that wait for an operator.</param>
/// <param name="OldestDue">The time at which the oldest due event was written (UTC); null when none is due.</param>
public sealed record OutboxDepth(long Due, long Parked, DateTimeOffset? OldestDue);

/// <summary>Lists and requeues events of the outbox for operators.</summary>
public interface INotifications
{
    /// <summary>The most events of one requeue.</summary>
    public const int MaxRequeued = 10_000;

    /// <summary>The most clients of one requeue; <see cref="RequeueView.More"/> tells of others.</summary>
    public const int MaxClients = 100;

    /// <summary>
    /// Lists the events of all clients in the order of client and payment; null when <paramref name="after"/> is no
    /// cursor.
    /// </summary>
    /// <param name="state">The state; null for all states.</param>
    /// <param name="after">The cursor: next of the page before.</param>
    /// <param name="limit">The size of the page.</param>
    /// <param name="cancellationToken">Stops the wait.</param>
    Task<Page<NotificationView>?> List(
        NotificationState? state,
        string? after,
        int limit,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Requeues a parked event with all its attempts; an event in another state stays unchanged. Null when the payment
    /// has no event.
    /// </summary>
    Task<NotificationView?> Requeue(
        ClientId clientId,
        PaymentId paymentId,
        ChangeAuthor author,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Requeues many events client by client, each due at once with all its attempts. Skips claimed events, so that no
    /// relay loses its claim.
    /// </summary>
    Task<RequeueView> Requeue(RequeueOrder order, ChangeAuthor author, CancellationToken cancellationToken);

    /// <summary>Counts the undelivered events.</summary>
    Task<OutboxDepth> Depth(CancellationToken cancellationToken);
}
