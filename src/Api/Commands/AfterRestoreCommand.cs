using System.CommandLine;
using CancelService.Infrastructure.Payments;

namespace CancelService.Api.Commands;

/// <summary><c>after-restore</c> begins a new epoch of the feeds' cursors.</summary>
internal sealed class AfterRestoreCommand : Command, IExplained
{
    public AfterRestoreCommand(HostRunner runner)
        : base(
            "after-restore",
            "Begins a new epoch of the feeds' cursors. Run it once after a restore from a backup, before "
                + "instances serve."
        ) =>
        SetAction(
            (line, cancellationToken) =>
                runner.Run(async app =>
                {
                    var epoch = await app.Services.GetRequiredService<Restores>().Begin(cancellationToken);
                    await line.InvocationConfiguration.Output.WriteLineAsync(
                        $"The feeds' cursors are of epoch {epoch} now. "
                            + "Readers with an older one are told where to go on."
                    );
                })
        );

    /// <inheritdoc/>
    public string Example => "after-restore";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes => Commands.ExitCodes.OfWork;
}
