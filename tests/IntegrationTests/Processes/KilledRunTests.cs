using System.Diagnostics;
using CancelService.IntegrationTests.Persistence;

namespace CancelService.IntegrationTests.Processes;

/// <summary>A test run that is killed leaves neither a PostgreSQL server nor its data behind.</summary>
[Trait(Category.Trait, Category.Full)]
public sealed class KilledRunTests
{
    [Fact]
    public async Task Servers_and_data_of_a_killed_run_are_removed()
    {
        if (OperatingSystem.IsWindows() || !await PostgresPrograms.AreThere())
            return; // Servers are containers then, which Testcontainers removes.
        var directory = Directory.CreateTempSubdirectory("killed-");
        File.SetUnixFileMode(directory.FullName, (UnixFileMode)0b_111_111_111); // The servers run as another user.
        try
        {
            var start = new ProcessStartInfo(
                "dotnet",
                [typeof(KilledRunTests).Assembly.Location, "-class", typeof(FailoverTests).FullName!]
            )
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
            };
            start.Environment["TMPDIR"] = directory.FullName;
            using var run = Process.Start(start).ShouldNotBeNull();
            var output = run.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await TestHost
                .Until(async () => run.HasExited ? throw new InvalidOperationException(await output) : Servers())
                .Matches(servers => servers >= 2);

            run.Kill();

            await TestHost.Until(() => Task.FromResult(Servers())).Becomes(0);
            await TestHost
                .Until(() => Task.FromResult(directory.EnumerateDirectories("cancelservice-????????????").Count()))
                .Becomes(0);
        }
        finally
        {
            directory.Delete(recursive: true);
        }

        int Servers()
        {
            using var list = Process.Start(
                new ProcessStartInfo("pgrep", ["-f", $"bin/postgres .*{directory.FullName}/"])
                {
                    UseShellExecute = false,
                    RedirectStandardOutput = true,
                }
            )!;
            return list.StandardOutput.ReadToEnd().Count(c => c == '\n');
        }
    }
}
