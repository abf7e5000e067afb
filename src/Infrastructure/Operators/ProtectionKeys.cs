using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Operators;

/// <summary>A key of ASP.NET Core Data Protection.</summary>
public sealed class ProtectionKeyRow
{
    /// <summary>The name that the framework gives it.</summary>
    public required string Name { get; init; }

    /// <summary>The key in the framework's form.</summary>
    public required string Xml { get; init; }
}

/// <summary>
/// The keys that protect operators' cookies, links and forms, shared by all instances. Data Protection reads them
/// synchronously, at its first use and once a day.
/// </summary>
public sealed class ProtectionKeys(Database database)
{
    /// <summary>Reads all keys.</summary>
    public IReadOnlyList<string> All()
    {
        using var db = database.CreateContext();
        return [.. db.Set<ProtectionKeyRow>().Select(key => key.Xml)];
    }

    /// <summary>Stores a key; the commit is as durable as every other.</summary>
    public void Add(string name, string xml) =>
        // On another thread: a page that renders the first form of all has a synchronization context, and would wait
        // for itself.
        Task.Run(() =>
                database.Rows(
                    new AtomicBatch().Add("INSERT INTO data_protection_keys (name, xml) VALUES ($1, $2)", name, xml),
                    CancellationToken.None
                )
            )
            .GetAwaiter()
            .GetResult();
}

/// <summary>The table <c>data_protection_keys</c>.</summary>
internal sealed class ProtectionKeyTable : IEntityTypeConfiguration<ProtectionKeyRow>
{
    public void Configure(EntityTypeBuilder<ProtectionKeyRow> key)
    {
        key.ToTable("data_protection_keys");
        key.HasKey(k => k.Name);
        key.Property(k => k.Name).HasMaxLength(128);
    }
}
