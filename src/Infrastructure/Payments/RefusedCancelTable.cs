using CancelService.Domain;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Payments;

/// <summary>Counts equal refused cancels: from one client, for the same payment, answered with the same code.</summary>
public sealed class RefusedCancelRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The paymentId in the requests; empty when they have none.</summary>
    public required string PaymentId { get; init; }

    /// <summary>The paymentRequestId in the requests; empty when they have none.</summary>
    public required string PaymentRequestId { get; init; }

    /// <summary>The result code of the answers, as on the wire.</summary>
    public required string Code { get; init; }

    /// <summary>The number of refusals.</summary>
    public required int Times { get; init; }

    /// <summary>The time of the first answer (UTC).</summary>
    public required DateTimeOffset FirstAt { get; init; }

    /// <summary>The time of the last answer (UTC).</summary>
    public required DateTimeOffset LastAt { get; init; }

    /// <summary>The version of the key that signed the last request.</summary>
    public required int KeyVersion { get; init; }

    /// <summary>The trace of the last request, as in the log.</summary>
    public required string TraceId { get; init; }
}

/// <summary>
/// The table <c>refused_cancels</c>. It has no foreign key: a missing client must not make the batch with other
/// clients' rows fail.
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
