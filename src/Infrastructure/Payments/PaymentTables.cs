using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Payments;

/// <summary>The current state of a payment. Its paymentRequestId and its cancellation have their own rows.</summary>
public sealed class PaymentRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The wallet's identifier.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>The way in which the payment takes money: at once, or after a hold.</summary>
    public required PaymentKind Kind { get; init; }

    /// <summary>The full amount.</summary>
    public required Money Amount { get; init; }

    /// <summary>The time at which the payment was initiated (UTC).</summary>
    public required DateTimeOffset InitiatedAt { get; init; }

    /// <summary>The payer; null when the core named none.</summary>
    public string? Payer { get; init; }

    /// <summary>The status.</summary>
    public required PaymentStatus Status { get; init; }

    /// <summary>Minor units captured so far.</summary>
    public required long Captured { get; init; }

    /// <summary>Minor units that the core refunded so far.</summary>
    public required long Refunded { get; init; }

    /// <summary>The number of changes so far.</summary>
    public required int Version { get; init; }

    /// <summary>
    /// The number of cancels that were refused for time or balance. It fences off cancels that were decided before such
    /// a refusal: they would set this column to -1, and the table's check refuses that.
    /// </summary>
    public int Fence { get; init; }
}

/// <summary>
/// A step in a payment's history. The version in the key arbitrates every race: two writers that started from the same
/// state insert the same version.
/// </summary>
public sealed class HistoryRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The payment.</summary>
    public required PaymentId PaymentId { get; init; }

    /// <summary>The payment's version after this step, from 1.</summary>
    public required int Version { get; init; }

    /// <summary>The event that happened, or that was refused as late.</summary>
    public required PaymentAction Action { get; init; }

    /// <summary>The caller that asked for the step.</summary>
    public required string Actor { get; init; }

    /// <summary>The version of the merchant's key; null except for a cancellation.</summary>
    public int? KeyVersion { get; init; }

    /// <summary>The trace of the request, as in the log; null except for a cancellation.</summary>
    public string? TraceId { get; init; }

    /// <summary>The time of the decision (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The status before; null for the registration. It determines the effect of a cancellation.</summary>
    public PaymentStatus? FromStatus { get; init; }

    /// <summary>The status after.</summary>
    public required PaymentStatus ToStatus { get; init; }

    /// <summary>The amount of the step, in minor units of its currency; null when it has none.</summary>
    public long? MinorUnits { get; init; }

    /// <summary>The currency of the amount. A late report's currency may differ from the payment's.</summary>
    public Currency? Currency { get; init; }

    /// <summary>The remedy that the core was told; null except for a late report.</summary>
    public Remedy? Remedy { get; init; }

    /// <summary>The core's identifier of a report, unique per payment; null except for a report.</summary>
    public string? EventId { get; init; }

    /// <summary>The answer, which every repeat gets byte for byte; null except for a cancellation.</summary>
    public byte[]? Answer { get; init; }

    /// <summary>
    /// The position of a cancellation or a late report in its client's feed; null until the feed is read:
    /// docs/decisions/0007-feeds-are-numbered-when-read.md
    /// </summary>
    public long? Position { get; init; }
}

/// <summary>
/// The owner of a paymentRequestId: a payment for ever, or an early cancel for a limited time. The key decides a race
/// between the two.
/// </summary>
public sealed class PaymentRequestRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The merchant's identifier.</summary>
    public required PaymentRequestId PaymentRequestId { get; init; }

    /// <summary>The payment that owns the paymentRequestId; null for an early cancel.</summary>
    public PaymentId? PaymentId { get; init; }

    /// <summary>The time at which the early cancel was refused (UTC); null for a payment.</summary>
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
        // The filter differs from the unique index's on purpose. With equal filters PostgreSQL would look for a
        // payment's cancellation by scanning this whole index while its statistics know of no cancellation.
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

    // The indexes of a feed: rows by position, and rows without a position.
    private static void Feed(EntityTypeBuilder<HistoryRow> history, string name, string filter)
    {
        history
            .HasIndex(h => new { h.ClientId, h.Position }, $"{name}_place")
            .HasDatabaseName($"ux_payment_history_{name}_place")
            .IsUnique()
            .HasFilter($"{filter} AND position IS NOT NULL");
        history
            .HasIndex(h => h.ClientId, $"{name}_unplaced")
            .HasDatabaseName($"ix_payment_history_{name}_unplaced")
            .HasFilter($"{filter} AND position IS NULL");
    }
}
