using System.CommandLine;
using System.CommandLine.Parsing;
using CancelService.Api.Hosting;

namespace CancelService.Api.Commands;

/// <summary>Messages about a command line that is refused: each names the fault and the nearest valid name.</summary>
internal static class UsageProblems
{
    private static readonly char[] ValueMarks = ['=', ':'];

    /// <summary>One message a fault; empty for a valid line.</summary>
    public static IEnumerable<string> Of(ParseResult line, Arguments arguments)
    {
        if (arguments.Problem is not null)
            return [arguments.Problem];
        var command = line.CommandResult.Command;
        var options = Options(command).ToList();
        // The parser would give the value of a flag to an argument: --may-requeue=bob would name the operator bob.
        string[] valued =
        [
            .. arguments
                .Command.TakeWhile(argument => argument != "--")
                .Where(argument => argument.IndexOfAny(ValueMarks) > 0)
                .Where(argument => options.Contains(Name(argument), StringComparer.Ordinal)),
        ];
        if (valued is not [])
            return valued.Select(flag => $"'{flag}' has a value, and {Name(flag)} takes none. {Help(command)}");
        // The parser ignores unknown directives, gives an unknown option to an argument without a value, and reports
        // other unknown tokens without a guess.
        string[] unknown =
        [
            .. line
                .Tokens.TakeWhile(token => token.Type is not TokenType.DoubleDash)
                .Where(token =>
                    token is { Type: TokenType.Argument, Value: ['-', _, ..] } or { Type: TokenType.Directive }
                )
                .Select(token => token.Value)
                .Union(line.UnmatchedTokens, StringComparer.Ordinal),
        ];
        return unknown is not []
            ? unknown.Select(token => Unknown(token, command, options))
            : line.Errors.Select(error => $"{error.Message} {Help(command)}");
    }

    private static string Unknown(string token, Command command, IReadOnlyList<string> options)
    {
        var (kind, known) =
            token.StartsWith('-') ? ("option", options.Concat(Arguments.HostOptions))
            : command is RootCommand || token.StartsWith('[')
                ? ("command", command.Subcommands.Select(other => other.Name))
            : ("argument", []);
        var expected = command is RootCommand ? kind : $"{kind} of {command.Name}";
        var guess = Spelling.Nearest(Name(token), known) is { } near ? $"Did you mean {near}? " : "";
        return $"'{token}' is no {expected}. {guess}{Help(command)}";
    }

    private static IEnumerable<string> Options(Command command) =>
        command
            .Options.Concat(
                command.Parents.OfType<Command>().SelectMany(parent => parent.Options.Where(o => o.Recursive))
            )
            .Select(option => option.Name);

    private static string Name(string token) => token.Split(ValueMarks, 2)[0];

    private static string Help(Command command) =>
        command is RootCommand
            ? $"Commands: {string.Join(", ", command.Subcommands.Select(other => other.Name))}. "
                + "--help describes them, README.md the settings (--Section:Setting=value)."
            : $"{command.Name} --help shows its arguments and options.";
}
