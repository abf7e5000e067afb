using System.Reflection;
using CancelService.Application.Cancelling;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Signing;

namespace CancelService.UnitTests;

public sealed class ArchitectureTests
{
    private static readonly Dictionary<string, Assembly> Layers = new(StringComparer.Ordinal)
    {
        ["Domain"] = typeof(Payment).Assembly,
        ["Application"] = typeof(CancelPaymentHandler).Assembly,
        ["Infrastructure"] = typeof(WalletOptions).Assembly,
        ["Api"] = typeof(Api.Program).Assembly,
    };

    // What the code of a layer may refer to; a * stands for the rest of a name.
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Domain"] = ["System.*"],
        ["Application"] =
        [
            "System.*",
            "CancelService.Domain",
            "MediatR",
            "FluentValidation",
            "Microsoft.Extensions.DependencyInjection.Abstractions",
            "Microsoft.Extensions.Logging.Abstractions",
        ],
        ["Infrastructure"] =
        [
            "System.*",
            "CancelService.Domain",
            "CancelService.Application",
            "Microsoft.EntityFrameworkCore*",
            "Microsoft.Data.Sqlite",
            "SQLitePCLRaw.core", // The handle of a connection of Microsoft.Data.Sqlite.
            "Npgsql*",
            "EFCore.NamingConventions",
            "Microsoft.Extensions.*",
            "Polly.*",
        ],
    };

    [Theory]
    [InlineData("Domain")]
    [InlineData("Application")]
    [InlineData("Infrastructure")]
    public void A_layer_refers_to_nothing_but_what_it_may(string layer) =>
        // Measuring coverage makes every assembly refer to netstandard as well.
        Violations(Layers[layer], [.. Allowed[layer], "netstandard"]).ShouldBeEmpty();

    [Theory]
    [InlineData("Domain", "Application", "CancelService.Domain")]
    [InlineData("Domain", "Infrastructure", "Microsoft.EntityFrameworkCore")]
    [InlineData("Application", "Infrastructure", "Microsoft.EntityFrameworkCore")]
    [InlineData("Infrastructure", "Api", "CancelService.Infrastructure")]
    public void The_rule_of_a_layer_is_broken_by_the_layer_outside_it(string rule, string layer, string violation) =>
        Violations(Layers[layer], Allowed[rule]).ShouldContain(name => name == violation);

    [Fact]
    public void Nothing_but_persistence_and_the_host_knows_how_data_is_stored()
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

    // The formatter puts the braces of a method's body alone on a line, four spaces in.
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

    // netstandard is .NET itself by another name; measuring coverage weaves it in.
    private static IEnumerable<string> Violations(Assembly assembly, string[] allowed) =>
        References(assembly).Where(name => name != "netstandard" && !allowed.Any(pattern => Matches(name, pattern)));

    private static bool Matches(string name, string pattern) =>
        pattern.EndsWith('*') ? name.StartsWith(pattern[..^1], StringComparison.Ordinal) : name == pattern;
}
