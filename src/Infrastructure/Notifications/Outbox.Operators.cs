using System.Linq.Expressions;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Notifications;

// What operators see and do.
public sealed partial class Outbox
{
    private static string Requeues(string column, string locking) =>
        $"""
            WITH picked AS (
                SELECT payment_id FROM outbox WHERE client_id = $1 AND {column} >= $3 AND {column} < $4
                ORDER BY {column} LIMIT $5 {locking}
            )
            UPDATE outbox SET {column} = NULL, due_at = $2, attempts = 0
            WHERE client_id = $1 AND payment_id IN (SELECT payment_id FROM picked)
            """;

    /// <inheritdoc/>
    public async Task<Page<NotificationView>?> List(
        NotificationState? state,
        string? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        // Identifiers hold no slash, so one can stand between the two of the cursor.
        var (client, payment) = ("", "");
        if (after is not null)
        {
            if (
                after.Split('/') is not [var lastClient, var lastPayment]
                || !ClientId.IsWellFormed(lastClient)
                || !Identifier.IsWellFormed(lastPayment)
            )
                return null;
            (client, payment) = (lastClient, lastPayment);
        }
        var rows = await database.Read(
            db =>
            {
                var events = db.Set<OutboxRow>()
                    .FromSql($"SELECT * FROM outbox WHERE (client_id, payment_id) > ({client}, {payment})");
                var wanted = state switch
                {
                    NotificationState.Due => events.Where(o => o.DueAt != null),
                    NotificationState.Delivered => events.Where(o => o.DeliveredAt != null),
                    NotificationState.Parked => events.Where(o => o.ParkedAt != null),
                    null => events,
                };
                return wanted
                    .AsNoTracking()
                    .OrderBy(o => o.ClientId)
                    .ThenBy(o => o.PaymentId)
                    .Take(limit + 1)
                    .ToListAsync(cancellationToken);
            },
            cancellationToken
        );
        return Page.Of(rows.ConvertAll(View), limit, item => $"{item.ClientId}/{item.PaymentId}");
    }

    /// <inheritdoc/>
    public async Task<NotificationView?> Requeue(
        ClientId clientId,
        PaymentId paymentId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        await Write(
            "UPDATE outbox SET parked_at = NULL, due_at = $3, attempts = 0 WHERE client_id = $1 AND payment_id = $2 AND parked_at IS NOT NULL",
            cancellationToken,
            clientId.Value,
            paymentId.Value,
            now
        );
        var row = await database.Read(
            db =>
                db.Set<OutboxRow>()
                    .AsNoTracking()
                    .SingleOrDefaultAsync(o => o.ClientId == clientId && o.PaymentId == paymentId, cancellationToken),
            cancellationToken
        );
        return row is null ? null : View(row);
    }

    /// <inheritdoc/>
    public async Task<RequeueView> Requeue(RequeueOrder order, DateTimeOffset now, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(order);
        var (from, to) = (order.From, order.To);
        var (column, since, which) = order.State switch
        {
            NotificationState.Parked => (
                "parked_at",
                (Expression<Func<OutboxRow, DateTimeOffset?>>)(o => o.ParkedAt),
                (Expression<Func<OutboxRow, bool>>)(o => o.ParkedAt >= from && o.ParkedAt < to)
            ),
            NotificationState.Delivered => (
                "delivered_at",
                o => o.DeliveredAt,
                o => o.DeliveredAt >= from && o.DeliveredAt < to
            ),
            _ => throw new ArgumentException("What is due is not queued again.", nameof(order)),
        };

        // SKIP LOCKED: rows that another order or a late confirmation is changing now are left to it.
        var sql = Requeues(column, database.IsPostgres ? "FOR UPDATE SKIP LOCKED" : "");
        var clients = order.ClientId is { } one ? [one] : await ClientsOf(which, since, cancellationToken);
        var requeued = 0;
        foreach (var clientId in clients.TakeWhile(_ => requeued < order.Limit))
        {
            var batch = new AtomicBatch().Add(sql, clientId.Value, now, from, to, order.Limit - requeued);
            requeued += await database.Rows(batch, cancellationToken);
        }

        var more = await database.Read(
            db =>
            {
                var left = db.Set<OutboxRow>().Where(which);
                if (order.ClientId is { } only)
                    left = left.Where(o => o.ClientId == only);
                return left.AnyAsync(cancellationToken);
            },
            cancellationToken
        );
        return new(requeued, more);
    }

    private static NotificationView View(OutboxRow row) =>
        new(
            row.EventId,
            row.ClientId.Value,
            row.PaymentId.Value,
            row.Attempts,
            row.CreatedAt,
            row.DueAt,
            row.DeliveredAt,
            row.ParkedAt,
            row.LastError
        );
}
