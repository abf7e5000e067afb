using System.CommandLine;
using CancelService.Infrastructure.Restoring;

namespace CancelService.Api.Commands;

/// <summary><c>find-lost</c> compares answers and events with the database.</summary>
internal sealed class FindLostCommand : Command, IExplained
{
    public FindLostCommand(HostRunner runner)
        : base(
            "find-lost",
            "Reads the service's log, or the events that the core received, from standard input, and lists the answers "
                + "and events that the database does not bear out."
        ) =>
        SetAction(
            (line, cancellationToken) =>
                runner.Verdict(
                    Name,
                    async app =>
                        await app
                            .Services.GetRequiredService<LostAnswers>()
                            .Find(Console.In, line.InvocationConfiguration.Output, cancellationToken) > 0
                )
        );

    /// <inheritdoc/>
    public string Example => "find-lost < service.log";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes => Commands.ExitCodes.OfVerdict;
}
