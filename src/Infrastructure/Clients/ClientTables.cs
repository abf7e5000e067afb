using CancelService.Domain.Clients;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Clients;

/// <summary>The tables <c>clients</c> and <c>client_keys</c>.</summary>
internal sealed class ClientTables : IEntityTypeConfiguration<Client>, IEntityTypeConfiguration<ClientKey>
{
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
