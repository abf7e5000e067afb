using System.Text.RegularExpressions;

namespace CancelService.Drills;

/// <summary>
/// A page of docs/runbook.md. Its commands are what stands in backticks, or in a block of code, and begins with a program that an
/// operator has: curl, psql, dotnet.
/// </summary>
internal sealed partial class RunbookPage
{
    private readonly HashSet<string> _left;

    private RunbookPage(IReadOnlyList<string> commands) => (Commands, _left) = (commands, [.. commands]);

    /// <summary>The commands, in the order of the page, as they are written there.</summary>
    public IReadOnlyList<string> Commands { get; }

    /// <summary>The commands that were not taken yet.</summary>
    public IReadOnlyCollection<string> Left => _left;

    /// <summary>Reads the page with this heading.</summary>
    public static RunbookPage Read(string heading)
    {
        var runbook = File.ReadAllText(Path.Combine(Repository.Root, "docs/runbook.md"));
        var page = runbook.Split($"\n## {heading}\n") is [_, var rest]
            ? rest.Split("\n## ")[0]
            : throw new ArgumentException($"docs/runbook.md has no page '{heading}'.", nameof(heading));
        var commands = Code()
            .Matches(page)
            .Select(code => code.Groups["text"].Value.ReplaceLineEndings(" ").Trim())
            .Where(text =>
                text.Split(' ')[0] is "curl" or "psql" or "dotnet" or "openssl"
                && text.Contains(' ', StringComparison.Ordinal)
            )
            .Distinct(StringComparer.Ordinal)
            .ToList();
        return new(commands);
    }

    /// <summary>The command of the page that begins so, to be executed.</summary>
    public string Take(string beginning)
    {
        var command = Commands.Single(command => command.StartsWith(beginning, StringComparison.Ordinal));
        _left.Remove(command);
        return command;
    }

    [GeneratedRegex(
        @"```\n(?<text>.*?)```|`(?<text>[^`]+)`",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking
    )]
    private static partial Regex Code();
}
