using System.Net;
using System.Net.Sockets;

namespace CancelService.ShippingTests.Fixtures;

/// <summary>
/// The stack of compose.yaml with the demo wallet, started on free ports as the file's header describes, and removed
/// afterwards.
/// </summary>
public sealed class ComposeProject(BuiltImage image) : IAsyncLifetime
{
    private const string Project = "cancelservice-tests";

    private readonly Dictionary<string, string> _environment = new(StringComparer.Ordinal)
    {
        ["CANCELSERVICE_IMAGE"] = BuiltImage.Name,
        ["COMPOSE_PROJECT_NAME"] = Project,
    };

    private string[] _compose = [];

    /// <summary>Address of the load balancer's port for merchants.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>Address of the internal port of the demo wallet's instance.</summary>
    public Uri InternalAddress { get; private set; } = null!;

    /// <summary>Directory of the secrets.</summary>
    public static string Secrets => Path.Combine(Repository.Root, "deploy/compose/secrets");

    public async ValueTask InitializeAsync()
    {
        await image.Revision;
        if (Environment.GetEnvironmentVariable("CANCELSERVICE_POSTGRES_IMAGE") is { Length: > 0 } postgres)
            _environment["POSTGRES_IMAGE"] = postgres;
        (Address, _environment["PORT"]) = Free();
        (InternalAddress, _environment["INTERNAL_PORT"]) = Free();
        // Compose 2 is a plugin of Docker, version 1.29 a separate program.
        var plugin = await Command.Try("docker", "compose", "version");
        _compose = plugin.Status == 0 ? ["docker", "compose"] : ["docker-compose"];
        await Command.Run("bash", "deploy/compose/prepare.sh");
        await Down();
        await Run("--profile", "demo", "up", "--detach");
    }

    /// <summary>Runs a Compose command with the project's settings; fails unless its exit code is 0.</summary>
    public async Task<string> Run(params string[] arguments)
    {
        var ended = await Command.Try(_compose[0], [.. _compose[1..], .. arguments], _environment, Repository.Root);
        if (ended.Status == 0)
            return ended.Output;
        var logs = await Command.Try(
            _compose[0],
            [.. _compose[1..], "logs", "--no-color", "--tail=20"],
            _environment,
            Repository.Root
        );
        throw new InvalidOperationException(
            $"compose {string.Join(' ', arguments)} ended with {ended.Status}:\n{ended.Error}\n{logs.Output}"
        );
    }

    /// <summary>Container of a service, running or not.</summary>
    public static async Task<string> Container(string service) =>
        (
            await Command.Run(
                "docker",
                "ps",
                "--all",
                "--quiet",
                $"--filter=label=com.docker.compose.project={Project}",
                $"--filter=label=com.docker.compose.service={service}"
            )
        ).Trim();

    public async ValueTask DisposeAsync() => await Down();

    private Task<string> Down() => Run("--profile", "demo", "down", "--volumes", "--timeout=30");

    private static (Uri Address, string Port) Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        return (new UriBuilder(Uri.UriSchemeHttp, "127.0.0.1", port).Uri, $"{port}");
    }
}
