// ./build.sh [--target=TASK] [--configuration=Release]; with everything installed, dotnet tool restore && dotnet cake

var target = Argument("target", "Default");
var configuration = Argument("configuration", "Release");
var artifacts = Directory("./artifacts");
var isPublished = false;

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
    .Description("Fails on a file that is not formatted ('dotnet csharpier format .' formats), or has lines that are too long")
    .IsDependentOn("LineLength")
    .Does(() => Run("csharpier check ."));

Task("LineLength")
    .Description("Fails on lines of C# over max_line_length of .editorconfig, in comments and strings too, unless long-lines.txt allows them")
    .Does(() =>
    {
        const string allowList = "tests/long-lines.txt";
        var limit = int.Parse(System.IO.File.ReadLines(".editorconfig").First(line => line.StartsWith("max_line_length")).Split('=')[1]);
        var allowed = System.IO.File.ReadLines(allowList)
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split(' ', 2))
            .ToDictionary(parts => parts[1], parts => int.Parse(parts[0]));
        var found = new[] { "src", "tests" }
            .SelectMany(root => System.IO.Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories))
            .Select(file => file.Replace('\\', '/'))
            .Where(file => !file.Contains("/obj/") && !file.Contains("/bin/") && !file.Contains("/Migrations/"))
            .Select(file => (File: file, Lines: System.IO.File.ReadLines(file).Select((text, i) => (text, i)).Where(l => l.text.Length > limit)
                .Select(l => l.i + 1).ToList()))
            .Where(long_ => long_.Lines.Count > 0)
            .ToDictionary(long_ => long_.File, long_ => long_.Lines);
        if (HasArgument("rewrite"))
        {
            var head = System.IO.File.ReadLines(allowList).TakeWhile(line => line.StartsWith('#'));
            var counts = found.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => $"{file.Value.Count} {file.Key}");
            System.IO.File.WriteAllText(allowList, string.Concat(head.Concat(counts).Select(line => line + "\n")));
            return;
        }
        var problems = found
            .Where(file => file.Value.Count > allowed.GetValueOrDefault(file.Key))
            .Select(file => $"{file.Key}: {file.Value.Count} lines over {limit} characters, and {allowed.GetValueOrDefault(file.Key)} are allowed. "
                + $"Break some of the lines {string.Join(", ", file.Value.Take(10))}.")
            .Concat(allowed
                .Where(file => found.GetValueOrDefault(file.Key, []).Count < file.Value)
                .Select(file => $"{file.Key}: only {found.GetValueOrDefault(file.Key, []).Count} long lines are left. "
                    + $"Lower its number in {allowList}, so that it stays so: ./build.sh --target=LineLength --rewrite"))
            .ToList();
        if (problems.Count > 0)
            throw new CakeException(string.Join("\n", problems));
    });

// Lengths of the tests that draw their input. Without them they run short, which is what Default does.
var full = new Dictionary<string, string>
{
    ["CANCELSERVICE_SIMULATION_OPERATIONS"] = "100000",
    ["CANCELSERVICE_FUZZ_REQUESTS"] = "200000",
    ["CANCELSERVICE_SCHEDULES_ORDERS"] = "1200",
};
var bounded = new Dictionary<string, string>
{
    ["CANCELSERVICE_SIMULATION_OPERATIONS"] = "10000",
    ["CANCELSERVICE_FUZZ_REQUESTS"] = "20000",
    ["CANCELSERVICE_SCHEDULES_ORDERS"] = "100",
};
var night = new Dictionary<string, string>
{
    ["CANCELSERVICE_SIMULATION_OPERATIONS"] = "1000000",
    ["CANCELSERVICE_FUZZ_REQUESTS"] = "2000000",
    ["CANCELSERVICE_SCHEDULES_ORDERS"] = "20000",
};

var results = MakeAbsolute(artifacts + Directory("tests")).FullPath;
var failures = new List<string>();
var (passed, failed, skipped) = (0, 0, 0);
var seedLines = new List<string>();

Task("Test")
    .Description("Runs the tests that guard behaviour, with a fixed seed (--seed=N for another); fails when one is skipped")
    .IsDependentOn("Build")
    .Does(() =>
    {
        CleanDirectory(results);
        var seed = Seed("1");
        // All run, so that one call tells everything that is broken. The schedules need one core and no database.
        var schedules = System.Threading.Tasks.Task.Run(() => Test("ScheduleTests", seed));
        Test("UnitTests", seed);
        schedules.Wait();
        Test("IntegrationTests", seed, filter: "--filter-not-trait Category=Full");
        if (Runs("BrowserTests", Has("chromium"), "No Chromium: the pages"))
            Test("BrowserTests", seed);
        Conclude();
    });

Task("TestFull")
    .Description("Runs every test, the seeded ones for longer, with a new seed (--seed=N repeats one)")
    .IsDependentOn(CanPublish() ? "Publish" : "Build")
    .Does(() =>
    {
        CleanDirectory(results);
        var seed = Seed(NewSeed());
        Test("UnitTests", seed);
        Test("IntegrationTests", seed, full);
        if (Runs("ShippingTests", HasEngine(), "No container engine, or none that gets the .NET images: what is shipped (image, "
            + "compose.yaml, systemd units, Testcontainers module)"))
            Test("ShippingTests", seed, filter: IsRunningOnLinux() ? "" : "--filter-not-class *.SystemdTests"); // Only Linux has systemd.
        // Schedules use one thread and pages wait for a browser, so the two run concurrently.
        var schedules = System.Threading.Tasks.Task.Run(() => Test("ScheduleTests", seed, full));
        if (Runs("BrowserTests", Has("chromium"), "No Chromium: the pages"))
            Test("BrowserTests", seed);
        schedules.Wait();
        if (Runs("Drills", Has("prometheus") && Has("psql"), "No Prometheus, or no psql: the runbook"))
            Test("Drills", seed);
        if (Argument("extra-seed", "") is { Length: > 0 } extra)
            TestSeed(extra == "new" ? NewSeed() : extra, bounded);
        Conclude();
    });

Task("Seed")
    .Description("Runs the tests that draw their input for some minutes, with a new seed (--seed=N repeats one)")
    .IsDependentOn(CanPublish() ? "Publish" : "Build")
    .Does(() =>
    {
        CleanDirectory(results);
        TestSeed(Seed(NewSeed()), bounded);
        Conclude();
    });

Task("SeedLong")
    .Description("The same for a night: 1,000,000 operations of the simulation, 2,000,000 requests of the fuzzer, 20,000 orders of each schedule")
    .IsDependentOn(CanPublish() ? "Publish" : "Build")
    .Does(() =>
    {
        CleanDirectory(results);
        TestSeed(Seed(NewSeed()), night);
        Conclude();
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
        isPublished = true;
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
    .Description("Guards behaviour, in minutes: format, build, and the tests whose verdict depends on the code alone")
    .IsDependentOn("Format")
    .IsDependentOn("Build")
    .IsDependentOn("Test");

Task("Full")
    .Description("Runs in CI: Default, long seeded runs, image, compose.yaml, drills, and the measurements of speed")
    .IsDependentOn("Format")
    .IsDependentOn("Build")
    .IsDependentOn("TestFull");

Task("Long")
    .Description("For a night: the longest runs with a new seed, and mutation testing")
    .IsDependentOn("SeedLong")
    .IsDependentOn("Mutation");

RunTarget(target);

string NewSeed() => System.Security.Cryptography.RandomNumberGenerator.GetInt32(1_000_000).ToString();

// Reads the command line's seed, or takes the target's default.
string Seed(string byDefault)
{
    var seed = Argument("seed", byDefault);
    Information($"Seed {seed}");
    return seed;
}

// Runs the seeded tests alone. Their outcome has a line of its own, and counts.
void TestSeed(string seed, Dictionary<string, string> lengths)
{
    var before = (passed, failed);
    Test("UnitTests", seed, lengths, "--filter-trait Category=Seeded", $"UnitTests-seed-{seed}");
    Test("IntegrationTests", seed, lengths, "--filter-trait Category=Seeded", $"IntegrationTests-seed-{seed}");
    Test("ScheduleTests", seed, lengths, report: $"ScheduleTests-seed-{seed}");
    seedLines.Add($"New seed {seed}: {passed - before.passed} passed, {failed - before.failed} failed; "
        + $"./build.sh --target=Seed --seed={seed} repeats it");
}

// In CI nothing is left out: what is missing fails.
bool Runs(string project, bool hasWhatItNeeds, string missing)
{
    if (hasWhatItNeeds || EnvironmentVariable("CI") == "true")
        return true;
    Warning($"{missing} is not tested here.");
    return false;
}

void Test(string project, string seed, Dictionary<string, string> lengths = null, string filter = "", string report = null)
{
    report ??= project;
    var failure = "";
    var watch = System.Diagnostics.Stopwatch.StartNew();
    try
    {
        Run($"test --no-build --configuration {configuration} --project tests/{project} --results-directory \"{results}\" "
            + $"--report-xunit-trx --report-xunit-trx-filename {report}.trx {filter}",
            environment: new Dictionary<string, string>(lengths ?? [])
            {
                ["CANCELSERVICE_SEED"] = seed,
                ["TMPDIR"] = lengths is null ? ShortRunsDirectory() : System.IO.Path.GetTempPath(),
            });
    }
    catch (CakeException e)
    {
        failure = $"{e.Message} The seed was {seed}.";
    }
    Information($"{report}: {watch.Elapsed.TotalSeconds:0} s");
    lock (failures)
        Count(report, failure);
}

void Count(string report, string failure)
{
    if (failure.Length > 0)
        failures.Add(failure);
    System.Xml.Linq.XElement counters;
    try
    {
        counters = System.Xml.Linq.XDocument.Load($"{results}/{report}.trx")
            .Descendants()
            .Single(element => element.Name.LocalName == "Counters");
    }
    catch (Exception e)
    {
        failures.Add($"{report} wrote no report that can be read: {e.Message}");
        failed++;
        return;
    }
    passed += (int)counters.Attribute("passed");
    failed += (int)counters.Attribute("failed");
    skipped += (int)counters.Attribute("total") - (int)counters.Attribute("passed") - (int)counters.Attribute("failed");
}

// Writes what build.sh prints last, and fails if a test failed or was skipped.
void Conclude()
{
    System.IO.File.WriteAllText($"{results}/summary.txt",
        string.Concat(seedLines.Append($"{passed} passed, {failed} failed, {skipped} skipped").Select(line => line + "\n")));
    if (skipped > 0)
        failures.Add("A test was skipped: what it needs is missing.");
    if (failures.Count > 0)
        throw new CakeException(string.Join("\n", failures));
}

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

// Where short runs keep their databases: in memory, if there is room. Making and removing some hundred of them takes a disk minutes.
string ShortRunsDirectory() =>
    IsRunningOnLinux() && System.IO.Directory.Exists("/dev/shm") && new System.IO.DriveInfo("/dev/shm").AvailableFreeSpace > 4L << 30
        ? "/dev/shm" : System.IO.Path.GetTempPath();

void Run(string arguments, string directory = ".", Dictionary<string, string> environment = null)
{
    var exitCode = StartProcess("dotnet", new ProcessSettings
    {
        Arguments = arguments,
        WorkingDirectory = directory,
        EnvironmentVariables = new Dictionary<string, string>(environment ?? [])
        {
            // Tests compile much, in many processes. Without the runtime's protection of compiled code they take a tenth less time.
            ["DOTNET_EnableWriteXorExecute"] = "0",
            // A test that starts the service in a process of its own starts what was published, if the target publishes.
            ["DOTNET_TieredPGO"] = isPublished ? "1" : "0", // No process of a short run lives for so long that it would pay off.
            ["CANCELSERVICE_TEST_SERVICE"] = isPublished ? MakeAbsolute(artifacts + Directory("service")).FullPath : "",
        },
    });
    if (exitCode != 0)
        throw new CakeException($"dotnet {arguments} ended with {exitCode}.");
}
