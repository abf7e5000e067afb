using System.Text.RegularExpressions;

namespace CancelService.UnitTests;

/// <summary>Documents that say which test proves what name tests that exist.</summary>
public sealed partial class DocumentationTests
{
    private static readonly char[] AfterClass = ['(', ' ', '\n', '\r'];

    [Theory]
    [InlineData("docs/testing.md")]
    [InlineData("docs/security.md")]
    public void Every_test_that_a_document_names_exists(string document)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "CancelService.sln")))
            root = root.Parent.ShouldNotBeNull("The tests run from inside the repository.");
        var sources = Directory
            .EnumerateFiles(Path.Combine(root.FullName, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText)
            .ToList();

        var named = Name().Matches(File.ReadAllText(Path.Combine(root.FullName, document)));

        named.ShouldNotBeEmpty();
        named
            .Select(name => (Class: name.Groups["class"].Value, Method: name.Groups["method"].Value))
            .Where(name => !sources.Exists(source => Holds(source, name.Class, name.Method)))
            .ShouldBeEmpty();
    }

    private static bool Holds(string source, string type, string method) =>
        source.Contains($" {method}(", StringComparison.Ordinal)
        && (type == "" || AfterClass.Any(end => source.Contains($" class {type}{end}", StringComparison.Ordinal)));

    // A test's name is a sentence, so it holds an underscore; its class may stand before it.
    [GeneratedRegex(
        @"`((?<class>[A-Z]\w+)\.)?(?<method>[A-Z]\w*_\w*[a-z]\w*)`",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Name();
}
