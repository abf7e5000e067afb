using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace CancelService.UnitTests;

/// <summary>Goal: the documents on testing list the test classes as they are in the source.</summary>
public sealed partial class TestingDocumentTests
{
    private const string Update = "CANCELSERVICE_UPDATE_DOCS";

    private const string Head = """
        # Tests

        Find here the test class that guards a promise of the service. `TestingDocumentTests` generates this table from the doc
        comments of the classes. [Testing](testing.md) explains how to run them.

        | project | class | goal |
        |---|---|---|

        """;

    private static readonly string Tests = Path.Combine(DocumentationTests.Root(), "tests");

    private static readonly string Docs = Path.Combine(DocumentationTests.Root(), "docs");

    [Fact]
    public void The_list_of_tests_follows_from_their_source()
    {
        var file = Path.Combine(Docs, "tests.md");
        var list = Head + string.Concat(Classes().Select(Row));
        if (Environment.GetEnvironmentVariable(Update) == "1")
            File.WriteAllText(file, list);

        (File.Exists(file) ? File.ReadAllText(file) : "").ShouldBe(
            list,
            $"docs/tests.md differs from the doc comments of the tests. To regenerate it, run: "
                + $"{Update}=1 dotnet test --project tests/UnitTests -- --filter-class '*{nameof(TestingDocumentTests)}'"
        );
    }

    [Fact]
    public void Every_project_and_class_that_the_guide_names_exists()
    {
        var exist = Classes().SelectMany(test => new[] { test.Project, test.Name }).ToHashSet(StringComparer.Ordinal);

        var named = Name().Matches(File.ReadAllText(Path.Combine(Docs, "testing.md")));

        named.ShouldNotBeEmpty();
        named.Select(name => name.Groups["name"].Value).Where(name => !exist.Contains(name)).ShouldBeEmpty();
    }

    private static List<TestClass> Classes() =>
        [
            .. Directory
                .EnumerateFiles(Tests, "*.cs", SearchOption.AllDirectories)
                .SelectMany(ReadClasses)
                .OrderBy(test => test.Project, StringComparer.Ordinal)
                .ThenBy(test => test.Name, StringComparer.Ordinal),
        ];

    private static IEnumerable<TestClass> ReadClasses(string file)
    {
        var project = Path.GetRelativePath(Tests, file).Split(Path.DirectorySeparatorChar)[0];
        var lines = File.ReadAllLines(file);
        for (var i = 0; i < lines.Length; i++)
        {
            if (Declaration().Match(lines[i]) is { Success: true } declaration)
                yield return new TestClass(
                    project,
                    declaration.Groups["name"].Value,
                    FirstSentence(CommentAbove(lines, i))
                );
        }
    }

    private static string CommentAbove(string[] lines, int declaration)
    {
        var end = declaration;
        while (end > 0 && lines[end - 1].Length > 0 && !IsComment(lines[end - 1])) // attributes
            end--;
        var start = end;
        while (start > 0 && IsComment(lines[start - 1]))
            start--;
        var comment = XElement.Parse($"<doc>{string.Join('\n', lines[start..end].Select(line => line[3..]))}</doc>");
        return string.Concat((comment.Element("summary")?.Nodes() ?? []).Select(Markdown));
    }

    private static bool IsComment(string line) => line.StartsWith("///", StringComparison.Ordinal);

    private static string Markdown(XNode node) =>
        node switch
        {
            XText text => text.Value,
            XElement { Value: "" } reference => $"`{reference.Attribute("cref")?.Value}`",
            XElement code => $"`{code.Value}`",
            _ => "",
        };

    private static string FirstSentence(string comment)
    {
        var text = Goal().Replace(WhiteSpace().Replace(comment, " ").Trim(), "");
        var sentence = Sentence().Match(text) is { Success: true } first ? first.Value : text;
        return sentence.Length == 0 ? "" : char.ToUpperInvariant(sentence[0]) + sentence[1..];
    }

    private static string Row(TestClass test) =>
        $"| {test.Project} | `{test.Name}` | {test.Goal.Replace("|", "\\|", StringComparison.Ordinal)} |\n";

    private sealed record TestClass(string Project, string Name, string Goal);

    [GeneratedRegex(
        @"^public (sealed |partial )*class (?<name>\w+(Tests|Drill))\b",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex WhiteSpace();

    [GeneratedRegex(
        "^(The )?goal: ",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Goal();

    [GeneratedRegex(@"^.*?\.(?=\s|$)", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Sentence();

    // Ends with a point where a test's name follows.
    [GeneratedRegex(
        @"`(?<name>[A-Z]\w*(Tests|Drill))[`.]",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Name();
}
