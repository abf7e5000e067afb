using System.Linq.Expressions;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Infrastructure.Changes;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Notifications;

// The part of the outbox for operators.
internal sealed partial class Outbox
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
        // Identifiers hold no slash, so a slash separates the two identifiers of the cursor.
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
        ChangeAuthor author,
        CancellationToken cancellationToken
    )
    {
        ArgumentNullException.ThrowIfNull(author);
        var batch = new AtomicBatch()
            .BeginChange(database, clientId)
            .Add(
                """
                UPDATE outbox SET parked_at = NULL, due_at = $3, attempts = 0
                WHERE client_id = $1 AND payment_id = $2 AND parked_at IS NOT NULL
                """,
                clientId.Value,
                paymentId.Value,
                author.At
            )
            .Record(
                Change(clientId, author, paymentId.Value, new { state = "PARKED" }),
                $"{Requeued} AND payment_id = $6 HAVING count(*) > 0"
            );
        if (await database.Rows(batch, cancellationToken) > 0)
            due.Note(clientId, author.At);
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
    public async Task<RequeueView> Requeue(RequeueOrder order, ChangeAuthor author, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(order);
        ArgumentNullException.ThrowIfNull(author);
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
            _ => throw new ArgumentException("Due events can't be queued again.", nameof(order)),
        };

        // SKIP LOCKED leaves rows to another order or a late confirmation that is changing them now.
        var sql = Requeues(column, database.IsPostgres ? "FOR UPDATE SKIP LOCKED" : "");
        var clients = order.ClientId is { } one ? [one] : await ClientsOf(which, since, cancellationToken);
        var ordered = new
        {
            state = CancelDbContext.Stored(order.State),
            from = from == DateTimeOffset.MinValue ? (DateTimeOffset?)null : from,
            to = to == DateTimeOffset.MaxValue ? (DateTimeOffset?)null : to,
        };
        var requeued = 0;
        foreach (var clientId in clients.TakeWhile(_ => requeued < order.Limit))
        {
            var batch = new AtomicBatch()
                .BeginChange(database, clientId)
                .Add(sql, clientId.Value, author.At, from, to, order.Limit - requeued)
                .Record(Change(clientId, author, "", ordered), $"{Requeued} HAVING count(*) > 0");
            requeued += Math.Max(0, await database.Rows(batch, cancellationToken) - 1); // One row is the record.
            due.Note(clientId, author.At);
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

    // Selects the events that the order has just queued: due at its very instant, and not created later.
    private const string Requeued = "outbox WHERE client_id = $1 AND due_at = $2 AND attempts = 0 AND created_at <= $2";

    private static Recorded Change<T>(ClientId clientId, ChangeAuthor author, string paymentId, T which) =>
        new(
            clientId,
            author,
            ChangeKind.Requeue,
            paymentId,
            ChangeStatements.Text(which)[..^1],
            """$7 || ',"events":' || count(*) || '}'"""
        );

    internal static NotificationView View(OutboxRow row) =>
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
