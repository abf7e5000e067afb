using CancelService.Domain;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>What an instance remembers of its clients: bounded in number and in age.</summary>
public sealed class ClientCacheTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_id_that_no_client_has_is_asked_for_once()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var cache = Cache(host);
        (await cache.Find(new ClientId("NOBODY"), Token)).ShouldBeNull();

        await host.AddClient(id: "NOBODY"); // By another instance.
        (await cache.Find(new ClientId("NOBODY"), Token)).ShouldBeNull();
        host.Clock.Advance(TimeSpan.FromMinutes(1));
        (await cache.Find(new ClientId("NOBODY"), Token)).ShouldNotBeNull();
    }

    [Fact]
    public async Task Made_up_ids_fill_no_more_than_the_cache_and_make_room_first()
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
        // Room is made beside the requests. Those that come meanwhile are not remembered.
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

    /// <summary>A revocation that commits while the client is being read holds within the cache time all the same.</summary>
    [Fact]
    public async Task The_age_of_an_entry_counts_from_before_it_was_read()
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
