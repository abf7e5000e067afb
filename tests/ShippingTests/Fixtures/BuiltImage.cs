using System.Xml.Linq;
using CancelService.ShippingTests.Fixtures;

[assembly: AssemblyFixture(typeof(BuiltImage))]
// Most tests wait for the image or for containers, so more tests than cores can run.
[assembly: Xunit.v3.Parallelization(MaxThreads = 4)]

namespace CancelService.ShippingTests.Fixtures;

/// <summary>The images, built once from the Dockerfile when the first test asks for them.</summary>
public sealed class BuiltImage
{
    /// <summary>Name of the image. It outlives the tests, so the next build reuses its layers.</summary>
    public const string Name = "cancelservice:tests";

    /// <summary>Name of the sandbox's image, of the same Dockerfile and commit.</summary>
    public const string SandboxName = "cancelservice-sandbox:tests";

    private readonly Lazy<Task<string>> _build = new(Build);

    /// <summary>Version in Directory.Build.props.</summary>
    public static string Version { get; } =
        XDocument.Load(Path.Combine(Repository.Root, "Directory.Build.props")).Descendants("Version").Single().Value;

    /// <summary>Commit of the images; awaiting it builds them.</summary>
    public Task<string> Revision => _build.Value;

    private static async Task<string> Build()
    {
        var revision = (await Command.Run("git", "rev-parse", "HEAD")).Trim();
        foreach (var (stage, name) in new[] { ("sandbox", SandboxName), ("service", Name) })
            // The machine's network, because some machines reach the package feeds only through it.
            await Command.Run(
                "docker",
                "build",
                "--network=host",
                $"--target={stage}",
                $"--build-arg=VERSION={Version}",
                $"--build-arg=REVISION={revision}",
                $"--tag={name}",
                "."
            );
        return revision;
    }
}
