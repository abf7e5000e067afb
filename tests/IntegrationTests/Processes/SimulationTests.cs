using System.Globalization;

namespace CancelService.IntegrationTests.Processes;

/// <summary>
/// The simulation, as <c>dotnet run --project tests/Simulation</c> runs it: merchants, core and operators at once, with
/// kills, cuts and jumps of the clock, and an auditor. It takes the whole machine, so it runs alone.
/// </summary>
[Collection(nameof(Alone))]
public sealed class SimulationTests
{
    [Fact]
    public async Task Whatever_goes_wrong_every_answer_stays_true()
    {
        await using var output = new StringWriter(CultureInfo.InvariantCulture);
        var result = await Simulation.Program.Run(
            ["--operations", "100000"],
            output,
            TestContext.Current.CancellationToken
        );
        TestContext.Current.TestOutputHelper?.WriteLine(output.ToString());
        result.ShouldBe(0, output.ToString());
    }
}
