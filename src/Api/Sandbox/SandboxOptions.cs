using CancelService.Api.Demo;
using CancelService.Application.Reading;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Sandbox;

/// <summary>The section <c>Sandbox</c> of the settings.</summary>
public sealed class SandboxOptions
{
    /// <summary>
    /// Whether the internal port serves the sandbox and the demo wallet. It asks for no token. By default it is served in
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
    /// <summary>Looks for clients other than the demo's. They are allowed in Development, where developers register their own.</summary>
    /// <exception cref="InvalidOperationException">There are some, and <c>Sandbox:BesideOtherClients</c> does not allow them.</exception>
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
