using CancelService.Api.Demo;
using CancelService.Application.Reading;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Sandbox;

/// <summary>The section <c>Sandbox</c> of the settings.</summary>
public sealed class SandboxOptions
{
    /// <summary>
    /// Whether the internal port serves the sandbox, with the demo wallet, to whoever reaches that port. By default it does in
    /// Development alone.
    /// </summary>
    public bool? Enabled { get; set; }

    /// <summary>
    /// Outside Development, whether there is a sandbox although the database has clients beside the demo's. Its scenarios stall the
    /// database for all of them.
    /// </summary>
    public bool BesideOtherClients { get; set; }

    /// <summary>Whether the process serves the sandbox.</summary>
    public static bool IsOn(IConfiguration configuration, IHostEnvironment environment) =>
        configuration.GetValue<bool?>("Sandbox:Enabled") ?? environment.IsDevelopment();
}

/// <summary>Keeps the sandbox from a database that merchants use.</summary>
internal sealed class SandboxGuard(
    IClientQueries clients,
    IOptions<SandboxOptions> options,
    IHostEnvironment environment
)
{
    /// <summary>Looks for clients beside the demo's. Development may have some: a developer tries there what is to be.</summary>
    /// <exception cref="InvalidOperationException">There are some, and nobody has said that there may be.</exception>
    public async Task Check(CancellationToken cancellationToken)
    {
        if (environment.IsDevelopment() || options.Value.BesideOtherClients)
            return;
        var some = await clients.Clients(after: null, limit: 2, cancellationToken);
        if (some.Items.Any(client => client.ClientId != DemoWallet.Client))
            throw new InvalidOperationException(
                "Sandbox:Enabled is true, and the database has clients beside the demo's. Give the sandbox a database of its "
                    + "own, or set Sandbox:BesideOtherClients to true."
            );
    }
}
