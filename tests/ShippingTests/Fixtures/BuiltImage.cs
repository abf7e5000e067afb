using System.Xml.Linq;
using CancelService.ShippingTests.Fixtures;

[assembly: AssemblyFixture(typeof(BuiltImage))]

namespace CancelService.ShippingTests.Fixtures;

/// <summary>The image, built once by the Dockerfile as anybody builds it.</summary>
public sealed class BuiltImage : IAsyncLifetime
{
    /// <summary>Its name. It stays, so that the next build finds its layers.</summary>
    public const string Name = "cancelservice:tests";

    /// <summary>The version of Directory.Build.props.</summary>
    public static string Version { get; } =
        XDocument.Load(Path.Combine(Repository.Root, "Directory.Build.props")).Descendants("Version").Single().Value;

    /// <summary>The commit of the working tree.</summary>
    public string Revision { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        Revision = (await Command.Run("git", "rev-parse", "HEAD")).Trim();
        // The network of the machine, because some reach the packages by it alone.
        await Command.Run(
            "docker",
            "build",
            "--network=host",
            $"--build-arg=VERSION={Version}",
            $"--build-arg=REVISION={Revision}",
            $"--tag={Name}",
            "."
        );
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
