using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Clients;

/// <summary>Statements on a client's row for the batches of other folders.</summary>
internal static class ClientStatements
{
    /// <summary>Locks the client's row until the commit without changing it.</summary>
    public static AtomicBatch LockClient(this AtomicBatch batch, ClientId clientId) =>
        batch.Add("UPDATE clients SET enabled = enabled WHERE client_id = $1", clientId.Value);
}

/// <summary>The tables <c>clients</c> and <c>client_keys</c>.</summary>
internal sealed class ClientTables : IEntityTypeConfiguration<Client>, IEntityTypeConfiguration<ClientKey>
{
    /// <summary>The shadow property of a key that holds its client's id.</summary>
    public const string KeyClientId = "ClientId";

    public void Configure(EntityTypeBuilder<Client> client)
    {
        client.ToTable("clients");
        client.HasKey(c => c.Id);
        client.Property(c => c.Id).HasColumnName("client_id");
        client.Property(c => c.Name).HasMaxLength(256);
        client.ComplexProperty(
            c => c.Contract,
            contract =>
            {
                // The previous release adds clients without these columns.
                contract.Property(c => c.MayInquire).HasDefaultValue(true);
                contract.Property(c => c.InquiriesPerSecond).HasDefaultValue(100);
                contract.Property(c => c.InquiryBurst).HasDefaultValue(200);
            }
        );
        client.HasMany(c => c.Keys).WithOne().HasForeignKey(KeyClientId);
    }

    public void Configure(EntityTypeBuilder<ClientKey> key)
    {
        key.ToTable("client_keys");
        key.HasKey(KeyClientId, nameof(ClientKey.Version));
        key.Property(k => k.Version).ValueGeneratedNever();
    }
}
