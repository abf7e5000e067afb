using System.Security.Cryptography;
using System.Text.Json;
using CancelService.ShippingTests.Fixtures;

namespace CancelService.ShippingTests;

/// <summary>Goal: the image matches its description in docs/operations.md ("The image").</summary>
public sealed class ImageTests(BuiltImage image)
{
    private const string Base = "mcr.microsoft.com/dotnet/aspnet:10.0";
    private const long MaxBytesAboveBase = 130_000_000;

    private static readonly string[] Locked = ["--rm", "--read-only", "--cap-drop=ALL", "--network=none"];

    [Fact]
    public async Task Image_is_small_labelled_and_unprivileged()
    {
        var revision = await image.Revision;
        var built = await Inspect(BuiltImage.Name);
        var config = built.GetProperty("Config");

        (Size(built) - Size(await Inspect(Base))).ShouldBeInRange(1, MaxBytesAboveBase);
        config.GetProperty("User").GetString().ShouldBe("1654");
        config.GetProperty("StopSignal").GetString().ShouldBe("SIGTERM");
        config.GetProperty("Entrypoint").Deserialize<string[]>().ShouldBe(["dotnet", "CancelService.Api.dll"]);
        var labels = config.GetProperty("Labels").Deserialize<Dictionary<string, string>>()!;
        labels["org.opencontainers.image.title"].ShouldBe("CancelService");
        labels["org.opencontainers.image.version"].ShouldBe(BuiltImage.Version);
        labels["org.opencontainers.image.revision"].ShouldBe(revision);
        labels["org.opencontainers.image.licenses"].ShouldBe("MIT");

        static long Size(JsonElement image) => image.GetProperty("Size").GetInt64();
    }

    [Fact]
    public async Task Image_prints_the_version_and_commit_of_its_labels()
    {
        var revision = await image.Revision;
        (await Command.Run("docker", ["run", .. Locked, BuiltImage.Name, "--version"]))
            .Trim()
            .ShouldBe($"CancelService {BuiltImage.Version}+{revision}");
    }

    /// <summary>Goal: the service's commands run in the image and end with their documented exit codes.</summary>
    [Fact]
    public async Task Commands_run_in_the_image()
    {
        await image.Revision;
        var volume = (await Command.Run("docker", "volume", "create")).Trim();
        try
        {
            (await Run("verify-ledger")).ShouldBe(2, "there is no verdict without a database");
            (await Run("migrate")).ShouldBe(0);
            (await Run("migrate")).ShouldBe(0, "the schema is up to date");
            (await Run("verify-ledger")).ShouldBe(0);
            (await Run("after-restore")).ShouldBe(0);
            (await Run("reconcile")).ShouldBe(64, "the command is unknown");
        }
        finally
        {
            await Command.Run("docker", "volume", "rm", volume);
        }

        async Task<int> Run(string command) =>
            (
                await Command.Try(
                    "docker",
                    ["run", .. Locked, $"--volume={volume}:/app/data", BuiltImage.Name, command]
                )
            ).Status;
    }

    /// <summary>
    /// Goal: two builds of one commit are equal byte for byte, so anyone can verify a release by rebuilding it. The
    /// first build is the image's, in a container; the second is a local one in another directory: the build's, or a
    /// new one.
    /// </summary>
    [Fact]
    public async Task Image_is_reproducible_from_its_commit()
    {
        var revision = await image.Revision;
        var work = Directory.CreateTempSubdirectory("cancelservice-");
        try
        {
            var shipped = Path.Combine(work.FullName, "shipped");
            var container = (await Command.Run("docker", "create", BuiltImage.Name)).Trim();
            await Command.Run("docker", "cp", $"{container}:/app", shipped);
            await Command.Run("docker", "rm", container);

            var published = Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_SERVICE") is { Length: > 0 } built
                ? built
                : await Publish(work, revision);

            var (ours, theirs) = (Hashes(published), Hashes(shipped));
            ours.Count.ShouldBeGreaterThan(50);
            ours.Except(theirs, StringComparer.Ordinal).ShouldBeEmpty();
            theirs.Except(ours, StringComparer.Ordinal).ShouldBeEmpty();
        }
        finally
        {
            work.Delete(recursive: true);
        }
    }

    // Publishes a copy of the tracked and the new files, so no earlier build output can leak in.
    private static async Task<string> Publish(DirectoryInfo work, string revision)
    {
        var source = work.CreateSubdirectory("source").FullName;
        var files = await Command.Run("git", "ls-files", "--cached", "--others", "--exclude-standard");
        foreach (var file in files.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var from = Path.Combine(Repository.Root, file);
            if (!File.Exists(from))
                continue; // Deleted in the working tree.
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(source, file))!);
            File.Copy(from, Path.Combine(source, file));
        }
        var output = Path.Combine(work.FullName, "published");
        var ended = await Command.Try(
            "dotnet",
            [
                "publish",
                "src/Api",
                "--configuration=Release",
                "--runtime=linux-x64",
                "--self-contained=false",
                $"--output={output}",
                $"-p:SourceRevisionId={revision}",
                "-p:OpenApiGenerateDocuments=false",
                "-p:RunAnalyzers=false",
            ],
            new Dictionary<string, string>(StringComparer.Ordinal),
            source
        );
        ended.Status.ShouldBe(0, ended.Output + ended.Error);
        return output;
    }

    private static HashSet<string> Hashes(string directory) =>
        Directory
            .EnumerateFiles(directory, "*", SearchOption.AllDirectories)
            .Select(file =>
                $"{Path.GetRelativePath(directory, file)} "
                + $"{Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}"
            )
            .ToHashSet(StringComparer.Ordinal);

    /// <summary>Goal: the sandbox is an image of its own, closed in the same way.</summary>
    [Fact]
    public async Task Sandbox_is_another_image()
    {
        var revision = await image.Revision;
        var config = (await Inspect(BuiltImage.SandboxName)).GetProperty("Config");
        config.GetProperty("User").GetString().ShouldBe("1654");
        config.GetProperty("Entrypoint").Deserialize<string[]>().ShouldBe(["dotnet", "CancelService.Sandbox.dll"]);
        var labels = config.GetProperty("Labels").Deserialize<Dictionary<string, string>>()!;
        labels["org.opencontainers.image.title"].ShouldBe("CancelService sandbox");
        labels["org.opencontainers.image.revision"].ShouldBe(revision);

        var container = (await Command.Run("docker", "create", BuiltImage.Name)).Trim();
        var files = await Command.Run("bash", "-c", $"docker export {container} | tar -t");
        await Command.Run("docker", "rm", container);
        files.ShouldContain("app/CancelService.Api.dll");
        files
            .Split('\n')
            .Where(file => file.StartsWith("app/", StringComparison.Ordinal))
            .ShouldAllBe(file => !file.Contains("Sandbox", StringComparison.OrdinalIgnoreCase));
    }

    private static async Task<JsonElement> Inspect(string name)
    {
        using var document = JsonDocument.Parse(await Command.Run("docker", "image", "inspect", name));
        return document.RootElement[0].Clone();
    }
}
