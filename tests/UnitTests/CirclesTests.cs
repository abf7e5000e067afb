using System.Reflection;
using ArchUnitNET.Fluent.Slices;
using ArchUnitNET.Loader;
using CancelService.Application.Cancelling;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Signing;
using Architecture = ArchUnitNET.Domain.Architecture;

namespace CancelService.UnitTests;

/// <summary>Goal: no two folders of a layer depend on each other in a circle.</summary>
public sealed class CirclesTests
{
    private static readonly Lazy<Architecture> Code = new(() =>
        Load(
            typeof(Payment).Assembly,
            typeof(CancelPaymentHandler).Assembly,
            typeof(WalletOptions).Assembly,
            typeof(Api.Program).Assembly
        )
    );

    // Types in the root of a layer belong to no folder: they are shared, or they compose the folders.
    [Theory]
    [InlineData("CancelService.Domain.(*)")]
    [InlineData("CancelService.Application.(*)")]
    [InlineData("CancelService.Infrastructure.(*)")]
    [InlineData("CancelService.Api.(*)")]
    public void No_two_folders_depend_on_each_other_in_a_circle(string folders)
    {
        var slices = SliceRuleDefinition.Slices().Matching(folders);

        slices.GetObjects(Code.Value).Count().ShouldBeGreaterThan(2);
        slices.Should().BeFreeOfCycles().Evaluate(Code.Value).ShouldAllBe(result => result.Passed);
    }

    [Fact]
    public void A_circular_dependency_is_found()
    {
        var tests = new ArchLoader()
            .LoadNamespacesWithinAssembly(typeof(CirclesTests).Assembly, "CancelService.UnitTests.Circle")
            .Build();
        var slices = SliceRuleDefinition.Slices().Matching("CancelService.UnitTests.Circle.(*)");

        slices.Should().BeFreeOfCycles().Evaluate(tests).ShouldContain(result => !result.Passed);
    }

    // Loading the generated migrations would only take time.
    private static Architecture Load(params Assembly[] layers) =>
        layers
            .Aggregate(
                new ArchLoader(),
                (loader, layer) =>
                    loader.LoadNamespacesWithinAssembly(
                        layer,
                        [
                            .. layer
                                .GetTypes()
                                .Select(type => type.Namespace ?? "")
                                .Where(name =>
                                    name.StartsWith("CancelService.", StringComparison.Ordinal)
                                    && !name.Contains(".Migrations", StringComparison.Ordinal)
                                )
                                .Distinct(StringComparer.Ordinal),
                        ]
                    )
            )
            .Build();
}
