using CancelService.Domain;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Goal: an instance caches clients within bounds of number and age.</summary>
public sealed class ClientCacheTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Unknown_id_is_looked_up_once_per_cache_time()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var cache = Cache(host);
        (await cache.Find(new ClientId("NOBODY"), Token)).ShouldBeNull();

        await host.AddClient(id: "NOBODY"); // As if by another instance.
        (await cache.Find(new ClientId("NOBODY"), Token)).ShouldBeNull();
        host.Clock.Advance(TimeSpan.FromMinutes(1));
        (await cache.Find(new ClientId("NOBODY"), Token)).ShouldNotBeNull();
    }

    [Fact]
    public async Task Unknown_ids_are_bounded_and_evicted_before_clients()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var cache = Cache(host, maxEntries: 100);
        var clients = new List<ClientId>();
        for (var i = 0; i < 50; i++)
        {
            clients.Add((await host.AddClient()).Id);
            await cache.Find(clients[i], Token);
        }

        var strangers = Enumerable.Range(0, 500).Select(i => new ClientId($"STRANGER_{i}")).ToList();
        foreach (var id in strangers)
            await cache.Find(id, Token);
        // Eviction runs beside the requests; entries that arrive meanwhile are not cached.
        await TestHost
            .Until(async () =>
            {
                await cache.Find(strangers[^1], Token);
                return cache.Recall(strangers[^1]).IsCurrent;
            })
            .Becomes(true);

        strangers.Count(id => cache.Recall(id).IsCurrent).ShouldBeInRange(1, 50);
        clients.ShouldAllBe(id => cache.Recall(id).Client != null);
    }

    /// <summary>
    /// Goal: a revocation that commits while the client is being read takes effect within the cache time.
    /// </summary>
    [Fact]
    public async Task Age_of_an_entry_counts_from_the_start_of_its_read()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:30");
        using var cache = Cache(host);
        var client = await host.AddClient();
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            "LOCK TABLE client_keys IN ACCESS EXCLUSIVE MODE"
        );

        var reading = cache.Find(client.Id, Token).AsTask();
        await TestHost.Until(() => HeldLock.Awaited(host)).Becomes(1L);
        host.Clock.Advance(TimeSpan.FromSeconds(30));
        await held.Release();

        (await reading).ShouldNotBeNull();
        cache.Recall(client.Id).IsCurrent.ShouldBeFalse();
    }

    private static ClientCache Cache(TestHost host, int maxEntries = 100_000) =>
        new(
            host.Services.GetRequiredService<StoredClients>().Load,
            Options.Create(new ClientsOptions()),
            host.Time,
            maxEntries
        );
}
