using System.Globalization;

namespace CancelService.IntegrationTests.Processes;

/// <summary>
/// The simulation, as <c>dotnet run --project tests/Simulation</c> runs it: merchants, core and operators at once, with
/// kills, cuts and jumps of the clock, and an auditor. It takes the whole machine, so it runs alone.
/// CANCELSERVICE_SEED repeats a workload, CANCELSERVICE_SIMULATION_OPERATIONS says how long it is.
/// </summary>
[Trait(Category.Trait, Category.Seeded)]
[Collection(nameof(Alone))]
public sealed class SimulationTests
{
    [Fact]
    public async Task Whatever_goes_wrong_every_answer_stays_true()
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
