using System.Globalization;
using System.Security.Claims;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>Selects the events to requeue.</summary>
/// <param name="State">parked (the default) or delivered. Due events need no requeue.</param>
/// <param name="ClientId">The client; null for all clients.</param>
/// <param name="From">
/// The earliest time at which the event was parked or delivered (inclusive); required with delivered.
/// </param>
/// <param name="To">
/// The latest time at which the event was parked or delivered (exclusive); required with delivered, and must have
/// passed.
/// </param>
/// <param name="Limit">The most events, 1 to 10,000 (the default).</param>
public sealed record RequeueBody(
    string? State = null,
    string? ClientId = null,
    DateTimeOffset? From = null,
    DateTimeOffset? To = null,
    int? Limit = null
);

/// <summary>Endpoints for the events in the outbox.</summary>
public static partial class NotificationsApi
{
    /// <summary>Maps the endpoints under <c>/internal/v1</c>.</summary>
    public static void MapNotifications(this RouteGroupBuilder internalApi)
    {
        var notifications = internalApi.MapGroup("/notifications").WithTags("Notifications");
        notifications.MapGet("/", List).RequireAuthorization(Scopes.PaymentsRead);
        notifications.MapPost("/requeue", RequeueMany).RequireAuthorization(Scopes.PaymentsWrite);
        notifications.MapPost("/{clientId}/{paymentId}/requeue", Requeue).RequireAuthorization(Scopes.PaymentsWrite);
    }

    /// <summary>Lists the events of all clients, or only those in a state: parked, due or delivered.</summary>
    public static async Task<Results<Ok<Page<NotificationView>>, ProblemHttpResult>> List(
        string? state,
        string? after,
        int? limit,
        INotifications notifications,
        CancellationToken cancellationToken
    )
    {
        if (Paging.Size(limit) is not { } size)
            return Paging.BadLimit();
        var wanted = State(state);
        if (state is not null && wanted is null)
            return Problems.Invalid("state must be parked, due or delivered, or left out.");
        return await notifications.List(wanted, after, size, cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : Paging.BadCursor();
    }

    /// <summary>
    /// Requeues a parked event: due at once, with all its attempts. Idempotent: an event in another state stays
    /// unchanged, and the answer shows it.
    /// </summary>
    public static async Task<Results<Ok<NotificationView>, ProblemHttpResult>> Requeue(
        string clientId,
        string paymentId,
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        INotifications notifications,
        TimeProvider time,
        ILoggerFactory logs,
        CancellationToken cancellationToken
    )
    {
        if (reason.Mistake(isRequired: false) is { } mistake)
            return Problems.Invalid(mistake);
        if (!ClientId.IsWellFormed(clientId) || !Identifier.IsWellFormed(paymentId))
            return Problems.NotFound("notification");
        var author = reason.Author(caller, time);
        var item = await notifications.Requeue(
            new ClientId(clientId),
            new PaymentId(paymentId),
            author,
            cancellationToken
        );
        if (item is null)
            return Problems.NotFound("notification");
        logs.CreateLogger(typeof(NotificationsApi))
            .Changed(author.Actor, ChangeKind.Requeue, paymentId, clientId, author.Reason);
        return TypedResults.Ok(item);
    }

    /// <summary>
    /// Requeues many events: due at once, with all their attempts. The answer has their number, and whether selected
    /// events are left. Idempotent: a repeat requeues no event twice.
    /// </summary>
    public static async Task<Results<Ok<RequeueView>, ProblemHttpResult>> RequeueMany(
        RequeueBody body,
        [AsParameters] Reason reason,
        ClaimsPrincipal caller,
        INotifications notifications,
        TimeProvider time,
        ILoggerFactory logs,
        CancellationToken cancellationToken
    )
    {
        var author = reason.Author(caller, time);
        if ((reason.Mistake(isRequired: false) ?? Mistake(body, author.At)) is { } mistake)
            return Problems.Invalid(mistake);
        var order = new RequeueOrder(
            State(body.State) ?? NotificationState.Parked,
            body.ClientId is null ? null : new ClientId(body.ClientId),
            body.From?.ToUniversalTime() ?? DateTimeOffset.MinValue,
            body.To?.ToUniversalTime() ?? DateTimeOffset.MaxValue,
            body.Limit ?? INotifications.MaxRequeued
        );
        var view = await notifications.Requeue(order, author, cancellationToken);
        var log = logs.CreateLogger(typeof(NotificationsApi));
        Requeued(log, caller.Actor(), view.Requeued, order.State, body.ClientId ?? "all clients", body.From, body.To);
        return TypedResults.Ok(view);
    }

    private static string? Mistake(RequeueBody body, DateTimeOffset now) =>
        body.State is not (null or "parked" or "delivered")
            ? "state must be parked or delivered, or left out. Due events need no requeue."
        : body.ClientId is not null && !ClientId.IsWellFormed(body.ClientId)
            ? $"clientId {Domain.ClientId.Rule}, or left out."
        : body.Limit is < 1 or > INotifications.MaxRequeued
            ? string.Create(CultureInfo.InvariantCulture, $"limit must be 1 to {INotifications.MaxRequeued}.")
        : body.From >= body.To ? "from must be before to."
        : body.State is "delivered" && (body.From is null || !(body.To <= now))
            // An event that is delivered again is then later than the end.
            ? "With delivered, from and to must be given, and to must have passed: so a repeat sends nothing twice."
        : null;

    private static NotificationState? State(string? state) =>
        state switch
        {
            "due" => NotificationState.Due,
            "delivered" => NotificationState.Delivered,
            "parked" => NotificationState.Parked,
            _ => null,
        };

    [LoggerMessage(
        LogLevel.Information,
        "{Actor} queued {Count} {State} events of {ClientId} again, from {From:O} to {To:O}"
    )]
    private static partial void Requeued(
        ILogger log,
        string actor,
        int count,
        NotificationState state,
        string clientId,
        DateTimeOffset? from,
        DateTimeOffset? to
    );
}
