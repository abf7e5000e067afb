using System.Diagnostics;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests.Processes;

/// <summary>Goal: nothing of the sandbox is in the service that is published.</summary>
public sealed partial class PublishedServiceTests : IDisposable
{
    private readonly DirectoryInfo _work = Directory.CreateTempSubdirectory("cancelservice-published-");

    [Fact]
    public async Task Published_files_hold_nothing_of_the_sandbox()
    {
        var directory = await Published();
        var files = Directory.GetFiles(directory, "*", SearchOption.AllDirectories);
        files.Select(file => Path.GetFileName(file)).ShouldContain(file => file == "CancelService.Api.dll");

        var found = new List<string>();
        foreach (var file in files)
        {
            var name = Path.GetFileName(file);
            if (OfSandbox().IsMatch(name) || name.EndsWith(".pem", StringComparison.Ordinal))
                found.Add($"file {name}");
            var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
            if (Keys().IsMatch(Encoding.Latin1.GetString(bytes)) || Keys().IsMatch(Encoding.Unicode.GetString(bytes)))
                found.Add($"a key in {name}");
            if (
                name.StartsWith("CancelService.", StringComparison.Ordinal)
                && name.EndsWith(".dll", StringComparison.Ordinal)
            )
                found.AddRange(InAssembly(file).Select(what => $"{what} in {name}"));
            if (name.StartsWith("appsettings", StringComparison.Ordinal))
                found.AddRange(InSettings(bytes).Select(what => $"{what} in {name}"));
        }
        found.ShouldBeEmpty();
    }

    public void Dispose() => _work.Delete(recursive: true);

    private static List<string> InAssembly(string file)
    {
        using var assembly = new PEReader(File.OpenRead(file));
        var metadata = assembly.GetMetadataReader();
        var found = new List<string>();
        foreach (var handle in metadata.TypeDefinitions)
            Add("type", metadata.GetString(metadata.GetTypeDefinition(handle).Name));
        foreach (var handle in metadata.AssemblyReferences)
            Add("reference", metadata.GetString(metadata.GetAssemblyReference(handle).Name));
        foreach (var handle in metadata.ManifestResources)
            Add("resource", metadata.GetString(metadata.GetManifestResource(handle).Name));
        for (var handle = MetadataTokens.UserStringHandle(0); !(handle = metadata.GetNextHandle(handle)).IsNil; )
            if (Section().IsMatch(metadata.GetUserString(handle)))
                found.Add($"text {metadata.GetUserString(handle)}");
        return found;

        void Add(string kind, string name)
        {
            if (OfSandbox().IsMatch(name))
                found.Add($"{kind} {name}");
        }
    }

    private static IEnumerable<string> InSettings(byte[] json)
    {
        using var document = JsonDocument.Parse(json);
        return
        [
            .. document
                .RootElement.EnumerateObject()
                .Where(section => OfSandbox().IsMatch(section.Name))
                .Select(section => $"section {section.Name}"),
        ];
    }

    // The files of the build's own publishing, or else of one from the projects as they were built with the tests.
    private async Task<string> Published()
    {
        if (Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_SERVICE") is { Length: > 0 } published)
            return published;
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        var start = new ProcessStartInfo(
            "dotnet",
            [
                "publish",
                Path.Combine(Repository.Root, "src", "Api"),
                "--no-build",
                $"--configuration={configuration}",
                $"--output={_work.FullName}",
            ]
        )
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        using var process = Process.Start(start).ShouldNotBeNull();
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        process.ExitCode.ShouldBe(0, output);
        return _work.FullName;
    }

    [GeneratedRegex("Sandbox|Demo(?![a-z])|TestClock|Scenario", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex OfSandbox();

    [GeneratedRegex(
        "^(Sandbox|Demo)(:|__|$)|DEMO_CLIENT",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Section();

    [GeneratedRegex(
        "-----BEGIN (RSA )?PRIVATE KEY-----[\\r\\n]+MII|whsec_[A-Za-z0-9+/]{32}",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 60_000
    )]
    private static partial Regex Keys();
}
