using CancelService.Domain;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Payments;

/// <summary>Equal refused cancels: of one client, naming the same payment, and answered with the same code.</summary>
public sealed class RefusedCancelRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The paymentId that they name; empty when they name none.</summary>
    public required string PaymentId { get; init; }

    /// <summary>The paymentRequestId that they name; empty when they name none.</summary>
    public required string PaymentRequestId { get; init; }

    /// <summary>The code of the answers, as on the wire.</summary>
    public required string Code { get; init; }

    /// <summary>How many there were.</summary>
    public required int Times { get; init; }

    /// <summary>When the first one was answered (UTC).</summary>
    public required DateTimeOffset FirstAt { get; init; }

    /// <summary>When the last one was answered (UTC).</summary>
    public required DateTimeOffset LastAt { get; init; }

    /// <summary>The version of the key that signed the last one.</summary>
    public required int KeyVersion { get; init; }

    /// <summary>The trace of the last one, as in the log.</summary>
    public required string TraceId { get; init; }
}

/// <summary>
/// The table <c>refused_cancels</c>. It refers to no other: a client that is not there must not keep the others' from being
/// written.
/// </summary>
internal sealed class RefusedCancelTable : IEntityTypeConfiguration<RefusedCancelRow>
{
    public void Configure(EntityTypeBuilder<RefusedCancelRow> refused)
    {
        refused.ToTable("refused_cancels");
        refused.HasKey(r => new
        {
            r.ClientId,
            r.PaymentId,
            r.PaymentRequestId,
            r.Code,
        });
        refused.Property(r => r.PaymentId).HasMaxLength(Identifier.MaxLength);
        refused.Property(r => r.PaymentRequestId).HasMaxLength(Identifier.MaxLength);
        refused.Property(r => r.Code).HasMaxLength(64);
        refused.Property(r => r.TraceId).HasMaxLength(64);
        refused.HasIndex(r => new { r.ClientId, r.PaymentRequestId });
        refused.HasIndex(r => new { r.ClientId, r.LastAt });
        refused.HasIndex(r => r.LastAt);
    }
}
