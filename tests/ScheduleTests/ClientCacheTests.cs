using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Clients;
using Microsoft.Extensions.Options;

namespace CancelService.ScheduleTests;

/// <summary>Goal: the cache never serves a stale client after a change, even when a read races with it.</summary>
public sealed class ClientCacheTests
{
    private static readonly ClientId Merchant = new("M-1");

    [Fact]
    public void A_find_after_a_change_never_returns_an_older_version() =>
        Schedules.Explore(async () =>
        {
            var (version, told) = (0, 0);
            using var cache = new ClientCache(Load, Options.Create(new ClientsOptions()), TimeProvider.System);
            await Schedules.All([Task.Run(Change), .. Enumerable.Range(0, 2).Select(_ => Task.Run(Find))]);
            if (cache.Recall(Merchant).Client is { } remembered)
                remembered.Name.ShouldBe(Name(version));
            (await cache.Find(Merchant, CancellationToken.None))!.Name.ShouldBe(Name(version));

            async Task Change()
            {
                for (var i = 0; i < 2; i++)
                {
                    await Task.Yield();
                    version++; // The change commits.
                    await Task.Yield();
                    cache.Forget(Merchant);
                    told = version;
                }
            }

            async Task Find()
            {
                for (var i = 0; i < 2; i++)
                {
                    var known = told;
                    var found = await cache.Find(Merchant, CancellationToken.None);
                    int.Parse(found!.Name, System.Globalization.CultureInfo.InvariantCulture)
                        .ShouldBeGreaterThanOrEqualTo(known);
                }
            }

            async Task<Client?> Load(ClientId id, CancellationToken cancellationToken)
            {
                await Task.Yield();
                var read = version;
                await Task.Yield();
                return new Client
                {
                    Id = id,
                    Name = Name(read),
                    Enabled = true,
                    Contract = new Contract(),
                    Keys = [],
                };
            }
        });

    private static string Name(int version) => version.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
