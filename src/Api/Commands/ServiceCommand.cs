using System.CommandLine;
using System.CommandLine.Help;
using CancelService.Api.Exchange;
using CancelService.Api.Hosting;

namespace CancelService.Api.Commands;

/// <summary>The root of the command line: serves, and holds the other commands.</summary>
internal sealed class ServiceCommand : RootCommand, IExplained
{
    public ServiceCommand(HostRunner runner)
        : base("Serves without a command: merchants on port 8080, the internal API on port 8081.")
    {
        Directives.Clear();
        Add(new MigrateCommand(runner));
        Add(new VerifyLedgerCommand(runner));
        Add(new AfterRestoreCommand(runner));
        Add(new FindLostCommand(runner));
        Add(new DiagnoseCommand(runner));
        Add(new OpsLinkCommand(runner));
        var help = Options.OfType<HelpOption>().Single();
        help.Action = new PrintHelp((HelpAction)help.Action!);
        Options.OfType<VersionOption>().Single().Action = new PrintVersion();
        SetAction((_, _) => runner.Run(Serve));
    }

    /// <inheritdoc/>
    public string Example => "--Wallet:SigningKeyPath=/etc/cancelservice/wallet.pem";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes { get; } =
    [
        (HostRunner.Done, "stopped on request"),
        (HostRunner.Failed, "a setting is wrong or a port is taken; standard error has the reason"),
    ];

    private static async Task Serve(WebApplication app)
    {
        // A process that can't sign must not start; the tool that reads the OpenAPI documents has no key.
        if (!OpenApi.IsBuilding)
            _ = app.Services.GetRequiredService<SignedExchange>();
        await app.RunAsync();
    }
}
