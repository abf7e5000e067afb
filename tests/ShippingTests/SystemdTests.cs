using CancelService.ShippingTests.Fixtures;

namespace CancelService.ShippingTests;

/// <summary>Goal: systemd understands every line of the units and rates them as hardened.</summary>
public sealed class SystemdTests
{
    private const string Folder = "deploy/systemd";

    [Fact]
    public async Task Systemd_accepts_the_units()
    {
        var root = Directory.CreateTempSubdirectory("cancelservice-");
        try
        {
            // Verification needs the program that the units start, and the machine's own units.
            var system = root.CreateSubdirectory("usr/lib/systemd").FullName;
            await Command.Run("cp", "--recursive", "/usr/lib/systemd/system", system);
            var program = Path.Combine(root.CreateSubdirectory("usr/bin").FullName, "dotnet");
            await Command.Run("install", "--mode=755", "/dev/null", program);
            var units = root.CreateSubdirectory("etc/systemd/system").FullName;
            foreach (var unit in Units())
                File.Copy(unit, Path.Combine(units, Path.GetFileName(unit)));

            var ended = await Command.Try(
                "systemd-analyze",
                ["verify", $"--root={root.FullName}", "--man=no", .. Units().Select(Path.GetFileName)!]
            );

            // systemd only warns about unknown lines and ignores them.
            ended.Status.ShouldBe(0, ended.Error);
            ended
                .Error.Split('\n')
                .Where(line => line.Contains("cancelservice", StringComparison.Ordinal))
                .ShouldBeEmpty();
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    /// <summary>Goal: systemd's exposure score (0 is closed, 10 open) of each unit is at most 2.0.</summary>
    [Theory]
    [InlineData("cancelservice.service")]
    [InlineData("cancelservice-migrate.service")]
    public Task Unit_is_hardened(string unit) =>
        Command.Run("systemd-analyze", "security", "--offline=true", "--threshold=20", $"{Folder}/{unit}");

    private static IEnumerable<string> Units() =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, Folder), "*.service");
}
