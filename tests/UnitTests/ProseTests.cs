using System.Text.RegularExpressions;

namespace CancelService.UnitTests;

/// <summary>Goal: comments, messages, documents and test names are sentences that name their subject.</summary>
/// <remarks>
/// prose-allowed.txt counts the sentences that still break the rule, by file. Its counts may only fall;
/// CANCELSERVICE_UPDATE_PROSE=1 rewrites it.
/// </remarks>
public sealed partial class ProseTests
{
    private const string AllowList = "tests/UnitTests/prose-allowed.txt";
    private const int Shown = 30;

    // Ends a sentence without a full stop; extractors put it where prose gives way to code or markup.
    private const char Boundary = '\u2029';

    private static readonly string[] GeneratedFolders =
    [
        "bin",
        "obj",
        "artifacts",
        "data",
        "node_modules",
        "StrykerOutput",
        "TestResults",
    ];

    // Each extractor replaces everything but prose, and keeps the line feeds, so that findings have line numbers.
    private static readonly Dictionary<string, (Predicate<string> Holds, Func<string, string>[] Prose)> Kinds = new(
        StringComparer.Ordinal
    )
    {
        ["source"] = (path => path.StartsWith("src/", Ordinal) && path.EndsWith(".cs", Ordinal), [Comments, Messages]),
        ["test"] = (path => path.StartsWith("tests/", Ordinal) && path.EndsWith(".cs", Ordinal), [Comments, TestNames]),
        ["build"] = (path => path == "build.cake", [Comments, Messages]),
        ["example"] = (path => path.StartsWith("docs/", Ordinal) && path.EndsWith(".cs", Ordinal), [Comments]),
        ["script"] = (
            path =>
                !path.StartsWith("src/", Ordinal)
                && (
                    Path.GetExtension(path)
                        is ".yml"
                            or ".yaml"
                            or ".sh"
                            or ".ps1"
                            or ".cfg"
                            or ".service"
                            or ".py"
                            or ".php"
                            or ".go"
                            or ".java"
                            or ".mjs"
                    || path is "Dockerfile" or ".editorconfig"
                    || path.StartsWith(".ci/", Ordinal)
                ),
            [LineComments]
        ),
        ["project"] = (path => Path.GetExtension(path) is ".csproj" or ".props", [XmlComments]),
        ["document"] = (path => path.EndsWith(".md", Ordinal) || path == "docs/llms.txt", [Markdown]),
    };

    private static readonly Lazy<List<string>> Paths = new(() => [.. Files("").Order(StringComparer.Ordinal)]);

    public static readonly TheoryData<string> KindNames = [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(KindNames))]
    public void Prose_follows_the_rule(string kind)
    {
        var (holds, _) = Kinds[kind];
        var found = Paths
            .Value.Where(path => holds(path))
            .ToDictionary(path => path, path => Faults(kind, Text(path)).ToList(), StringComparer.Ordinal);
        if (Environment.GetEnvironmentVariable("CANCELSERVICE_UPDATE_PROSE") == "1")
            Update(holds, found);

        var allowed = Allowed().Where(file => holds(file.Key)).ToDictionary(StringComparer.Ordinal);
        var added = found.Where(file => file.Value.Count > allowed.GetValueOrDefault(file.Key)).ToList();
        var removed = allowed.Where(file => file.Value > (found.GetValueOrDefault(file.Key)?.Count ?? 0)).ToList();

        found.ShouldNotBeEmpty();
        Assert.True(added.Count == 0, Report(added));
        Assert.True(
            removed.Count == 0,
            $"Lower these counts in {AllowList} (CANCELSERVICE_UPDATE_PROSE=1 does): "
                + string.Join(", ", removed.Select(file => file.Key))
        );
    }

    [Theory]
    [InlineData("source", "// What is stored.")]
    [InlineData("source", "// what is stored")]
    [InlineData("source", "// Starts here. Who asks is told\nx();", "Who asks is told")]
    [InlineData("source", "// Starts here.\n// Who asks\n// is told.", "Who asks is told.")]
    [InlineData("source", "x(); // Of no use.")]
    [InlineData("source", "/// <summary>That there is no key.</summary>")]
    [InlineData("source", "/// <returns>Whose key it is.</returns>")]
    [InlineData("source", "// (Whoever asks waits.)")]
    [InlineData("source", "// The key is one that holds.")]
    [InlineData("source", "// Keeps those\n// that hold.", "Keeps those that hold.")]
    [InlineData("source", "// Takes those which hold, if there are any.")]
    [InlineData("source", "// Then there are none.")]
    [InlineData("source", "x(\"Who asks waits.\");")]
    [InlineData("source", "x($\"{a} is stale. What \" + $\"waits is {b.C(\"d\")}.\");")]
    [InlineData("source", "x(@\"Who asks\nwaits.\");", "Who asks waits.")]
    [InlineData("source", "x(\"\"\"\n    Who asks waits.\n    \"\"\");")]
    [InlineData("test", "public async Task What_is_stored_is_read()")]
    [InlineData("test", "public void One_that_asks_waits()")]
    [InlineData("build", ".Description(\"What is published is tested\")")]
    [InlineData("example", "// What is signed.")]
    [InlineData("script", "# What is shipped.\nx: y")]
    [InlineData("script", "x: y # what is shipped")]
    [InlineData("project", "<!-- What is shipped. -->")]
    [InlineData("document", "# Who may ask")]
    [InlineData("document", "- what is stored")]
    [InlineData("document", "1. **What is stored** lasts.")]
    [InlineData("document", "| key | who asks |")]
    [InlineData("document", "> Ask [here](x.md). That is why.", "That is why.")]
    [InlineData("document", "It lasts. Of `x`, it keeps\nnothing.", "Of Code, it keeps nothing.")]
    public void Sentence_without_a_subject_is_found(string kind, string text, string? sentence = null)
    {
        var fault = Faults(kind, text).ShouldHaveSingleItem();

        if (sentence is not null)
            fault.Sentence.ShouldBe(sentence);
    }

    [Theory]
    [InlineData("source", "// Says what is stored, of whom, and that it lasts.")]
    [InlineData("source", "// The key: what is stored.")]
    [InlineData("source", "// Somewhat. Often.")]
    [InlineData("source", "x(\"what\", \"// What is stored.\", '\"'); // It is a string.")]
    [InlineData("source", "x(\"the key \" + \"of the client is stale\");")]
    [InlineData("source", "x(\"\"\"\n    select 1 -- What is stored.\n    \"\"\");")]
    [InlineData("test", "public void Reader_sees_what_is_stored()")]
    [InlineData("test", "x(\"What is stored.\");")]
    [InlineData("script", "url: http://x/#what")]
    [InlineData("project", "<What>x</What>")]
    [InlineData("document", "# What is stored?")]
    [InlineData("document", "Ask, e.g. `x`. Keys last.\n\n```\nWhat is stored.\n```")]
    public void Sentence_with_a_subject_is_no_fault(string kind, string text) => Faults(kind, text).ShouldBeEmpty();

    [Fact]
    public void Fault_has_the_line_of_its_sentence()
    {
        var faults = Faults(
            "source",
            "using X;\n\n// It starts. It\n// goes on. What\n// ends.\nx(\"Who asks waits.\");"
        );

        faults.Select(fault => fault.Line).ShouldBe([4, 6]);
    }

    private static IEnumerable<(int Line, string Sentence)> Faults(string kind, string text)
    {
        foreach (var extract in Kinds[kind].Prose)
        {
            var prose = extract(text);
            var start = 0;
            foreach (Match end in SentenceEnd().Matches(prose))
            {
                if (Fault(start, end.Index) is { } fault)
                    yield return fault;
                start = end.Index + end.Length;
            }
            if (Fault(start, prose.Length) is { } last)
                yield return last;

            (int Line, string Sentence)? Fault(int from, int to)
            {
                var sentence = Space().Replace(prose[from..to], " ").Trim();
                var asks = kind == "document" && sentence.TrimEnd('"', ')').EndsWith('?');
                if (asks || !Forbidden().IsMatch(sentence))
                    return null;
                var first = from + (prose.Length - from - prose.AsSpan(from).TrimStart().Length);
                return (prose.AsSpan(0, first).Count('\n') + 1, sentence);
            }
        }
    }

    private static string Comments(string source) =>
        Token()
            .Replace(
                source,
                token =>
                    token.Groups["comment"].Success ? Comment(token.Value)
                    : string.IsNullOrWhiteSpace(token.Value) ? token.Value
                    : Blank(token.Value)
            );

    private static string Comment(string comment) =>
        comment.StartsWith("///", Ordinal)
            ? BlockTag().Replace(InlineTag().Replace(comment[3..], "Code"), tag => Blank(tag.Value))
            : comment.Trim('/', '*');

    private static string Messages(string source) =>
        Token()
            .Replace(
                source,
                token =>
                    token.Groups["text"].Success && IsMessage(source, token) ? Message(token.Value)
                    : string.IsNullOrWhiteSpace(token.Value) ? token.Value
                    : token.Value == "+" ? " "
                    : Blank(token.Value)
            );

    // Names and keys have fewer words, but so has a part of a longer text.
    private static bool IsMessage(string source, Match literal) =>
        Word().Count(literal.Value) >= 3
        || source.AsSpan(literal.Index + literal.Length).TrimStart() is ['+', ..]
        || source.AsSpan(0, literal.Index).TrimEnd() is [.., '+'];

    private static string Message(string literal)
    {
        var text = Hole().Replace(literal.Trim('$', '@', '"'), "Code");
        text = SqlCommentOrTag().Replace(text, markup => Blank(markup.Value));
        return text.Replace("\\n", $"{Boundary}", Ordinal);
    }

    private static string TestNames(string source) =>
        ByLine(
            source,
            line =>
                TestName().Match(line) is { Success: true } name
                    ? name.Groups["name"].Value.Replace('_', ' ') + Boundary
                    : $"{Boundary}"
        );

    private static string LineComments(string source) =>
        ByLine(
            source,
            line =>
                LineComment().Match(line) is { Success: true } comment
                    ? (comment.Index > 0 ? Boundary : "") + comment.Groups["text"].Value
                    : $"{Boundary}"
        );

    private static string XmlComments(string source) =>
        XmlPart()
            .Replace(
                source,
                part => part.Groups["comment"] is { Success: true } comment ? comment.Value : Blank(part.Value)
            );

    private static string Markdown(string document)
    {
        var text = Fence().Replace(document, fence => Blank(fence.Value));
        text = CodeSpan().Replace(text, code => "Code" + new string('\n', code.Value.Count('\n')));
        text = Link().Replace(text, "$1").Replace("**", "", Ordinal);
        return ByLine(
            text,
            line =>
                Heading().IsMatch(line) ? Boundary + line.TrimStart('#') + Boundary
                : line.StartsWith('|') ? line.Replace('|', Boundary)
                : ListItem().Replace(line, $"{Boundary}")
        );
    }

    private static string ByLine(string text, Func<string, string> change) =>
        string.Join('\n', text.Split('\n').Select(change));

    private static string Blank(string text) => Boundary + new string('\n', text.Count('\n'));

    private static string Report(List<KeyValuePair<string, List<(int Line, string Sentence)>>> files)
    {
        var lines = files
            .SelectMany(file => file.Value.Select(fault => $"{file.Key}:{fault.Line}: {fault.Sentence}"))
            .ToList();
        return $"Reword {lines.Count} sentences (name the subject with a noun; {AllowList} has the files' counts):\n"
            + string.Join('\n', lines.Take(Shown));
    }

    private static Dictionary<string, int> Allowed() =>
        Text(AllowList)
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('|'))
            .ToDictionary(
                cells => cells[0],
                cells => int.Parse(cells[1], System.Globalization.CultureInfo.InvariantCulture),
                StringComparer.Ordinal
            );

    private static void Update(Predicate<string> holds, Dictionary<string, List<(int Line, string Sentence)>> found) =>
        File.WriteAllText(
            Path.Combine(DocumentationTests.Root(), AllowList),
            string.Concat(
                Allowed()
                    .Where(file => !holds(file.Key))
                    .Concat(found.Select(file => KeyValuePair.Create(file.Key, file.Value.Count)))
                    .Where(file => file.Value > 0)
                    .OrderBy(file => file.Key, StringComparer.Ordinal)
                    .Select(file => $"{file.Key}|{file.Value}\n")
            )
        );

    private static string Text(string path) => File.ReadAllText(Path.Combine(DocumentationTests.Root(), path));

    private static IEnumerable<string> Files(string folder)
    {
        var directory = new DirectoryInfo(Path.Combine(DocumentationTests.Root(), folder));
        var files = directory.EnumerateFiles().Select(file => folder + file.Name);
        return directory
            .EnumerateDirectories()
            .Where(child =>
                child.Name is ".ci" or ".github"
                || !child.Name.StartsWith('.') && !GeneratedFolders.Contains(child.Name, StringComparer.Ordinal)
            )
            .SelectMany(child => Files($"{folder}{child.Name}/"))
            .Concat(files);
    }

    private const StringComparison Ordinal = StringComparison.Ordinal;
    private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;

    [GeneratedRegex(
        @"^[(\[*_\s]*(what|who|whose|whoever|of|that)\b|\b(one that|those that|those which|there are none)\b",
        Options | RegexOptions.IgnoreCase,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Forbidden();

    [GeneratedRegex(
        @"\u2029|\n[ \t]*\n|(?<=[.!?…][""')\]*_]*)\s+(?=[""'(\[*_]*\p{Lu})",
        Options,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(@"\s+", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Space();

    [GeneratedRegex(@"\S+", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Word();

    // A raw, a verbatim, an interpolated (with strings in its holes) and a plain string, in this order.
    [GeneratedRegex(
        """
            (?<comment>//[^\n]*|/\*.*?\*/)
            | (?<text>\$*(?<quotes>"{3,}).*?\k<quotes>(?!")
                | (\$@|@\$|@)"(""|[^"])*"
                | \$"(\\.|\{\{|\{([^{}"]|"(\\.|[^"\\])*"|\{[^{}]*\})*\}|[^"\\\n{])*"
                | "(\\.|[^"\\\n])*")
            | '(\\.[0-9a-fA-F]*|[^'\\\n])'
            | \s+
            | [^\s"'/@$+]+
            | .
            """,
        Options | RegexOptions.IgnorePatternWhitespace | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Token();

    [GeneratedRegex(@"<(see|seealso|paramref|typeparamref)\b[^>]*/>", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex InlineTag();

    [GeneratedRegex("</?(?!c>)[a-z]+[^>]*>", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex BlockTag();

    [GeneratedRegex(@"\{[^{}]*\}", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Hole();

    [GeneratedRegex(@"--[^\n]*|<[^<>]*>", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SqlCommentOrTag();

    [GeneratedRegex(
        @"^\s*public ([a-z]+ )*(void|Task|ValueTask) (?<name>\w+_\w+)\(",
        Options,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex TestName();

    [GeneratedRegex(@"(^|(?<=\s))(//+|#+)\s(?<text>.*)$", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex LineComment();

    [GeneratedRegex(
        "<!--(?<comment>.*?)-->|(?!<!--).[^<]*",
        Options | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex XmlPart();

    [GeneratedRegex(
        @"^[ ]*(?<fence>`{3,}|~{3,}).*?^[ ]*\k<fence>[ ]*$",
        Options | RegexOptions.Singleline | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Fence();

    [GeneratedRegex("`[^`]+`", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CodeSpan();

    [GeneratedRegex(@"\[(?<1>[^\]]*)\]\([^)]*\)", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Link();

    [GeneratedRegex("^#{1,6} ", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^\s*(([-*+]|\d+\.)\s+|>\s?)", Options, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ListItem();
}
