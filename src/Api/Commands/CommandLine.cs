using System.CommandLine;

namespace CancelService.Api.Commands;

/// <summary>Reads the command line and carries out its command.</summary>
internal static class CommandLine
{
    /// <summary>The exit code for a command line that can't be read (<c>EX_USAGE</c> of sysexits.h).</summary>
    public const int UsageError = 64;

    /// <summary>Carries out the command; without a command, serves until the process is asked to stop.</summary>
    /// <param name="args">The command line.</param>
    /// <param name="build">Builds the host from settings. Help, version and usage errors do not call it.</param>
    /// <param name="output">Takes the place of standard output.</param>
    /// <param name="error">Takes the place of standard error.</param>
    /// <returns>
    /// 0, or 1 when a setting is wrong or the command fails. <c>verify-ledger</c>, <c>find-lost</c> and <c>diagnose</c>
    /// return 1 for findings, and 2 when they have no verdict. A usage error is 64.
    /// </returns>
    public static Task<int> Run(
        string[] args,
        Func<string[], WebApplication> build,
        TextWriter output,
        TextWriter error
    )
    {
        var arguments = Arguments.Of(args);
        var root = new ServiceCommand(new HostRunner(() => build([.. arguments.Settings]), error));
        var line = root.Parse(
            arguments.Command,
            new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null }
        );
        List<string> problems = line.Action is PrintHelp ? [] : [.. UsageProblems.Of(line, arguments)];
        if (problems is not [])
        {
            foreach (var problem in problems)
                error.WriteLine(problem);
            return Task.FromResult(UsageError);
        }
        return line.InvokeAsync(
            new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                // Signals are the host's: it drains first.
                ProcessTerminationTimeout = null,
            }
        );
    }
}
