using System.Globalization;
using System.Text.Json;
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
        var client = await database.Read(
            db => db.Set<Client>().AsNoTracking().SingleOrDefaultAsync(c => c.Id == clientId, cancellationToken),
            cancellationToken
        );
        return client is null ? null : View(client);
    }

    public async Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken)
    {
        var clients = await database.Read(
            async db =>
            {
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

    public async Task<Page<ClientChange>?> Changes(
        ChangeFilter filter,
        string? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        if (TimeCursor.Parse(after, filter.From, filter.To) is not { } cursor)
            return null;

        var rows = await database.Read(db => Changes(db, filter, cursor, limit, cancellationToken), cancellationToken);
        var items = rows.Take(limit)
            .Select(c => new ClientChange(
                c.Row.ClientId.Value,
                c.Row.KeyVersion == 0 ? ChangeKind.Client : ChangeKind.Key,
                c.Row.KeyVersion == 0 ? null : c.Row.KeyVersion,
                c.Row.At,
                c.Row.Actor,
                c.Row.Reason,
                c.Before is null ? null : JsonElement.Parse(c.Before),
                JsonElement.Parse(c.Row.State)
            ))
            .ToList();
        return new(items, rows.Count <= limit ? null : cursor.Behind(items.ConvertAll(item => item.At)));
    }

    private static async Task<List<Changed>> Changes(
        CancelDbContext db,
        ChangeFilter filter,
        TimeCursor cursor,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var wanted = db.Set<ClientChangeRow>().AsNoTracking().Where(c => c.At >= cursor.From && c.At < filter.To);
        if (filter.ClientId is { } clientId)
            wanted = wanted.Where(c => c.ClientId == clientId);
        if (filter.Actor is { } actor)
            wanted = wanted.Where(c => c.Actor == actor);
        wanted = filter.Kind switch
        {
            ChangeKind.Client => wanted.Where(c => c.KeyVersion == 0),
            ChangeKind.Key => wanted.Where(c => c.KeyVersion != 0),
            null => wanted,
        };
        return await wanted
            .OrderBy(c => c.At)
            .ThenBy(c => c.ClientId)
            .ThenBy(c => c.Number)
            .Skip(cursor.Read)
            .Take(limit + 1)
            .Select(c => new Changed
            {
                Row = c,
                Before = db.Set<ClientChangeRow>()
                    .Where(b => b.ClientId == c.ClientId && b.KeyVersion == c.KeyVersion && b.Number < c.Number)
                    .OrderByDescending(b => b.Number)
                    .Select(b => b.State)
                    .FirstOrDefault(),
            })
            .ToListAsync(cancellationToken);
    }

    private sealed class Changed
    {
        public required ClientChangeRow Row { get; init; }

        public required string? Before { get; init; }
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
                client.Contract.RememberUnknown
            )
        );
}
