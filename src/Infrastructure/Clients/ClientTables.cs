using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Clients;

/// <summary>A change of a client or one of its keys. Rows are added, never changed.</summary>
public sealed class ClientChangeRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>Which change of this client it is, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>When (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>Who: the token's subject.</summary>
    public required string Actor { get; init; }

    /// <summary>Why, as the caller said; empty when nothing was said.</summary>
    public required string Reason { get; init; }

    /// <summary>The key that was changed; 0 for the client and its contract.</summary>
    public required int KeyVersion { get; init; }

    /// <summary>The state after the change, as JSON in the form of the internal API.</summary>
    public required string State { get; init; }
}

/// <summary>What other writes do with a client's row.</summary>
internal static class ClientStatements
{
    /// <summary>Locks the client's row until the commit, and changes nothing.</summary>
    public static AtomicBatch LockClient(this AtomicBatch batch, ClientId clientId) =>
        batch.Add("UPDATE clients SET enabled = enabled WHERE client_id = $1", clientId.Value);
}

/// <summary>The tables <c>clients</c>, <c>client_keys</c> and <c>client_changes</c>.</summary>
internal sealed class ClientTables
    : IEntityTypeConfiguration<Client>,
        IEntityTypeConfiguration<ClientKey>,
        IEntityTypeConfiguration<ClientChangeRow>
{
    public void Configure(EntityTypeBuilder<ClientChangeRow> change)
    {
        change.ToTable("client_changes");
        change.HasKey(c => new { c.ClientId, c.Number });
        change.Property(c => c.Number).ValueGeneratedNever();
        change.Property(c => c.Actor).HasMaxLength(256);
        change.Property(c => c.Reason).HasMaxLength(512);
        change.HasIndex(c => c.At);
        change.HasOne<Client>().WithMany().HasForeignKey(c => c.ClientId).OnDelete(DeleteBehavior.Restrict);
    }

    /// <summary>The column of a key that names its client.</summary>
    public const string KeyClientId = "ClientId";

    public void Configure(EntityTypeBuilder<Client> client)
    {
        client.ToTable("clients");
        client.HasKey(c => c.Id);
        client.Property(c => c.Id).HasColumnName("client_id");
        client.Property(c => c.Name).HasMaxLength(256);
        client.ComplexProperty(c => c.Contract);
        client.HasMany(c => c.Keys).WithOne().HasForeignKey(KeyClientId);
    }

    public void Configure(EntityTypeBuilder<ClientKey> key)
    {
        key.ToTable("client_keys");
        key.HasKey(KeyClientId, nameof(ClientKey.Version));
        key.Property(k => k.Version).ValueGeneratedNever();
    }
}
