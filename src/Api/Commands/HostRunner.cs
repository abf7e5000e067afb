using System.Data.Common;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Commands;

/// <summary>Builds the host for a command, and turns failures into one sentence and an exit code.</summary>
internal sealed class HostRunner(Func<WebApplication> build, TextWriter error)
{
    /// <summary>The exit code of a command that did its work, or found nothing.</summary>
    public const int Done = 0;

    /// <summary>The exit code of a command that failed, or whose verdict is a finding.</summary>
    public const int Failed = 1;

    /// <summary>The exit code of a command that could not reach a verdict.</summary>
    public const int NoVerdict = 2;

    /// <summary>Runs a command that does something.</summary>
    public Task<int> Run(Func<WebApplication, Task> work) => Guard(work, Failed);

    /// <summary>Runs a command that searches; <paramref name="found"/> returns whether it has findings.</summary>
    public async Task<int> Verdict(string command, Func<WebApplication, Task<bool>> found)
    {
        var verdict = NoVerdict;
        var guarded = await Guard(
            async app =>
            {
                try
                {
                    verdict = await found(app) ? Failed : Done;
                }
                // Catches everything: a run that did not finish must not look like a verdict.
                catch (Exception e)
                {
                    await error.WriteLineAsync($"{command} could not run: {e.Message}");
                }
            },
            NoVerdict
        );
        return guarded is Done ? verdict : guarded;
    }

    private async Task<int> Guard(Func<WebApplication, Task> work, int failed)
    {
        try
        {
            await using var app = build();
            await work(app);
            return Done;
        }
        catch (OptionsValidationException e)
        {
            foreach (var failure in e.Failures)
                await error.WriteLineAsync($"CancelService does not start: {failure}");
            return failed;
        }
        // A taken or wrong address, an unreadable file, an unreachable database.
        catch (Exception e)
            when (e is IOException or UnauthorizedAccessException or SocketException or FormatException or DbException)
        {
            await error.WriteLineAsync($"CancelService fails: {e.Message}");
            return failed;
        }
        // A transient failure, such as a lock that another session holds for long.
        catch (InvalidOperationException e) when (e.InnerException is DbException reason)
        {
            await error.WriteLineAsync($"CancelService fails, run it again: {reason.Message}");
            return failed;
        }
    }
}
