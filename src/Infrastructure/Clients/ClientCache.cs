using CancelService.Application.Clients;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace CancelService.Infrastructure.Clients;

/// <summary>The section <c>Clients</c> of the settings.</summary>
public sealed class ClientsOptions
{
    /// <summary>
    /// How long an instance may use a client, a contract or a key after it was changed or revoked: 0 (always ask the
    /// database) to 5 minutes.
    /// </summary>
    public TimeSpan CacheTime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem() =>
        CacheTime < TimeSpan.Zero || CacheTime > TimeSpan.FromMinutes(5)
            ? $"Clients:CacheTime is {CacheTime}. Set it between 00:00:00 and 00:05:00."
            : null;
}

/// <summary>
/// The clients with their parsed keys. An entry decides for <see cref="ClientsOptions.CacheTime"/>; an older one stays, so
/// that a client is still recognised while the database is away. Unknown ids are cached as well, so that junk does not reach
/// the database. The number of entries is bounded, and made-up ids are dropped first.
/// </summary>
/// <param name="load">Reads a client: <see cref="StoredClients.Load"/>.</param>
/// <param name="options">How long an entry decides.</param>
/// <param name="time">Its timestamps, not its time of day.</param>
/// <param name="maxEntries">The most clients that are remembered.</param>
internal sealed class ClientCache(
    Func<ClientId, CancellationToken, Task<Client?>> load,
    IOptions<ClientsOptions> options,
    TimeProvider time,
    int maxEntries = 100_000
) : IClients, IDisposable
{
    private static readonly KeyValuePair<string, object?> FromMemory = new("source", "memory");
    private static readonly KeyValuePair<string, object?> FromDatabase = new("source", "database");

    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = maxEntries });
    private readonly TimeSpan _cacheTime = options.Value.CacheTime;
    private readonly Lock _lock = new();
    private long _changes;

    public Recollection Recall(ClientId id) =>
        _cache.TryGetValue(id, out Entry? entry) ? new(entry!.Client, IsCurrent(id, entry)) : default;

    public ValueTask<Client?> Find(ClientId id, CancellationToken cancellationToken) =>
        Recall(id) is { IsCurrent: true, Client: var client }
            ? Remembered(client)
            : new ValueTask<Client?>(Load(id, cancellationToken));

    private static ValueTask<Client?> Remembered(Client? client)
    {
        DatabaseMetrics.ClientLookups.Add(1, FromMemory);
        return ValueTask.FromResult(client);
    }

    /// <summary>Makes this instance see a change at once, also where the client is being read meanwhile.</summary>
    public void Forget(ClientId id)
    {
        lock (_lock)
        {
            _changes++;
            _cache.Remove(id);
        }
    }

    // Between three quarters and all of the cache time, different for each client: clients that came at the same time are then
    // not all loaded again at the same time.
    private bool IsCurrent(ClientId id, Entry entry) =>
        time.GetElapsedTime(entry.LoadedAt) < _cacheTime * (1 - ((uint)id.GetHashCode() / (4.0 * uint.MaxValue)));

    private async Task<Client?> Load(ClientId id, CancellationToken cancellationToken)
    {
        // The time before the query: what changes while it runs is still seen within the cache time.
        var (loadedAt, changes) = (time.GetTimestamp(), Volatile.Read(ref _changes));
        DatabaseMetrics.ClientLookups.Add(1, FromDatabase);
        var client = await load(id, cancellationToken);
        var priority = client is null ? CacheItemPriority.Low : CacheItemPriority.Normal;
        lock (_lock)
        {
            // If this instance has changed a client since the query began, the result may be out of date, so it is not kept.
            if (changes == _changes)
                _cache.Set(
                    id,
                    new Entry(client, loadedAt),
                    new MemoryCacheEntryOptions { Size = 1, Priority = priority }
                );
        }
        return client;
    }

    public void Dispose() => _cache.Dispose();

    private sealed record Entry(Client? Client, long LoadedAt);
}

/// <summary>The clients with their keys as the database has them.</summary>
internal sealed class StoredClients(Database database)
{
    // Compiled once, because each client is loaded again every cache time. A query for a single one would hold a LIMIT in a
    // subquery, for which Citus asks every shard.
    private readonly Func<CancelDbContext, ClientId, IAsyncEnumerable<Client>> _load = EF.CompileAsyncQuery(
        (CancelDbContext db, ClientId id) => db.Set<Client>().AsNoTracking().Include(c => c.Keys).Where(c => c.Id == id)
    );

    /// <summary>Reads a client; null when there is none.</summary>
    public async Task<Client?> Load(ClientId id, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await _load(db, id).SingleOrDefaultAsync(cancellationToken);
    }
}
