using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Infrastructure.Notifications;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>The operators' view of the outbox: what the core has been told, and what it could not be told.</summary>
public static class NotificationsApi
{
    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapNotifications(this RouteGroupBuilder internalApi)
    {
        var notifications = internalApi.MapGroup("/notifications").WithTags("Notifications");
        notifications.MapGet("/", List).RequireAuthorization(Scopes.PaymentsRead);
        notifications.MapPost("/{clientId}/{paymentId}/requeue", Requeue).RequireAuthorization(Scopes.PaymentsWrite);
    }

    /// <summary>The events of all clients in a state (parked, due or delivered; left out: in any), paged by cursor.</summary>
    public static async Task<Results<Ok<Page<NotificationView>>, ProblemHttpResult>> List(
        string? state,
        string? after,
        int? limit,
        Outbox outbox,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        NotificationState? wanted = state switch
        {
            "due" => NotificationState.Due,
            "delivered" => NotificationState.Delivered,
            "parked" => NotificationState.Parked,
            _ => null,
        };
        if (state is not null && wanted is null)
            return Problems.Invalid("state must be parked, due or delivered, or left out.");
        return await outbox.List(wanted, after, size, cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : Paging.BadCursor();
    }

    /// <summary>
    /// Queues a parked event again: due at once, with all its attempts. Idempotent: an event that is not parked is answered
    /// as it stands.
    /// </summary>
    public static async Task<Results<Ok<NotificationView>, ProblemHttpResult>> Requeue(
        string clientId,
        string paymentId,
        Outbox outbox,
        TimeProvider time,
        CancellationToken cancellationToken
    ) =>
        ClientId.IsWellFormed(clientId)
        && Identifier.IsWellFormed(paymentId)
        && await outbox.Requeue(new ClientId(clientId), new PaymentId(paymentId), time.GetUtcNow(), cancellationToken)
            is { } item
            ? TypedResults.Ok(item)
            : Problems.NotFound("notification");
}
