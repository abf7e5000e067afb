using System.Xml.Linq;
using CancelService.ShippingTests.Fixtures;

[assembly: AssemblyFixture(typeof(BuiltImage))]
// Most wait for the image, or for containers; the others go on meanwhile.
[assembly: Xunit.v3.Parallelization(MaxThreads = 4)]

namespace CancelService.ShippingTests.Fixtures;

/// <summary>The image, built once by the Dockerfile as anybody builds it, when the first test asks for it.</summary>
public sealed class BuiltImage
{
    /// <summary>Its name. It stays, so that the next build finds its layers.</summary>
    public const string Name = "cancelservice:tests";

    private readonly Lazy<Task<string>> _build = new(Build);

    /// <summary>The version of Directory.Build.props.</summary>
    public static string Version { get; } =
        XDocument.Load(Path.Combine(Repository.Root, "Directory.Build.props")).Descendants("Version").Single().Value;

    /// <summary>The commit that it was built of; it is there when the image is.</summary>
    public Task<string> Revision => _build.Value;

    private static async Task<string> Build()
    {
        var revision = (await Command.Run("git", "rev-parse", "HEAD")).Trim();
        // The network of the machine, because some reach the packages by it alone.
        await Command.Run(
            "docker",
            "build",
            "--network=host",
            $"--build-arg=VERSION={Version}",
            $"--build-arg=REVISION={revision}",
            $"--tag={Name}",
            "."
        );
        return revision;
    }
}
