using System.Reflection;
using CancelService.Application.Cancelling;
using CancelService.Doctor;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Signing;
using CancelService.Protocol;

namespace CancelService.UnitTests;

/// <summary>Goal: dependencies point inward, and source files stay short enough to read.</summary>
public sealed class ArchitectureTests
{
    private static readonly Dictionary<string, Assembly> Layers = new(StringComparer.Ordinal)
    {
        ["Domain"] = typeof(Payment).Assembly,
        ["Protocol"] = typeof(ResultCode).Assembly,
        ["Doctor"] = typeof(RequestDoctor).Assembly,
        ["Application"] = typeof(CancelPaymentHandler).Assembly,
        ["Infrastructure"] = typeof(WalletOptions).Assembly,
        ["Api"] = typeof(Api.Program).Assembly,
    };

    // The allow-list of assemblies by layer; a trailing * matches any suffix.
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Domain"] = ["System.*"],
        ["Protocol"] = ["System.*"],
        ["Doctor"] = ["System.*", "CancelService.Protocol"],
        ["Application"] =
        [
            "System.*",
            "CancelService.Domain",
            "CancelService.Protocol",
            "MediatR",
            "FluentValidation",
            "Microsoft.Extensions.DependencyInjection.Abstractions",
            "Microsoft.Extensions.Logging.Abstractions",
        ],
        ["Infrastructure"] =
        [
            "System.*",
            "CancelService.Domain",
            "CancelService.Protocol",
            "CancelService.Application",
            "Microsoft.EntityFrameworkCore*",
            "Microsoft.Data.Sqlite",
            "SQLitePCLRaw.core", // Its type is the native handle of a SqliteConnection.
            "Npgsql*",
            "EFCore.NamingConventions",
            "Microsoft.Extensions.*",
            "Polly.*",
        ],
    };

    [Theory]
    [InlineData("Domain")]
    [InlineData("Protocol")]
    [InlineData("Doctor")]
    [InlineData("Application")]
    [InlineData("Infrastructure")]
    public void A_layer_references_allowed_assemblies_only(string layer) =>
        // Coverage instrumentation adds a reference to netstandard.
        Violations(Layers[layer], [.. Allowed[layer], "netstandard"]).ShouldBeEmpty();

    [Theory]
    [InlineData("Domain", "Application", "CancelService.Domain")]
    [InlineData("Protocol", "Application", "CancelService.Domain")]
    [InlineData("Doctor", "Api", "CancelService.Application")]
    [InlineData("Domain", "Infrastructure", "Microsoft.EntityFrameworkCore")]
    [InlineData("Application", "Infrastructure", "Microsoft.EntityFrameworkCore")]
    [InlineData("Infrastructure", "Api", "CancelService.Infrastructure")]
    public void The_rule_of_a_layer_rejects_the_layer_outside_it(string rule, string layer, string violation) =>
        Violations(Layers[layer], Allowed[rule]).ShouldContain(name => name == violation);

    [Fact]
    public void Storage_libraries_are_referenced_by_persistence_and_the_host_only()
    {
        string[] storage = ["Microsoft.EntityFrameworkCore", "Npgsql", "Microsoft.Data.Sqlite"];

        var who = Layers
            .Where(layer =>
                References(layer.Value)
                    .Any(name => storage.Any(known => name.StartsWith(known, StringComparison.Ordinal)))
            )
            .Select(layer => layer.Key);

        who.ShouldAllBe(layer => layer == "Infrastructure" || layer == "Api");
        who.ShouldNotBeEmpty();
    }

    [Fact]
    public void A_payment_changes_only_by_its_own_methods()
    {
        var members = typeof(Payment).GetProperties(BindingFlags.Instance | BindingFlags.Public);

        members.ShouldNotBeEmpty();
        members.ShouldAllBe(property => property.SetMethod == null || property.SetMethod.IsPrivate);
        typeof(Payment).GetFields(BindingFlags.Instance | BindingFlags.Public).ShouldBeEmpty();
        typeof(Payment).GetConstructors().ShouldBeEmpty();
    }

    [Fact]
    public void Files_have_less_than_300_lines_and_methods_at_most_70()
    {
        var source = Path.Combine(DocumentationTests.Root(), "src");
        var files = Directory
            .EnumerateFiles(source, "*.cs", SearchOption.AllDirectories)
            .Where(file => !Generated.Any(part => file.Contains(part, StringComparison.Ordinal)))
            .ToDictionary(file => Path.GetRelativePath(source, file), File.ReadAllLines, StringComparer.Ordinal);

        files.Count.ShouldBeGreaterThan(100);
        files.Where(file => file.Value.Length >= 300).Select(file => file.Key).ShouldBeEmpty();
        files.SelectMany(file => LongMethods(file.Key, file.Value, longest: 70)).ShouldBeEmpty();
        files.SelectMany(file => LongMethods(file.Key, file.Value, longest: 40)).ShouldNotBeEmpty();
    }

    private static readonly string[] Generated = ["/Migrations/", "/obj/", "/bin/"];

    // CSharpier puts the braces of a method's body alone on a line, indented by four spaces.
    private static IEnumerable<string> LongMethods(string file, string[] lines, int longest)
    {
        var start = 0;
        for (var i = 0; i < lines.Length; i++)
        {
            if (lines[i] == "    {")
                start = i;
            if (lines[i] == "    }" && i - start - 1 > longest)
                yield return $"{file}, line {start}";
        }
    }

    private static IEnumerable<string> References(Assembly assembly) =>
        assembly.GetReferencedAssemblies().Select(name => name.Name!);

    // netstandard is a facade of .NET itself, and coverage instrumentation references it.
    private static IEnumerable<string> Violations(Assembly assembly, string[] allowed) =>
        References(assembly).Where(name => name != "netstandard" && !allowed.Any(pattern => Matches(name, pattern)));

    private static bool Matches(string name, string pattern) =>
        pattern.EndsWith('*') ? name.StartsWith(pattern[..^1], StringComparison.Ordinal) : name == pattern;
}
