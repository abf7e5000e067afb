using System.Runtime.CompilerServices;
using Xunit.Sdk;
using Xunit.v3;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>
/// A test of what Citus alone can do. It exists only where CANCELSERVICE_TEST_DISTRIBUTE=true: docs/testing.md says how to run it.
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
