using System.Security.Cryptography;
using System.Text;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Notifications;

/// <summary>
/// The event of a cancellation for the core. Its content is in the payment's history, and its identifier follows from
/// client and payment.
/// </summary>
public sealed class OutboxRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The cancelled payment.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>The event's identifier, stable across attempts; receivers use it to deduplicate.</summary>
    public Guid EventId => EventIdentifier.Of(ClientId, PaymentId);

    /// <summary>The time of the cancellation (UTC).</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The number of attempts since the event was queued.</summary>
    public int Attempts { get; init; }

    /// <summary>
    /// The time at which the event is due (UTC). A claim moves it to the claim's end, so the claim of a crashed process
    /// expires. Null once the event is delivered or parked.
    /// </summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>The time of the receiver's confirmation (UTC).</summary>
    public DateTimeOffset? DeliveredAt { get; init; }

    /// <summary>The time of the last allowed attempt (UTC); an operator can queue the event again.</summary>
    public DateTimeOffset? ParkedAt { get; init; }

    /// <summary>The error of the last attempt.</summary>
    public string? LastError { get; init; }
}

/// <summary>
/// Derives the identifier of an event from client and payment alone. It survives a restore of the database, so
/// receivers can deduplicate across restores.
/// </summary>
internal static class EventIdentifier
{
    /// <summary>
    /// Returns a UUID of version 8 (RFC 9562) from the SHA-256 hash of both identifiers, which hold no slash.
    /// </summary>
    public static Guid Of(ClientId clientId, PaymentId paymentId)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.ASCII.GetBytes($"payment.cancelled/{clientId.Value}/{paymentId.Value}"), hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}

/// <summary>Statements on the outbox for the batches of other folders.</summary>
internal static class OutboxStatements
{
    /// <summary>Adds the event of a cancellation, due at once, to the batch that cancels.</summary>
    public static AtomicBatch AddEvent(
        this AtomicBatch batch,
        ClientId clientId,
        PaymentId paymentId,
        DateTimeOffset cancelledAt
    ) =>
        batch.Add(
            "INSERT INTO outbox (client_id, payment_id, created_at, due_at, attempts) VALUES ($1, $2, $3, $3, 0)",
            clientId.Value,
            paymentId.Value,
            cancelledAt
        );
}

/// <summary>The table <c>outbox</c>.</summary>
internal sealed class OutboxTable : IEntityTypeConfiguration<OutboxRow>
{
    public void Configure(EntityTypeBuilder<OutboxRow> outbox)
    {
        outbox.ToTable("outbox");
        outbox.HasKey(o => new { o.ClientId, o.PaymentId });
        outbox.Ignore(o => o.EventId);
        outbox.Property(o => o.LastError).HasMaxLength(512);
        outbox.HasIndex(o => new { o.ClientId, o.DueAt }).HasFilter("due_at IS NOT NULL");
        outbox.HasIndex(o => o.ParkedAt).HasFilter("parked_at IS NOT NULL");
        outbox.HasIndex(o => o.DeliveredAt).HasFilter("delivered_at IS NOT NULL");
        outbox.HasIndex(o => new { o.ClientId, o.DeliveredAt }).HasFilter("delivered_at IS NOT NULL");
    }
}
