using System.Collections.Concurrent;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>The database providers that every behavioural test runs on.</summary>
public static class Both
{
    public static readonly DatabaseProvider[] Providers = [DatabaseProvider.Sqlite, DatabaseProvider.Postgres];

    public static TheoryData<DatabaseProvider> Databases => [.. Providers];

    public static MatrixTheoryData<string, DatabaseProvider> Times(IEnumerable<string> rows) => new(rows, Providers);
}

/// <summary>Runs a test with each given row on each database provider.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MatrixDataAttribute(params string[] rows) : Xunit.v3.DataAttribute
{
    public IReadOnlyList<string> Rows => rows;

    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(
        System.Reflection.MethodInfo testMethod,
        Xunit.Sdk.DisposalTracker disposalTracker
    ) => new([.. Both.Times(rows)]);

    public override bool SupportsDiscoveryEnumeration() => true;
}

/// <summary>One host per database provider, shared by the tests of a class; every test adds its own client.</summary>
public sealed class SharedHosts(PostgresServer postgres) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<DatabaseProvider, Lazy<Task<TestHost>>> _hosts = new();

    public Task<TestHost> On(DatabaseProvider provider) =>
        _hosts.GetOrAdd(provider, p => new(() => TestHost.Start(p, postgres))).Value;

    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts.Values)
            await (await host.Value).DisposeAsync();
    }
}

/// <summary>
/// Collection of tests that measure or load the machine: they run one by one, apart from all other tests.
/// </summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
