using System.Text.Json;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Microsoft.Extensions.Caching.Memory;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// The schema, for both databases. Every key and unique constraint begins with the client, and no foreign key spans
/// two clients, so that PostgreSQL can later be distributed by client.
/// </summary>
public abstract class CancelDbContext(DbContextOptions options) : DbContext(options)
{
    /// <summary>The clients with their keys.</summary>
    public DbSet<Client> Clients => Set<Client>();

    /// <summary>The payments, each with its cancellation once it has one.</summary>
    public DbSet<Payment> Payments => Set<Payment>();

    /// <summary>The payments' append-only history.</summary>
    public DbSet<HistoryRow> History => Set<HistoryRow>();

    /// <summary>Whom each paymentRequestId belongs to.</summary>
    public DbSet<PaymentRequestRow> PaymentRequests => Set<PaymentRequestRow>();

    /// <summary>The cancellations.</summary>
    public DbSet<Cancellation> Cancellations => Set<Cancellation>();

    /// <summary>The merchants' balances.</summary>
    public DbSet<AccountRow> Accounts => Set<AccountRow>();

    /// <summary>The append-only ledger.</summary>
    public DbSet<LedgerRow> Ledger => Set<LedgerRow>();

    /// <summary>The deposits and payouts.</summary>
    public DbSet<Transfer> Transfers => Set<Transfer>();

    /// <summary>The cancellations that the core is to be told.</summary>
    public DbSet<OutboxRow> Outbox => Set<OutboxRow>();

    /// <inheritdoc/>
    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        ArgumentNullException.ThrowIfNull(configurationBuilder);
        Convert<ClientId, ClientIdConverter>(Identifier.MaxLength);
        Convert<PaymentId, PaymentIdConverter>(Identifier.MaxLength);
        Convert<PaymentRequestId, RequestIdConverter>(Identifier.MaxLength);
        Convert<Currency, CurrencyConverter>(3);
        Convert<CancelWindow, WindowConverter>(64);
        Convert<PaymentKind, EnumConverter<PaymentKind>>(16);
        Convert<PaymentStatus, EnumConverter<PaymentStatus>>(16);
        Convert<PaymentAction, EnumConverter<PaymentAction>>(16);
        Convert<CancelEffect, EnumConverter<CancelEffect>>(16);
        Convert<LateMoney, EnumConverter<LateMoney>>(16);
        Convert<LedgerAccount, EnumConverter<LedgerAccount>>(16);
        Convert<TransferKind, EnumConverter<TransferKind>>(16);
        configurationBuilder.Properties<PublicKey>().HaveConversion<PublicKeyConverter>();

        void Convert<T, TConverter>(int maxLength) =>
            configurationBuilder.Properties<T>().HaveConversion<TConverter>().HaveMaxLength(maxLength);
    }

    /// <inheritdoc/>
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        ArgumentNullException.ThrowIfNull(modelBuilder);

        modelBuilder.Entity<Client>(client =>
        {
            client.ToTable("clients");
            client.HasKey(c => c.Id);
            client.Property(c => c.Id).HasColumnName("client_id");
            client.Property(c => c.Name).HasMaxLength(256);
            client.ComplexProperty(c => c.Contract);
            client.HasMany(c => c.Keys).WithOne().HasForeignKey("ClientId");
        });

        modelBuilder.Entity<ClientKey>(key =>
        {
            key.ToTable("client_keys");
            key.HasKey("ClientId", nameof(ClientKey.Version));
            key.Property(k => k.Version).ValueGeneratedNever();
        });

        modelBuilder.Entity<Payment>(payment =>
        {
            payment.ToTable(
                "payments",
                table =>
                {
                    table.HasCheckConstraint("ck_payments_status", $"status IN ({Names<PaymentStatus>()})");
                    table.HasCheckConstraint("ck_payments_kind", $"kind IN ({Names<PaymentKind>()})");
                    table.HasCheckConstraint("ck_payments_amount", "amount_minor_units > 0");
                    table.HasCheckConstraint("ck_payments_captured", "captured BETWEEN 0 AND amount_minor_units");
                    table.HasCheckConstraint("ck_payments_refunded", "refunded BETWEEN 0 AND amount_minor_units");
                }
            );
            payment.HasKey(p => new { p.ClientId, p.Id });
            payment.HasIndex(p => new { p.ClientId, p.RequestId }).IsUnique();
            payment.Property(p => p.Id).HasColumnName("payment_id");
            payment.Property(p => p.RequestId).HasColumnName("payment_request_id");
            payment.Property(p => p.Payer).HasMaxLength(128);
            payment.ComplexProperty(p => p.Amount, MoneyColumns);
            payment.HasOne<Client>().WithMany().HasForeignKey(p => p.ClientId).OnDelete(DeleteBehavior.Restrict);
            payment
                .HasOne(p => p.Cancellation)
                .WithOne()
                .HasForeignKey<Cancellation>("ClientId", "PaymentId")
                .OnDelete(DeleteBehavior.Restrict);
        });

        modelBuilder.Entity<Cancellation>(cancellation =>
        {
            cancellation.ToTable(
                "cancellations",
                table => table.HasCheckConstraint("ck_cancellations_effect", $"effect IN ({Names<CancelEffect>()})")
            );
            cancellation.Property<ClientId>("ClientId");
            cancellation.Property<PaymentId>("PaymentId");
            cancellation.HasKey("ClientId", "PaymentId");
            cancellation.Property<byte[]>("Answer").IsRequired();
            // The place in the client's feed, given when the feed is read: docs/decisions/0007-feeds-are-numbered-when-read.md
            cancellation.Property<long?>("Position");
            cancellation.HasIndex("ClientId", "Position").IsUnique().HasFilter("position IS NOT NULL");
            cancellation
                .HasIndex("ClientId")
                .HasDatabaseName("ix_cancellations_unnumbered")
                .HasFilter("position IS NULL");
            cancellation.HasIndex(c => c.CancelledAt);
        });

        modelBuilder.Entity<HistoryRow>(history =>
        {
            history.ToTable("payment_history");
            history.HasKey(h => new
            {
                h.ClientId,
                h.PaymentId,
                h.Version,
            });
            history.Property(h => h.Actor).HasMaxLength(256);
            history.Property(h => h.EventId).HasMaxLength(Identifier.MaxLength);
            history
                .HasIndex(h => new
                {
                    h.ClientId,
                    h.PaymentId,
                    h.EventId,
                })
                .IsUnique()
                .HasFilter("event_id IS NOT NULL");
            history.HasIndex(h => new { h.ClientId, h.Position }).IsUnique().HasFilter("position IS NOT NULL");
            history
                .HasIndex(h => h.ClientId)
                .HasDatabaseName("ix_payment_history_unnumbered")
                .HasFilter("remedy IS NOT NULL AND position IS NULL");
            history
                .HasOne<Payment>()
                .WithMany()
                .HasForeignKey(h => new { h.ClientId, h.PaymentId })
                .OnDelete(DeleteBehavior.Restrict);
        });

        modelBuilder.Entity<PaymentRequestRow>(request =>
        {
            request.ToTable(
                "payment_requests",
                table =>
                    table.HasCheckConstraint(
                        "ck_payment_requests_owner",
                        "(payment_id IS NULL) <> (refused_at IS NULL)"
                    )
            );
            request.HasKey(r => new { r.ClientId, r.PaymentRequestId });
            request.HasIndex(r => new { r.ClientId, r.PaymentId }).IsUnique();
            request.HasIndex(r => new { r.ClientId, r.RefusedAt }).HasFilter("refused_at IS NOT NULL");
            request
                .HasOne<Payment>()
                .WithOne()
                .HasForeignKey<PaymentRequestRow>(r => new { r.ClientId, r.PaymentId })
                .OnDelete(DeleteBehavior.Restrict);
        });

        modelBuilder.Entity<Transfer>(transfer =>
        {
            transfer.ToTable(
                "transfers",
                table => table.HasCheckConstraint("ck_transfers_kind", $"kind IN ({Names<TransferKind>()})")
            );
            transfer.HasKey(t => new { t.ClientId, t.Id });
            transfer.Property(t => t.Id).HasColumnName("transfer_id").HasMaxLength(Identifier.MaxLength);
            transfer.Property(t => t.Actor).HasMaxLength(256);
            transfer.ComplexProperty(t => t.Amount, MoneyColumns);
            transfer.HasIndex(t => new { t.ClientId, t.TransactionId }).IsUnique();
        });

        modelBuilder.Entity<AccountRow>(account =>
        {
            account.ToTable("accounts", table => table.HasCheckConstraint(Arbiters.Balance, "balance >= 0"));
            account.HasKey(a => new { a.ClientId, a.Currency });
            account.HasOne<Client>().WithMany().HasForeignKey(a => a.ClientId).OnDelete(DeleteBehavior.Restrict);
        });

        modelBuilder.Entity<LedgerRow>(entry =>
        {
            entry.ToTable(
                "ledger_entries",
                table =>
                {
                    table.HasCheckConstraint("ck_ledger_entries_account", $"account IN ({Names<LedgerAccount>()})");
                    table.HasCheckConstraint("ck_ledger_entries_amount", "minor_units <> 0");
                }
            );
            entry.HasKey(e => new
            {
                e.ClientId,
                e.TransactionId,
                e.Line,
            });
            entry.HasIndex(e => new { e.ClientId, e.PaymentId });
            // The foreign key holds the currency, so an entry can't be in another currency than its account.
            entry
                .HasOne<AccountRow>()
                .WithMany()
                .HasForeignKey(e => new { e.ClientId, e.Currency })
                .OnDelete(DeleteBehavior.Restrict);
        });

        modelBuilder.Entity<OutboxRow>(outbox =>
        {
            outbox.ToTable("outbox");
            outbox.HasKey(o => new { o.ClientId, o.PaymentId });
            outbox.Property(o => o.LastError).HasMaxLength(512);
            outbox.HasIndex(o => new { o.ClientId, o.DueAt }).HasFilter("due_at IS NOT NULL");
            outbox.HasIndex(o => o.ParkedAt).HasFilter("parked_at IS NOT NULL");
            outbox.HasIndex(o => o.DeliveredAt).HasFilter("delivered_at IS NOT NULL");
            outbox.HasIndex(o => new { o.ClientId, o.DeliveredAt }).HasFilter("delivered_at IS NOT NULL");
            outbox
                .HasOne<Cancellation>()
                .WithOne()
                .HasForeignKey<OutboxRow>(o => new { o.ClientId, o.PaymentId })
                .OnDelete(DeleteBehavior.Restrict);
        });
    }

    private static void MoneyColumns(ComplexPropertyBuilder<Money> money)
    {
        money.Property(m => m.MinorUnits);
        money.Property(m => m.Currency);
    }

    private static string Names<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(value => $"'{Stored(value)}'"));

    /// <summary>An enum's member as it is stored: <c>HoldReleased</c> as <c>HOLD_RELEASED</c>.</summary>
    internal static string Stored<T>(T value)
        where T : struct, Enum => EnumConverter<T>.ToText[value];

    private sealed class ClientIdConverter() : ValueConverter<ClientId, string>(id => id.Value, text => new(text));

    private sealed class PaymentIdConverter() : ValueConverter<PaymentId, string>(id => id.Value, text => new(text));

    private sealed class RequestIdConverter()
        : ValueConverter<PaymentRequestId, string>(id => id.Value, text => new(text));

    private sealed class CurrencyConverter() : ValueConverter<Currency, string>(code => code.Code, text => new(text));

    private sealed class WindowConverter()
        : ValueConverter<CancelWindow, string>(window => window.ToString()!, text => CancelWindow.Parse(text));

    private sealed class PublicKeyConverter()
        : ValueConverter<PublicKey, string>(key => key.Pem, text => ParsedKeys.Parse(text));

    // Clients are read again and again, and preparing a key costs many times what verifying with it does.
    private static class ParsedKeys
    {
        private static readonly MemoryCache Keys = new(new MemoryCacheOptions { SizeLimit = 10_000 });

        public static PublicKey Parse(string pem) =>
            Keys.GetOrCreate(
                pem,
                entry =>
                {
                    entry.Size = 1;
                    return PublicKey.Parse(pem);
                }
            )!;
    }

    private sealed class EnumConverter<T>() : ValueConverter<T, string>(value => ToText[value], text => FromText[text])
        where T : struct, Enum
    {
        internal static readonly Dictionary<T, string> ToText = Enum.GetValues<T>()
            .ToDictionary(value => value, value => JsonNamingPolicy.SnakeCaseUpper.ConvertName(value.ToString()));

        private static readonly Dictionary<string, T> FromText = ToText.ToDictionary(
            pair => pair.Value,
            pair => pair.Key,
            StringComparer.Ordinal
        );
    }
}

/// <summary>The schema on PostgreSQL.</summary>
public sealed class PostgresDbContext(DbContextOptions<PostgresDbContext> options) : CancelDbContext(options);

/// <summary>The schema on SQLite, which has no type for time: microseconds since 1970 (UTC), as precise as PostgreSQL.</summary>
public sealed class SqliteDbContext(DbContextOptions<SqliteDbContext> options) : CancelDbContext(options)
{
    /// <inheritdoc/>
    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        base.ConfigureConventions(configurationBuilder);
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<MicrosecondsConverter>();
    }

    internal static long Microseconds(DateTimeOffset time) =>
        (time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;

    internal static DateTimeOffset Time(long microseconds) =>
        DateTimeOffset.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond);

    private sealed class MicrosecondsConverter()
        : ValueConverter<DateTimeOffset, long>(time => Microseconds(time), stored => Time(stored));
}
