using System.CommandLine;
using CancelService.Infrastructure.Ledger;

namespace CancelService.Api.Commands;

/// <summary><c>verify-ledger</c> checks every invariant over the whole database.</summary>
internal sealed class VerifyLedgerCommand : Command, IExplained
{
    public VerifyLedgerCommand(HostRunner runner)
        : base("verify-ledger", "Checks every invariant over the whole database. It only reads.") =>
        SetAction(
            (line, cancellationToken) =>
                runner.Verdict(
                    Name,
                    async app =>
                    {
                        var audit = app.Services.GetRequiredService<LedgerAudit>();
                        var results = await audit.Run(line.InvocationConfiguration.Output, cancellationToken);
                        return results.Any(result => result.Violations > 0);
                    }
                )
        );

    /// <inheritdoc/>
    public string Example => "verify-ledger --Database:Timeout=00:00:30";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes => Commands.ExitCodes.OfVerdict;
}
