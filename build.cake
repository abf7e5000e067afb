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
    .Description("Runs every test, on PostgreSQL and on SQLite; fails when one is skipped")
    .IsDependentOn("Build")
    .Does(() =>
    {
        var results = MakeAbsolute(artifacts + Directory("tests")).FullPath;
        CleanDirectory(results);
        var failures = new List<string>();
        var (passed, failed, skipped) = (0, 0, 0);
        // The fast ones first. All run, so that one call tells everything that is broken.
        foreach (var project in new[] { "UnitTests", "IntegrationTests" })
        {
            try
            {
                Run($"test --no-build --configuration {configuration} --project tests/{project} --results-directory \"{results}\" "
                    + $"--report-xunit-trx --report-xunit-trx-filename {project}.trx");
            }
            catch (CakeException e)
            {
                failures.Add(e.Message);
            }
            var report = $"{results}/{project}.trx";
            if (!FileExists(report))
            {
                failures.Add($"{project} did not run.");
                continue;
            }
            var counters = System.Xml.Linq.XDocument.Load(report).Descendants().Single(element => element.Name.LocalName == "Counters");
            passed += (int)counters.Attribute("passed");
            failed += (int)counters.Attribute("failed");
            skipped += (int)counters.Attribute("total") - (int)counters.Attribute("passed") - (int)counters.Attribute("failed");
        }
        System.IO.File.WriteAllText($"{results}/summary.txt", $"{passed} passed, {failed} failed, {skipped} skipped\n");
        if (skipped > 0)
            failures.Add("A test was skipped: what it needs is missing.");
        if (failures.Count > 0)
            throw new CakeException(string.Join("\n", failures));
    });

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
    .Does(() => Run($"publish src/Api --configuration {configuration} --runtime linux-x64 --self-contained false --output {artifacts}/service"));

Task("Default")
    .Description("Checks the format, builds, and runs every test")
    .IsDependentOn("Format")
    .IsDependentOn("Build")
    .IsDependentOn("Test");

RunTarget(target);

void Run(string arguments, string directory = ".")
{
    var exitCode = StartProcess("dotnet", new ProcessSettings { Arguments = arguments, WorkingDirectory = directory });
    if (exitCode != 0)
        throw new CakeException($"dotnet {arguments} ended with {exitCode}.");
}
