using System.Text.RegularExpressions;

namespace CancelService.Drills;

/// <summary>
/// A page of docs/runbook.md. Its commands are the code spans and blocks that begin with an operator's program: curl,
/// psql or dotnet.
/// </summary>
internal sealed partial class RunbookPage
{
    private readonly HashSet<string> _left;

    private RunbookPage(IReadOnlyList<string> commands) => (Commands, _left) = (commands, [.. commands]);

    /// <summary>Commands as written, in the order of the page.</summary>
    public IReadOnlyList<string> Commands { get; }

    /// <summary>Commands that the drill has not taken yet.</summary>
    public IReadOnlyCollection<string> Left => _left;

    /// <summary>Reads the page with the given heading.</summary>
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

    /// <summary>Takes the command that begins with the given text.</summary>
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
