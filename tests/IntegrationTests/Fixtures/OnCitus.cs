using System.Runtime.CompilerServices;
using Xunit.Sdk;
using Xunit.v3;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>
/// Test that needs Citus. It runs only with CANCELSERVICE_TEST_DISTRIBUTE=true; docs/testing.md explains how.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer(typeof(OnCitusDiscoverer))]
public sealed class OnCitusAttribute(
    [CallerFilePath] string? sourceFilePath = null,
    [CallerLineNumber] int sourceLineNumber = -1
) : FactAttribute(sourceFilePath, sourceLineNumber);

internal sealed class OnCitusDiscoverer : FactDiscoverer
{
    public override ValueTask<IReadOnlyCollection<IXunitTestCase>> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions,
        IXunitTestMethod testMethod,
        IFactAttribute factAttribute
    ) =>
        PostgresServer.IsDistributed
            ? base.Discover(discoveryOptions, testMethod, factAttribute)
            : ValueTask.FromResult<IReadOnlyCollection<IXunitTestCase>>([]);
}
