using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace CancelService.Api.Commands;

/// <summary>A command whose help shows an example and the exit codes.</summary>
internal interface IExplained
{
    /// <summary>Arguments of an example, without the program's name.</summary>
    string Example { get; }

    /// <summary>The exit codes, each with its meaning, without the usage error that every command has.</summary>
    IReadOnlyList<(int Code, string Meaning)> ExitCodes { get; }
}

/// <summary>Exit codes that several commands share.</summary>
internal static class ExitCodes
{
    /// <summary>The exit codes of a command that does something.</summary>
    public static readonly IReadOnlyList<(int Code, string Meaning)> OfWork =
    [
        (HostRunner.Done, "done"),
        (HostRunner.Failed, "failed, or a setting is wrong; standard error has the reason"),
    ];

    /// <summary>The exit codes of a command that searches.</summary>
    public static readonly IReadOnlyList<(int Code, string Meaning)> OfVerdict =
    [
        (HostRunner.Done, "no finding"),
        (HostRunner.Failed, "findings; standard output lists them"),
        (HostRunner.NoVerdict, "no verdict; standard error has the reason"),
    ];
}

/// <summary>Prints the parser's help, then the example and the exit codes.</summary>
internal sealed class PrintHelp(HelpAction help) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is not IExplained command)
            return HostRunner.Done;
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine($"Example:\n  dotnet CancelService.Api.dll {command.Example}\n");
        output.WriteLine("Exit codes:");
        foreach (var (code, meaning) in command.ExitCodes.Append((CommandLine.UsageError, "usage error")))
            output.WriteLine($"  {code, -2}  {meaning}");
        output.WriteLine("\nSettings: --Section:Setting=value, as in README.md and docs/operations.md.");
        return HostRunner.Done;
    }
}

/// <summary>Prints the version and the commit that it was built from.</summary>
internal sealed class PrintVersion : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => false;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine($"CancelService {BuildInfo.Full}");
        return HostRunner.Done;
    }
}
