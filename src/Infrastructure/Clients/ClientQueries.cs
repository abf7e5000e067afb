using System.Globalization;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Clients;

/// <summary>Reads the clients.</summary>
internal sealed class ClientQueries(Database database) : IClientQueries
{
    public async Task<ClientView?> Client(ClientId clientId, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        var client = await db.Set<Client>()
            .AsNoTracking()
            .SingleOrDefaultAsync(c => c.Id == clientId, cancellationToken);
        await database.Settled(cancellationToken);
        return client is null ? null : View(client);
    }

    public async Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        // LINQ has no order on typed ids; the database has one.
        var ids = await db
            .Database.SqlQuery<string>(
                $"SELECT client_id AS \"Value\" FROM clients WHERE client_id > {after ?? ""} ORDER BY client_id LIMIT {limit + 1}"
            )
            .ToListAsync(cancellationToken);
        var wanted = ids.ConvertAll(id => new ClientId(id));
        var found = await db.Set<Client>()
            .AsNoTracking()
            .Where(c => wanted.Contains(c.Id))
            .ToDictionaryAsync(c => c.Id, cancellationToken);
        await database.Settled(cancellationToken);
        var clients = wanted.Where(found.ContainsKey).Select(id => found[id]).ToList();
        return Page.Of(clients.ConvertAll(View), limit, client => client.ClientId);
    }

    public async Task<Page<ClientKeyView>> Keys(
        ClientId clientId,
        int after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var keys = await db.Set<ClientKey>()
            .AsNoTracking()
            .Where(k => EF.Property<ClientId>(k, ClientTables.KeyClientId) == clientId && k.Version > after)
            .OrderBy(k => k.Version)
            .Take(limit + 1)
            .ToListAsync(cancellationToken);
        await database.Settled(cancellationToken);
        var views = keys.ConvertAll(k => new ClientKeyView(
            k.Version,
            k.PublicKey.Pem,
            k.NotBefore,
            k.NotAfter,
            k.RevokedAt
        ));
        return Page.Of(views, limit, key => key.Version.ToString(CultureInfo.InvariantCulture));
    }

    private static ClientView View(Client client) =>
        new(
            client.Id.Value,
            client.Name,
            client.Enabled,
            new(
                client.Contract.MayCancel,
                client.Contract.Window.ToString(),
                client.Contract.RequestsPerSecond,
                client.Contract.Burst,
                client.Contract.RememberUnknown
            )
        );
}
