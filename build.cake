// ./build.sh [--target=TASK] [--configuration=Release]; with everything installed, dotnet tool restore && dotnet cake

var target = Argument("target", "Default");
var configuration = Argument("configuration", "Release");
var artifacts = Directory("./artifacts");

Task("Clean")
    .Description("Removes what the other tasks make")
    .Does(() =>
    {
        CleanDirectory(artifacts);
        CleanDirectories("./{src,tests}/*/{bin,obj}");
    });

Task("Restore")
    .Description("Restores tools and packages, at exactly the locked versions")
    .Does(() => Run("restore --locked-mode"));

Task("Build")
    .Description("Builds the solution; warnings are errors")
    .IsDependentOn("Restore")
    .Does(() => Run($"build --no-restore --configuration {configuration}"));

Task("Format")
    .Description("Fails on a file that is not formatted; 'dotnet csharpier format .' formats")
    .Does(() => Run("csharpier check ."));

Task("Test")
    .Description("Runs every test, on PostgreSQL and on SQLite, and with a container engine those of the image; fails when one is skipped")
    .IsDependentOn(CanPublish() ? "Publish" : "Build")
    .Does(() =>
    {
        var results = MakeAbsolute(artifacts + Directory("tests")).FullPath;
        CleanDirectory(results);
        var failures = new List<string>();
        var (passed, failed, skipped) = (0, 0, 0);
        // The fast ones first. All run, so that one call tells everything that is broken.
        Test("UnitTests");
        Test("IntegrationTests");
        if (Runs("ShippingTests", HasEngine(), "No container engine, or none that gets the .NET images: what is shipped (image, "
            + "compose.yaml, systemd units, Testcontainers module)"))
            Test("ShippingTests", IsRunningOnLinux() ? "" : "--filter-not-class *.SystemdTests"); // Only Linux has systemd.
        // Of the schedules one thread runs at a time, and pages wait for a browser: together they take less time than in turn.
        var schedules = System.Threading.Tasks.Task.Run(() => Test("ScheduleTests"));
        if (Runs("BrowserTests", Has("chromium"), "No Chromium: the pages"))
            Test("BrowserTests");
        schedules.Wait();
        if (Runs("Drills", Has("prometheus") && Has("psql"), "No Prometheus, or no psql: the runbook"))
            Test("Drills");
        System.IO.File.WriteAllText($"{results}/summary.txt", $"{passed} passed, {failed} failed, {skipped} skipped\n");
        if (skipped > 0)
            failures.Add("A test was skipped: what it needs is missing.");
        if (failures.Count > 0)
            throw new CakeException(string.Join("\n", failures));

        // In CI nothing is left out: what is missing fails.
        bool Runs(string project, bool hasWhatItNeeds, string missing)
        {
            if (hasWhatItNeeds || EnvironmentVariable("CI") == "true")
                return true;
            Warning($"{missing} is not tested here.");
            return false;
        }

        void Test(string project, string filter = "")
        {
            var failure = "";
            try
            {
                Run($"test --no-build --configuration {configuration} --project tests/{project} --results-directory \"{results}\" "
                    + $"--report-xunit-trx --report-xunit-trx-filename {project}.trx {filter}");
            }
            catch (CakeException e)
            {
                failure = e.Message;
            }
            lock (failures)
                Count(project, failure);
        }

        void Count(string project, string failure)
        {
            if (failure.Length > 0)
                failures.Add(failure);
            System.Xml.Linq.XElement counters;
            try
            {
                counters = System.Xml.Linq.XDocument.Load($"{results}/{project}.trx")
                    .Descendants()
                    .Single(element => element.Name.LocalName == "Counters");
            }
            catch (Exception e)
            {
                failures.Add($"{project} wrote no report that can be read: {e.Message}");
                failed++;
                return;
            }
            passed += (int)counters.Attribute("passed");
            failed += (int)counters.Attribute("failed");
            skipped += (int)counters.Attribute("total") - (int)counters.Attribute("passed") - (int)counters.Attribute("failed");
        }
    });

Task("Drills")
    .Description("Runs the drills of the runbook alone: about two minutes; needs Prometheus and psql")
    .IsDependentOn(CanPublish() ? "Publish" : "Build")
    .Does(() => Run($"test --no-build --configuration {configuration} --project tests/Drills"));

Task("Coverage")
    .Description("Fails when less than 95 % of the lines of Domain or Application are covered")
    .IsDependentOn("Build")
    .Does(() =>
    {
        var results = MakeAbsolute(artifacts + Directory("coverage"));
        CleanDirectory(results);
        Run($"test --no-build --configuration {configuration} --results-directory {results} --coverage --coverage-output-format cobertura");
        foreach (var layer in new[] { "Domain", "Application" })
        {
            Run($"reportgenerator \"-reports:{results}/*.cobertura.xml\" \"-targetdir:{results}/{layer}\" \"-reporttypes:TextSummary;Html\" "
                + $"\"-assemblyfilters:+CancelService.{layer}\" minimumCoverageThresholds:lineCoverage=95");
            Information(System.IO.File.ReadAllText($"{results}/{layer}/Summary.txt"));
        }
    });

Task("Bench")
    .Description("Measures what was published beside pgbench: about a quarter of an hour on an otherwise idle machine")
    .IsDependentOn("Publish")
    .Does(() => Run($"run --no-build --configuration {configuration} --project tests/Load -- --service={artifacts}/service"));

Task("Mutation")
    .Description("Fails when less than 90 % of the mutants of Domain, or 85 % of another part's, are killed; takes long")
    .IsDependentOn("Build")
    .Does(() =>
    {
        foreach (var part in new[] { "domain", "protocol", "exchange", "infrastructure" })
        {
            Run($"stryker --config-file stryker-{part}.json --configuration {configuration} --concurrency {Argument("concurrency", 1)} "
                + $"--output {MakeAbsolute(artifacts)}/mutation/{part} --skip-version-check", "tests/UnitTests");
        }
    });

Task("Publish")
    .Description("Publishes the service to artifacts/service, compiled ahead of time for Linux on x64")
    .IsDependentOn("Build")
    .Does(() =>
    {
        CleanDirectory(artifacts + Directory("service"));
        // The build has written the OpenAPI documents, and run the analyzers.
        Run($"publish src/Api --configuration {configuration} --runtime linux-x64 --self-contained false --output {artifacts}/service "
            + "-p:OpenApiGenerateDocuments=false -p:RunAnalyzers=false");
    });

// Licences that ask for no more than their text. Two packages give an address instead of a licence's name: MediatR 5 is Apache-2.0
// (docs/decisions/0004-mediatr-version.md), and AutoMapper is the exception (docs/decisions/0005-automapper-licence.md).
var allowedLicences = new HashSet<string> { "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "PostgreSQL", "MS-PL" };
var exceptedPackages = new HashSet<string> { "AutoMapper", "MediatR" };

Task("Image")
    .Description("Builds the images cancelservice:VERSION and cancelservice-sandbox:VERSION, and puts them into artifacts/release as archives for 'docker load'")
    .Does(() =>
    {
        if (!HasEngine())
            throw new CakeException("The image needs a container engine. Start Docker, or another that answers to its client.");
        var release = MakeAbsolute(artifacts + Directory("release")).FullPath;
        EnsureDirectoryExists(release);
        var version = System.Xml.Linq.XDocument.Load("Directory.Build.props").Descendants("Version").Single().Value;
        // The network of the machine, because some reach the packages by it alone.
        // Both are built of the same first stage, which the engine keeps.
        foreach (var (name, stage, archive) in new[]
        {
            ("cancelservice", "service", "cancelservice-image"),
            ("cancelservice-sandbox", "sandbox", "cancelservice-sandbox-image"),
        })
        {
            Shell($"docker build --network=host --build-arg VERSION={version} --build-arg REVISION=$(git rev-parse HEAD) "
                + $"--target {stage} --tag {name}:{version} .");
            Shell($"docker save {name}:{version} | gzip -n > '{release}/{archive}.tar.gz'");
        }
    });

Task("Module")
    .Description("Packs the Testcontainers module into artifacts/release")
    .IsDependentOn("Build")
    .Does(() => Run($"pack tests/Testcontainers --no-build --configuration {configuration} --output {artifacts}/release"));

Task("Vulnerabilities")
    .Description("Fails on a package, however deep, that the package source knows a vulnerability of")
    .IsDependentOn("Restore")
    .Does(() =>
    {
        // The list ends with 0 whatever it finds. A source without such data finds nothing.
        IEnumerable<string> lines;
        var exitCode = StartProcess("dotnet", new ProcessSettings
        {
            Arguments = "list src/Api/Api.csproj package --vulnerable --include-transitive --format json",
            RedirectStandardOutput = true,
        }, out lines);
        var list = string.Join("\n", lines);
        if (exitCode != 0)
            throw new CakeException($"The list of vulnerable packages can't be had:\n{list}");
        var found = VulnerablePackages(list);
        if (found.Count > 0)
            throw new CakeException("Vulnerable packages:\n" + string.Join("\n", found));
    });

Task("Sbom")
    .Description("Writes what the service is made of to artifacts/release/sbom.json (CycloneDX); fails on a licence that is not allowed")
    .IsDependentOn("Restore")
    .Does(() =>
    {
        var release = MakeAbsolute(artifacts + Directory("release")).FullPath;
        EnsureDirectoryExists(release);
        Run($"CycloneDX src/Api/Api.csproj --output \"{release}\" --filename sbom.json --output-format Json --exclude-dev "
            + "--disable-package-restore --no-serial-number");
        using var sbom = System.Text.Json.JsonDocument.Parse(System.IO.File.ReadAllText($"{release}/sbom.json"));
        var licences = new List<string>();
        var refused = new List<string>();
        foreach (var component in sbom.RootElement.GetProperty("components").EnumerateArray())
        {
            var (name, version) = (component.GetProperty("name").GetString(), component.GetProperty("version").GetString());
            var licence = component.TryGetProperty("licenses", out var given) ? LicenceOf(given) : "none given";
            licences.Add($"{name} {version}: {licence}");
            if (!allowedLicences.Contains(licence) && !exceptedPackages.Contains(name) && !name.StartsWith("CancelService."))
                refused.Add(licences[^1]);
        }
        licences.Sort(StringComparer.Ordinal);
        System.IO.File.WriteAllLines($"{release}/LICENCES.txt", licences);
        if (refused.Count > 0)
            throw new CakeException("Licences that are not on the list of build.cake:\n" + string.Join("\n", refused));
        Information($"{licences.Count} packages, with licences on the list.");
    });

Task("Release")
    .Description("Makes what is shipped, in artifacts/release: the service and the image as archives, the Testcontainers module, SBOM, licences, checksums")
    .IsDependentOn("Vulnerabilities")
    .IsDependentOn("Sbom")
    .IsDependentOn("Publish")
    .IsDependentOn("Module")
    .IsDependentOn("Image")
    .Does(() =>
    {
        var release = MakeAbsolute(artifacts + Directory("release")).FullPath;
        // Names in their order, no owner and the commit's time: two builds of one commit are equal byte for byte.
        Shell($"tar --sort=name --mtime=@$(git log -1 --format=%ct) --owner=0 --group=0 --numeric-owner -C {artifacts} -cf - service "
            + $"| gzip -n > '{release}/cancelservice.tar.gz'");
        Shell($"cd '{release}' && sha256sum *.gz *.nupkg sbom.json LICENCES.txt > SHA256SUMS && cat SHA256SUMS");
    });

Task("Default")
    .Description("Checks the format, builds, and runs every test")
    .IsDependentOn("Format")
    .IsDependentOn("Build")
    .IsDependentOn("Test");

RunTarget(target);

// By its identifier, or by the address that older packages give instead.
string LicenceOf(System.Text.Json.JsonElement given)
{
    var licence = given[0].TryGetProperty("license", out var inner) ? inner : given[0];
    return licence.TryGetProperty("id", out var id) ? id.GetString()
        : licence.TryGetProperty("expression", out var expression) ? expression.GetString()
        : licence.TryGetProperty("url", out var url) ? url.GetString()
        : licence.TryGetProperty("name", out var name) ? name.GetString()
        : "none given";
}

// Each with its severity, from the JSON of "dotnet list package --vulnerable".
List<string> VulnerablePackages(string json)
{
    using var list = System.Text.Json.JsonDocument.Parse(json);
    return (
        from project in Members(list.RootElement, "projects")
        from framework in Members(project, "frameworks")
        from kind in new[] { "topLevelPackages", "transitivePackages" }
        from package in Members(framework, kind)
        from vulnerability in Members(package, "vulnerabilities")
        select $"{package.GetProperty("id")} {package.GetProperty("resolvedVersion")}: {vulnerability.GetProperty("severity")}, "
            + vulnerability.GetProperty("advisoryurl")
    ).ToList();

    IEnumerable<System.Text.Json.JsonElement> Members(System.Text.Json.JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var found) ? found.EnumerateArray() : [];
}

// Whether what is published, for Linux on x64, runs here.
bool CanPublish() => IsRunningOnLinux()
    && System.Runtime.InteropServices.RuntimeInformation.OSArchitecture is System.Runtime.InteropServices.Architecture.X64;

// Whether a program is on the PATH.
bool Has(string program) => Context.Tools.Resolve(program) is not null;

// An engine serves when it has the images that the Dockerfile builds on, or gets them.
bool HasEngine()
{
    return Docker("version") && new[] { "sdk:10.0", "aspnet:10.0" }.All(image =>
        Docker($"image inspect mcr.microsoft.com/dotnet/{image}") || Docker($"pull --quiet mcr.microsoft.com/dotnet/{image}"));

    bool Docker(string arguments)
    {
        try
        {
            using var process = StartAndReturnProcess("docker", new ProcessSettings
            {
                Arguments = arguments, Silent = true, RedirectStandardError = true, RedirectStandardOutput = true,
            });
            process.WaitForExit();
            return process.GetExitCode() == 0;
        }
        catch (Exception)
        {
            return false; // No docker at all.
        }
    }
}

void Shell(string command)
{
    var exitCode = StartProcess("bash", new ProcessSettings { Arguments = new ProcessArgumentBuilder().Append("-c").AppendQuoted(command) });
    if (exitCode != 0)
        throw new CakeException($"{command} ended with {exitCode}.");
}

void Run(string arguments, string directory = ".")
{
    var exitCode = StartProcess("dotnet", new ProcessSettings
    {
        Arguments = arguments,
        WorkingDirectory = directory,
        // Tests compile much, in many processes. Without the runtime's protection of compiled code they take a tenth less time.
        // A test that starts the service in a process of its own starts what is published, where that runs here.
        EnvironmentVariables = new Dictionary<string, string>
        {
            ["DOTNET_EnableWriteXorExecute"] = "0",
            ["CANCELSERVICE_TEST_SERVICE"] = CanPublish() && arguments.StartsWith("test ")
                ? MakeAbsolute(artifacts + Directory("service")).FullPath
                : "",
        },
    });
    if (exitCode != 0)
        throw new CakeException($"dotnet {arguments} ended with {exitCode}.");
}
