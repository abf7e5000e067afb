using System.Globalization;

namespace CancelService.IntegrationTests.Processes;

/// <summary>
/// Goal: the simulation (<c>dotnet run --project tests/Simulation</c>) passes: merchants, core and operators act
/// concurrently through kills, network cuts and clock jumps, and an auditor checks every answer. It takes the whole
/// machine, so it runs alone.
/// CANCELSERVICE_SEED repeats a workload, and CANCELSERVICE_SIMULATION_OPERATIONS sets its length.
/// </summary>
[Trait(Category.Trait, Category.Seeded)]
[Collection(nameof(Alone))]
public sealed class SimulationTests
{
    [Fact]
    public async Task Every_answer_stays_true_under_simulated_faults()
    {
        await using var output = new StringWriter(CultureInfo.InvariantCulture);
        var result = await Simulation.Program.Run(
            [
                "--seed",
                Seeds.Common.ToString(CultureInfo.InvariantCulture),
                "--operations",
                Seeds.Setting("CANCELSERVICE_SIMULATION_OPERATIONS", 3_000).ToString(CultureInfo.InvariantCulture),
            ],
            output,
            TestContext.Current.CancellationToken
        );
        TestContext.Current.TestOutputHelper?.WriteLine(output.ToString());
        result.ShouldBe(0, output.ToString());
    }
}
