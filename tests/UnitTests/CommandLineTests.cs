using CancelService.Api;
using CancelService.Api.Commands;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Options;

namespace CancelService.UnitTests;

/// <summary>Goal: the parser owns the whole command line. No test here builds a host.</summary>
public sealed class CommandLineTests
{
    private static readonly string[] Commands =
    [
        "migrate",
        "verify-ledger",
        "after-restore",
        "find-lost",
        "diagnose",
        "ops-link",
    ];

    // Command lines, and the message of each.
    private static readonly Dictionary<string, string> Wrong = new(StringComparer.Ordinal)
    {
        ["--vers"] = "'--vers' is no option. Did you mean --version?",
        ["--enviroment=Production"] = "'--enviroment=Production' is no option. Did you mean --environment?",
        ["-x"] = "'-x' is no option.",
        ["--Database.Timeout=00:00:01"] = "README.md the settings (--Section:Setting=value)",
        ["--Database:Timeout"] = "--Database:Timeout has no value. Write --Database:Timeout=value.",
        ["--Database:Timeout --version"] = "--Database:Timeout has no value.",
        ["--environment"] = "--environment has no value.",
        ["migrat"] = "'migrat' is no command. Did you mean migrate?",
        ["Migrate"] = "'Migrate' is no command. Did you mean migrate?",
        ["reconcile"] = "Commands: migrate, verify-ledger, after-restore, find-lost, diagnose, ops-link.",
        ["[suggest] migrate"] = "'[suggest]' is no command",
        ["@file"] = "'@file' is no command.",
        ["migrate now"] = "'now' is no argument of migrate.",
        ["migrate --distribut"] = "'--distribut' is no option of migrate. Did you mean --distribute?",
        ["migrate --dry-run"] = "'--dry-run' is no option of migrate.",
        ["migrate --distribute=perhaps"] = "'--distribute=perhaps' has a value, and --distribute takes none.",
        ["migrate --distribute perhaps"] = "'perhaps' is no argument of migrate.",
        ["ops-link --may-requeue=bob"] = "'--may-requeue=bob' has a value, and --may-requeue takes none.",
        ["verify-ledger --all"] = "'--all' is no option of verify-ledger.",
        ["verify-ledger migrate"] = "'migrate' is no argument of verify-ledger.",
        ["after-restore --dry-run"] = "'--dry-run' is no option of after-restore.",
        ["find-lost service.log"] = "'service.log' is no argument of find-lost.",
        ["find-lost --sinc"] = "'--sinc' is no option of find-lost.",
        ["diagnose a.http b.http"] = "'b.http' is no argument of diagnose.",
        ["diagnose --fil"] = "'--fil' is no option of diagnose.",
        ["ops-link"] = "ops-link --help shows its arguments and options.",
        ["ops-link alice bob"] = "'bob' is no argument of ops-link.",
        ["ops-link alice --may-requeu"] = "'--may-requeu' is no option of ops-link. Did you mean --may-requeue?",
        ["ops-link --may-requeu"] = "'--may-requeu' is no option of ops-link. Did you mean --may-requeue?",
        ["ops-link --may-requeue"] = "ops-link --help shows its arguments and options.",
        ["ops-link a\tb"] = "NAME must have 1 to 64 characters, and no control character.",
        ["ops-link " + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"] = "NAME must have 1 to 64",
    };

    public static readonly TheoryData<string> WrongLines = [.. Wrong.Keys];

    [Theory]
    [MemberData(nameof(WrongLines))]
    public async Task Usage_error_has_its_own_exit_code_and_a_message(string line)
    {
        var run = await Run(line);

        run.ExitCode.ShouldBe(64);
        run.Error.ShouldContain(Wrong[line]);
        run.Output.ShouldBe("");
        run.Settings.ShouldBeNull();
    }

    public static readonly TheoryData<string> WithHelp = ["", .. Commands];

    [Theory]
    [MemberData(nameof(WithHelp))]
    public async Task Help_shows_an_example_and_the_exit_codes(string command)
    {
        foreach (var option in new[] { "--help", "-h" })
        {
            var run = await Run($"{command} {option} --Database:Provider=Nope --vers");

            run.ExitCode.ShouldBe(0);
            run.Error.ShouldBe("");
            run.Output.ShouldContain($"Example:\n  dotnet CancelService.Api.dll {(command == "" ? "--" : command)}");
            run.Output.ShouldContain("Exit codes:\n  0   ");
            run.Output.ShouldContain("\n  64  usage error\n");
            run.Settings.ShouldBeNull();
        }
    }

    [Fact]
    public async Task Help_lists_every_command_and_option()
    {
        var help = (await Run("--help")).Output;
        Commands.ShouldAllBe(command => help.Contains($"\n  {command}", StringComparison.Ordinal));
        help.ShouldContain("--version");

        (await Run("migrate --help")).Output.ShouldContain("--create-database");
        (await Run("migrate --help")).Output.ShouldContain("--distribute");
        (await Run("ops-link --help")).Output.ShouldContain("--may-requeue");
    }

    [Fact]
    public async Task Version_is_printed_without_a_host()
    {
        var run = await Run("--version --Database:Provider=Nope");

        run.ExitCode.ShouldBe(0);
        run.Output.ShouldBe($"CancelService {BuildInfo.Full}\n");
        run.Settings.ShouldBeNull();
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData("migrate", 1)]
    [InlineData("migrate --create-database --distribute", 1)]
    [InlineData("verify-ledger", 2)]
    [InlineData("after-restore", 1)]
    [InlineData("find-lost", 2)]
    [InlineData("diagnose", 2)]
    [InlineData("diagnose -", 2)]
    [InlineData("diagnose /tmp/request.http", 2)]
    [InlineData("diagnose -- -request", 2)]
    [InlineData("ops-link alice", 1)]
    [InlineData("ops-link --may-requeue alice", 1)]
    public async Task Wrong_setting_ends_a_command_with_one_sentence(string line, int exitCode)
    {
        var run = await Run(line);

        run.ExitCode.ShouldBe(exitCode);
        run.Error.ShouldBe("CancelService does not start: Wallet:KeyVersion is 0.\n");
        run.Settings.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("--Database:Provider=Postgres", "--Database:Provider=Postgres")]
    [InlineData("migrate --Database:Provider Postgres", "--Database:Provider", "Postgres")]
    [InlineData("--Database:Provider Postgres migrate", "--Database:Provider", "Postgres")]
    [InlineData("migrate /Database:Provider=Postgres", "/Database:Provider=Postgres")]
    [InlineData("migrate Database:Provider=Postgres", "Database:Provider=Postgres")]
    [InlineData("--Notifications:Secrets:0=whsec_a=b", "--Notifications:Secrets:0=whsec_a=b")]
    [InlineData("--Api:Prefixes:0 /api", "--Api:Prefixes:0", "/api")]
    [InlineData("--Serilog:MinimumLevel:Override:My-Part=Error", "--Serilog:MinimumLevel:Override:My-Part=Error")]
    [InlineData("--environment=Production", "--environment=Production")]
    [InlineData("--ENVIRONMENT Production", "--ENVIRONMENT", "Production")]
    [InlineData("--applicationName=CancelService.Api", "--applicationName=CancelService.Api")]
    [InlineData("--urls=http://*:80", "--urls=http://*:80")]
    [InlineData("--OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4317", "--OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4317")]
    [InlineData("diagnose a.http --Wallet:KeyVersion=2", "--Wallet:KeyVersion=2")]
    public async Task Settings_reach_the_host(string line, params string[] settings) =>
        (await Run(line)).Settings.ShouldBe(settings);

    private static async Task<Outcome> Run(string line)
    {
        await using var output = new StringWriter { NewLine = "\n" };
        await using var error = new StringWriter { NewLine = "\n" };
        string[]? settings = null;
        var exitCode = await CommandLine.Run(
            line.Split(' ', StringSplitOptions.RemoveEmptyEntries),
            given =>
            {
                settings = given;
                throw new OptionsValidationException("", typeof(WebApplication), ["Wallet:KeyVersion is 0."]);
            },
            output,
            error
        );
        return new(exitCode, output.ToString(), error.ToString(), settings);
    }

    private sealed record Outcome(int ExitCode, string Output, string Error, string[]? Settings);
}
