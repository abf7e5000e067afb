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
    /// The longest time for which an instance uses a stale client, contract or key after a change or a revocation: 0
    /// (always ask the database) to 5 minutes.
    /// </summary>
    public TimeSpan CacheTime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
    public string? Problem() =>
        CacheTime < TimeSpan.Zero || CacheTime > TimeSpan.FromMinutes(5)
            ? $"Clients:CacheTime is {CacheTime}. Set it between 00:00:00 and 00:05:00."
            : null;
}

/// <summary>
/// Caches clients with their parsed keys. An entry is current for <see cref="ClientsOptions.CacheTime"/>. A stale entry
/// stays, so that the client is recognised during an outage of the database. Unknown ids are cached as well, so that
/// junk does not reach the database. The number of entries is bounded, and unknown ids are evicted first.
/// </summary>
/// <param name="load">Reads a client: <see cref="StoredClients.Load"/>.</param>
/// <param name="options">The settings, with the time for which an entry is current.</param>
/// <param name="time">The clock; only its timestamps are used.</param>
/// <param name="maxEntries">The most entries.</param>
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

    /// <summary>Evicts a client, so that this instance sees a change at once, even with a concurrent load.</summary>
    public void Forget(ClientId id)
    {
        lock (_lock)
        {
            _changes++;
            _cache.Remove(id);
        }
    }

    // Jitter between three quarters and all of the cache time, fixed per client: clients that were loaded together do
    // not expire together.
    private bool IsCurrent(ClientId id, Entry entry) =>
        time.GetElapsedTime(entry.LoadedAt) < _cacheTime * (1 - ((uint)id.GetHashCode() / (4.0 * uint.MaxValue)));

    private async Task<Client?> Load(ClientId id, CancellationToken cancellationToken)
    {
        // Take the time before the query, so that a change during the query is seen within the cache time.
        var (loadedAt, changes) = (time.GetTimestamp(), Volatile.Read(ref _changes));
        DatabaseMetrics.ClientLookups.Add(1, FromDatabase);
        var client = await load(id, cancellationToken);
        var priority = client is null ? CacheItemPriority.Low : CacheItemPriority.Normal;
        lock (_lock)
        {
            // A change by this instance since the query began may make the result stale, so do not cache it.
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

/// <summary>Loads clients with their keys from the database.</summary>
internal sealed class StoredClients(Database database)
{
    // Compiled once, because each client is reloaded after each cache time. Single() would put a LIMIT into a subquery,
    // and Citus would ask every shard.
    private readonly Func<CancelDbContext, ClientId, IAsyncEnumerable<Client>> _load = EF.CompileAsyncQuery(
        (CancelDbContext db, ClientId id) => db.Set<Client>().AsNoTracking().Include(c => c.Keys).Where(c => c.Id == id)
    );

    /// <summary>Reads a client; null when it does not exist.</summary>
    public async Task<Client?> Load(ClientId id, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await _load(db, id).SingleOrDefaultAsync(cancellationToken);
    }
}
