using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Ledger;

/// <summary>The merchant's account in one currency.</summary>
public sealed class AccountRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The currency.</summary>
    public required Currency Currency { get; init; }

    /// <summary>Minor units: the sum of the account's transfers, 0 to <see cref="Money.MaxBalance"/>.</summary>
    public required long Balance { get; init; }
}

/// <summary>
/// A movement of money. Its cause is a version of a payment, or a deposit or payout with its reference.
/// </summary>
public sealed class TransferRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The transfer's identifier (UUID version 7).</summary>
    public required Guid TransferId { get; init; }

    /// <summary>The debited account.</summary>
    public required LedgerAccount Debit { get; init; }

    /// <summary>The credited account.</summary>
    public required LedgerAccount Credit { get; init; }

    /// <summary>The amount in minor units.</summary>
    public required long MinorUnits { get; init; }

    /// <summary>The currency.</summary>
    public required Currency Currency { get; init; }

    /// <summary>The time of the decision (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The payment whose money moved; null for deposits and payouts.</summary>
    public PaymentId? PaymentId { get; init; }

    /// <summary>The version of the payment that the transfer caused; null for deposits and payouts.</summary>
    public int? PaymentVersion { get; init; }

    /// <summary>The operator's identifier of a deposit or payout; null for payments.</summary>
    public string? Reference { get; init; }

    /// <summary>
    /// The caller that asked for a deposit or payout; null for payments, because their history has it.
    /// </summary>
    public string? Actor { get; init; }

    /// <summary>The transfer as a value of the domain.</summary>
    public Transfer Transfer => new(Debit, Credit, new Money(MinorUnits, Currency));
}

/// <summary>The tables <c>accounts</c> and <c>transfers</c>.</summary>
internal sealed class LedgerTables : IEntityTypeConfiguration<AccountRow>, IEntityTypeConfiguration<TransferRow>
{
    public void Configure(EntityTypeBuilder<AccountRow> account)
    {
        account.ToTable(
            "accounts",
            table =>
            {
                table.HasCheckConstraint(Arbiters.BalanceNotNegative, "balance >= 0");
                table.HasCheckConstraint(Arbiters.BalanceLimit, $"balance <= {Money.MaxBalance}");
            }
        );
        account.HasKey(a => new { a.ClientId, a.Currency });
        account.HasOne<Client>().WithMany().HasForeignKey(a => a.ClientId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<TransferRow> transfer)
    {
        transfer.ToTable(
            "transfers",
            table =>
            {
                table.HasCheckConstraint(
                    "ck_transfers_accounts",
                    $"debit IN ({CancelDbContext.Names<LedgerAccount>()}) "
                        + $"AND credit IN ({CancelDbContext.Names<LedgerAccount>()}) AND debit <> credit"
                );
                table.HasCheckConstraint("ck_transfers_amount", "minor_units > 0");
                table.HasCheckConstraint(
                    "ck_transfers_cause",
                    "(payment_id IS NULL) = (payment_version IS NULL) AND (payment_id IS NULL) <> (reference IS NULL)"
                );
            }
        );
        // With the currency in the key, a page of an account's transfers is a range scan.
        transfer.HasKey(t => new
        {
            t.ClientId,
            t.Currency,
            t.TransferId,
        });
        transfer.Property(t => t.Reference).HasMaxLength(Identifier.MaxLength);
        transfer.Property(t => t.Actor).HasMaxLength(256);
        transfer.Ignore(t => t.Transfer);
        transfer
            .HasIndex(t => new { t.ClientId, t.Reference })
            .HasDatabaseName("ux_transfers_reference")
            .IsUnique()
            .HasFilter("reference IS NOT NULL");
        transfer
            .HasIndex(t => new
            {
                t.ClientId,
                t.PaymentId,
                t.PaymentVersion,
            })
            .HasDatabaseName("ux_transfers_payment_version")
            .IsUnique()
            .HasFilter("payment_id IS NOT NULL");
        // The merchant's account of a transfer must exist. The foreign key includes the currency, so a transfer has the
        // currency of its account.
        transfer
            .HasOne<AccountRow>()
            .WithMany()
            .HasForeignKey(t => new { t.ClientId, t.Currency })
            .OnDelete(DeleteBehavior.Restrict);
    }
}
