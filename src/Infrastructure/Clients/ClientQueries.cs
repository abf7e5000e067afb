using System.Globalization;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Clients;

/// <summary>Reads the clients.</summary>
internal sealed class ClientQueries(Database database) : IClientQueries
{
    public async Task<ClientView?> Client(ClientId clientId, CancellationToken cancellationToken)
    {
        // Single() would put a LIMIT into a subquery, and Citus would ask every shard.
        var clients = await database.Read(
            db => db.Set<Client>().AsNoTracking().Where(c => c.Id == clientId).ToListAsync(cancellationToken),
            cancellationToken
        );
        return clients is [var client] ? View(client) : null;
    }

    public async Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken)
    {
        var clients = await database.Read(
            async db =>
            {
                // LINQ can't compare typed ids; the database can.
                var ids = await db
                    .Database.SqlQuery<string>(
                        $"""
                        SELECT client_id AS "Value" FROM clients WHERE client_id > {after ?? ""}
                        ORDER BY client_id LIMIT {limit + 1}
                        """
                    )
                    .ToListAsync(cancellationToken);
                var wanted = ids.ConvertAll(id => new ClientId(id));
                var found = await db.Set<Client>()
                    .AsNoTracking()
                    .Where(c => wanted.Contains(c.Id))
                    .ToDictionaryAsync(c => c.Id, cancellationToken);
                return wanted.Where(found.ContainsKey).Select(id => found[id]).ToList();
            },
            cancellationToken
        );
        return Page.Of(clients.ConvertAll(View), limit, client => client.ClientId);
    }

    public async Task<Page<ClientKeyView>> Keys(
        ClientId clientId,
        int after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var keys = await database.Read(
            db =>
                db.Set<ClientKey>()
                    .AsNoTracking()
                    .Where(k => EF.Property<ClientId>(k, ClientTables.KeyClientId) == clientId && k.Version > after)
                    .OrderBy(k => k.Version)
                    .Take(limit + 1)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return Page.Of(keys.ConvertAll(View), limit, key => key.Version.ToString(CultureInfo.InvariantCulture));
    }

    public async Task<IReadOnlyList<EndingKey>> KeysEnding(
        DateTimeOffset now,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var ending = await database.Read(
            db =>
                Ending(db, now)
                    .SelectMany(
                        client => client.Keys,
                        (client, key) =>
                            new
                            {
                                client,
                                client.Id,
                                key.Version,
                                key.NotAfter,
                                key.RevokedAt,
                            }
                    )
                    .Where(key =>
                        key.RevokedAt == null
                        && key.NotAfter > now
                        && !key.client.Keys.Any(other =>
                            other.RevokedAt == null
                            && (
                                other.NotAfter > key.NotAfter
                                || (other.NotAfter == key.NotAfter && other.Version > key.Version)
                            )
                        )
                    )
                    .Select(key => new
                    {
                        key.Id,
                        key.Version,
                        key.NotAfter,
                    })
                    .OrderBy(key => key.NotAfter)
                    .Take(limit)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return ending.ConvertAll(key => new EndingKey(key.Id.Value, key.Version, key.NotAfter!.Value));
    }

    /// <summary>Queries enabled clients whose last valid key ends soon.</summary>
    internal static IQueryable<Client> Ending(CancelDbContext db, DateTimeOffset now)
    {
        var soon = now + IClientQueries.Soon;
        return db.Set<Client>()
            .AsNoTracking()
            .Where(client =>
                client.Enabled
                && client.Keys.Any(key => key.RevokedAt == null && key.NotAfter > now)
                && !client.Keys.Any(key => key.RevokedAt == null && (key.NotAfter == null || key.NotAfter > soon))
            );
    }

    internal static ClientKeyView View(ClientKey key) =>
        new(key.Version, key.PublicKey.Pem, key.NotBefore, key.NotAfter, key.RevokedAt);

    internal static ClientView View(Client client) =>
        new(
            client.Id.Value,
            client.Name,
            client.Enabled,
            new(
                client.Contract.MayCancel,
                client.Contract.Window.ToString(),
                client.Contract.RequestsPerSecond,
                client.Contract.Burst,
                client.Contract.RememberUnknown,
                client.Contract.MayInquire,
                client.Contract.InquiriesPerSecond,
                client.Contract.InquiryBurst
            )
        );
}
