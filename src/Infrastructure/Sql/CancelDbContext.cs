using System.Text.Json;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Microsoft.Extensions.Caching.Memory;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// The schema for both databases. Each table is configured beside the statements that write it. Every key and unique
/// constraint begins with the client, and no foreign key spans two clients, so that PostgreSQL can be distributed by
/// client: see <see cref="Servers.Distribution"/>.
/// </summary>
public abstract class CancelDbContext(DbContextOptions options) : DbContext(options)
{
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
        Convert<Remedy, EnumConverter<Remedy>>(16);
        Convert<LedgerAccount, EnumConverter<LedgerAccount>>(16);
        Convert<ChangeKind, EnumConverter<ChangeKind>>(16);
        configurationBuilder.Properties<PublicKey>().HaveConversion<PublicKeyConverter>();

        void Convert<T, TConverter>(int maxLength) =>
            configurationBuilder.Properties<T>().HaveConversion<TConverter>().HaveMaxLength(maxLength);
    }

    /// <inheritdoc/>
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        ArgumentNullException.ThrowIfNull(modelBuilder);
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(CancelDbContext).Assembly);
    }

    /// <summary>Maps an amount to two columns: <c>amount_minor_units</c> and <c>amount_currency</c>.</summary>
    internal static void MoneyColumns(ComplexPropertyBuilder<Money> money)
    {
        money.Property(m => m.MinorUnits);
        money.Property(m => m.Currency);
    }

    /// <summary>Lists the stored names of an enum's members, for a column's check constraint.</summary>
    internal static string Names<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(value => $"'{Stored(value)}'"));

    /// <summary>Returns the stored name of an enum's member: <c>HOLD_RELEASED</c> for <c>HoldReleased</c>.</summary>
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

    // Parsing a key costs much more than verifying with it, and clients are read often.
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

/// <summary>
/// The schema on SQLite. SQLite has no type for time, so times are microseconds since 1970 (UTC), as precise as
/// PostgreSQL.
/// </summary>
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
