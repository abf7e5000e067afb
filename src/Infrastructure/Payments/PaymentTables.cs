using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Payments;

/// <summary>A payment as it stands, without its paymentRequestId and its cancellation, which have their own rows.</summary>
public sealed class PaymentRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The wallet's identifier.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>Whether money is taken at once or held first.</summary>
    public required PaymentKind Kind { get; init; }

    /// <summary>The full amount.</summary>
    public required Money Amount { get; init; }

    /// <summary>When the payment was initiated (UTC).</summary>
    public required DateTimeOffset InitiatedAt { get; init; }

    /// <summary>Who pays; null when the core did not say.</summary>
    public string? Payer { get; init; }

    /// <summary>Where the payment stands.</summary>
    public required PaymentStatus Status { get; init; }

    /// <summary>Minor units captured so far.</summary>
    public required long Captured { get; init; }

    /// <summary>Minor units that the core refunded so far.</summary>
    public required long Refunded { get; init; }

    /// <summary>The number of changes so far.</summary>
    public required int Version { get; init; }

    /// <summary>
    /// How often a cancel was refused for time or balance. A cancel that was decided before one of these refusals is not
    /// written: it would set this column to -1, which the table's check refuses.
    /// </summary>
    public int Fence { get; init; }
}

/// <summary>
/// A line of a payment's history. The version in its key arbitrates every race: two writers that started from the same state
/// both insert the same version.
/// </summary>
public sealed class HistoryRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The payment.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>The payment's version after this line, from 1.</summary>
    public required int Version { get; init; }

    /// <summary>What happened, or was refused as late.</summary>
    public required PaymentAction Action { get; init; }

    /// <summary>Who asked for it.</summary>
    public required string Actor { get; init; }

    /// <summary>With a cancellation: the version of the merchant's key.</summary>
    public int? KeyVersion { get; init; }

    /// <summary>With a cancellation: the trace of its request, as in the log.</summary>
    public string? TraceId { get; init; }

    /// <summary>When it was decided (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The status before; null for the registration. The effect of a cancellation follows from it.</summary>
    public PaymentStatus? FromStatus { get; init; }

    /// <summary>The status after.</summary>
    public required PaymentStatus ToStatus { get; init; }

    /// <summary>The amount that the line is about, in minor units of its currency.</summary>
    public long? MinorUnits { get; init; }

    /// <summary>The currency of that amount; a late report may be in another one than its payment.</summary>
    public Currency? Currency { get; init; }

    /// <summary>With a late report: what the core had to do.</summary>
    public Remedy? Remedy { get; init; }

    /// <summary>With a report: the core's identifier, unique per payment.</summary>
    public string? EventId { get; init; }

    /// <summary>With a cancellation: the answer, which is repeated byte for byte.</summary>
    public byte[]? Answer { get; init; }

    /// <summary>
    /// With a cancellation or a late report: its place in the client's feed of them, given when the feed is read:
    /// docs/decisions/0007-feeds-are-numbered-when-read.md
    /// </summary>
    public long? Position { get; init; }
}

/// <summary>
/// Whom a paymentRequestId belongs to: a payment, for ever, or an early cancel, for a time. The key decides which of the two
/// was first, also when they race.
/// </summary>
public sealed class PaymentRequestRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The merchant's identifier.</summary>
    public required PaymentRequestId PaymentRequestId { get; init; }

    /// <summary>The payment; null when a cancel was first.</summary>
    public PaymentId? PaymentId { get; init; }

    /// <summary>When the early cancel was refused (UTC); null when the payment was first.</summary>
    public DateTimeOffset? RefusedAt { get; init; }
}

/// <summary>The tables <c>payments</c>, <c>payment_history</c> and <c>payment_requests</c>.</summary>
internal sealed class PaymentTables
    : IEntityTypeConfiguration<PaymentRow>,
        IEntityTypeConfiguration<HistoryRow>,
        IEntityTypeConfiguration<PaymentRequestRow>
{
    public void Configure(EntityTypeBuilder<PaymentRow> payment)
    {
        payment.ToTable(
            "payments",
            table =>
            {
                table.HasCheckConstraint("ck_payments_status", $"status IN ({CancelDbContext.Names<PaymentStatus>()})");
                table.HasCheckConstraint("ck_payments_kind", $"kind IN ({CancelDbContext.Names<PaymentKind>()})");
                table.HasCheckConstraint("ck_payments_amount", "amount_minor_units > 0");
                table.HasCheckConstraint("ck_payments_captured", "captured BETWEEN 0 AND amount_minor_units");
                table.HasCheckConstraint("ck_payments_refunded", "refunded BETWEEN 0 AND amount_minor_units");
                table.HasCheckConstraint(Arbiters.Fence, "fence >= 0");
            }
        );
        payment.HasKey(p => new { p.ClientId, p.PaymentId });
        payment.Property(p => p.Payer).HasMaxLength(128);
        payment.Property(p => p.Fence).HasDefaultValue(0);
        payment.ComplexProperty(p => p.Amount, CancelDbContext.MoneyColumns);
        payment.HasOne<Client>().WithMany().HasForeignKey(p => p.ClientId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<HistoryRow> history)
    {
        history.ToTable(
            "payment_history",
            table =>
            {
                table.HasCheckConstraint(
                    "ck_payment_history_cancellation",
                    "CASE action WHEN 'CANCEL' THEN answer IS NOT NULL "
                        + "AND from_status IN ('PROCESSING', 'AUTHORIZED', 'SUCCESS', 'FAILED') ELSE answer IS NULL END"
                );
                table.HasCheckConstraint("ck_payment_history_amount", "(minor_units IS NULL) = (currency IS NULL)");
            }
        );
        history.HasKey(h => new
        {
            h.ClientId,
            h.PaymentId,
            h.Version,
        });
        history.Property(h => h.Actor).HasMaxLength(256);
        history.Property(h => h.TraceId).HasMaxLength(64);
        history.Property(h => h.EventId).HasMaxLength(Identifier.MaxLength);
        history
            .HasIndex(h => new { h.ClientId, h.PaymentId }, "cancellation")
            .HasDatabaseName("ux_payment_history_cancellation")
            .IsUnique()
            .HasFilter("action = 'CANCEL'");
        history
            .HasIndex(h => new
            {
                h.ClientId,
                h.PaymentId,
                h.EventId,
            })
            .HasDatabaseName("ux_payment_history_event_id")
            .IsUnique()
            .HasFilter("event_id IS NOT NULL");
        Feed(history, "cancellation", "action = 'CANCEL'");
        Feed(history, "late_report", "remedy IS NOT NULL");
        // Its filter is not the one of the cancellation's own index. Otherwise PostgreSQL, while its statistics know of no
        // cancellation, would look for a payment's cancellation by reading all of this index.
        history
            .HasIndex(h => h.At)
            .HasDatabaseName("ix_payment_history_cancelled_at")
            .HasFilter("answer IS NOT NULL");
        history
            .HasOne<PaymentRow>()
            .WithMany()
            .HasForeignKey(h => new { h.ClientId, h.PaymentId })
            .OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<PaymentRequestRow> request)
    {
        request.ToTable(
            "payment_requests",
            table =>
                table.HasCheckConstraint("ck_payment_requests_owner", "(payment_id IS NULL) <> (refused_at IS NULL)")
        );
        request.HasKey(r => new { r.ClientId, r.PaymentRequestId });
        request
            .HasIndex(r => new { r.ClientId, r.PaymentId })
            .HasDatabaseName("ux_payment_requests_payment_id")
            .IsUnique();
        request.HasIndex(r => new { r.ClientId, r.RefusedAt }).HasFilter("refused_at IS NOT NULL");
        request
            .HasOne<PaymentRow>()
            .WithOne()
            .HasForeignKey<PaymentRequestRow>(r => new { r.ClientId, r.PaymentId })
            .OnDelete(DeleteBehavior.Restrict);
    }

    // A feed: its lines by their places, and those that have none yet.
    private static void Feed(EntityTypeBuilder<HistoryRow> history, string name, string lines)
    {
        history
            .HasIndex(h => new { h.ClientId, h.Position }, $"{name}_place")
            .HasDatabaseName($"ux_payment_history_{name}_place")
            .IsUnique()
            .HasFilter($"{lines} AND position IS NOT NULL");
        history
            .HasIndex(h => h.ClientId, $"{name}_unplaced")
            .HasDatabaseName($"ix_payment_history_{name}_unplaced")
            .HasFilter($"{lines} AND position IS NULL");
    }
}
