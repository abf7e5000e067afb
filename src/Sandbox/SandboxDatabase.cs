using CancelService.Api.Hosting;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox.Demo;

namespace CancelService.Sandbox;

/// <summary>Prepares the sandbox's database, and fills the demo wallet.</summary>
internal sealed class SandboxDatabase(Database database, DemoWallet wallet) : IDatabasePreparation
{
    public Task BeforeMigration(CancellationToken cancellationToken)
    {
        _ = database;
        return Task.CompletedTask;
    }

    public Task AfterMigration(CancellationToken cancellationToken) => wallet.Fill(cancellationToken);
}
