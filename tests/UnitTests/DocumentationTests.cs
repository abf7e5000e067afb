using System.ComponentModel;
using System.Text.RegularExpressions;
using CancelService.Api.Exchange;
using CancelService.Api.Hosting;

namespace CancelService.UnitTests;

/// <summary>Goal: documents name existing tests, and every setting with its default.</summary>
public sealed partial class DocumentationTests
{
    private static readonly char[] AfterClass = ['(', ' ', '\n', '\r'];

    [Theory]
    [InlineData("docs/security.md")]
    public void Every_test_named_in_a_document_exists(string document)
    {
        var sources = Directory
            .EnumerateFiles(Path.Combine(Root(), "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText)
            .ToList();

        var named = Name().Matches(Text(document));

        named.ShouldNotBeEmpty();
        named
            .Select(name => (Class: name.Groups["class"].Value, Method: name.Groups["method"].Value))
            .Where(name => !sources.Exists(source => Holds(source, name.Class, name.Method)))
            .ShouldBeEmpty();
    }

    public static readonly TheoryData<string, string> Settings =
    [
        .. SettingsCheck.Sections.SelectMany(section =>
            SettingsCheck
                .Members(section.Value)
                .Select(member => new TheoryDataRow<string, string>(section.Key, member.Name))
        ),
    ];

    [Theory]
    [MemberData(nameof(Settings))]
    public void Every_setting_is_documented_with_its_default(string section, string name)
    {
        var type = SettingsCheck.Sections[section];
        var rows = $"{Text("README.md")}\n{Text("docs/operations.md")}\n{Text("docs/notifications.md")}"
            .Split('\n')
            .Select(line => line.Split(" | ", 3))
            .Where(cells => cells.Length == 3);
        var row = rows.FirstOrDefault(cells =>
            cells[0].Contains($"`{section}:{name}`", StringComparison.Ordinal) || cells[0] == $"| `{name}`"
        );

        row.ShouldNotBeNull();
        var member = type.GetProperty(name)!;
        var byDefault = member.GetValue(Activator.CreateInstance(type));
        // Documents describe a default in words where it depends on the machine or has no literal.
        if (byDefault is int or TimeSpan or bool or Enum && name != nameof(LimitsOptions.UnverifiedAnswersPerSecond))
            Literal()
                .Matches(row[1])
                .Select(literal =>
                    TypeDescriptor
                        .GetConverter(member.PropertyType)
                        .ConvertFromInvariantString(literal.Groups["value"].Value)
                )
                .ShouldContain(byDefault);
    }

    [GeneratedRegex("`(?<value>[^`]+)`", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Literal();

    private static string Text(string document) => File.ReadAllText(Path.Combine(Root(), document));

    internal static string Root()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "CancelService.sln")))
            root = root.Parent.ShouldNotBeNull("CancelService.sln was not found. Run the tests inside the repository.");
        return root.FullName;
    }

    private static bool Holds(string source, string type, string method) =>
        source.Contains($" {method}(", StringComparison.Ordinal)
        && (type == "" || AfterClass.Any(end => source.Contains($" class {type}{end}", StringComparison.Ordinal)));

    // An underscore tells a test's name from other code; its class may precede it.
    [GeneratedRegex(
        @"`((?<class>[A-Z]\w+)\.)?(?<method>[A-Z]\w*_\w*[a-z]\w*)`",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Name();
}
