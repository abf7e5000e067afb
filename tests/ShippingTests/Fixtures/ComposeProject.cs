using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace CancelService.ShippingTests.Fixtures;

/// <summary>
/// The stack of compose.yaml with the sandbox beside it, started on free ports as the file's header describes, and
/// removed afterwards.
/// </summary>
public sealed class ComposeProject(BuiltImage image) : IAsyncLifetime
{
    private const string Project = "cancelservice-tests";

    private readonly Dictionary<string, string> _environment = new(StringComparer.Ordinal)
    {
        ["CANCELSERVICE_IMAGE"] = BuiltImage.Name,
        ["CANCELSERVICE_SANDBOX_IMAGE"] = BuiltImage.SandboxName,
        ["COMPOSE_PROJECT_NAME"] = Project,
    };

    private readonly DirectoryInfo _work = Directory.CreateTempSubdirectory("cancelservice-compose-");

    private string[] _compose = [];

    /// <summary>Address of the load balancer's port for merchants.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>Address of the sandbox's internal port.</summary>
    public Uri SandboxAddress { get; private set; } = null!;

    /// <summary>The internal API of the instance <c>one</c>, with a token for every scope.</summary>
    public HttpClient Core { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await image.Revision;
        if (Environment.GetEnvironmentVariable("CANCELSERVICE_POSTGRES_IMAGE") is { Length: > 0 } postgres)
            _environment["POSTGRES_IMAGE"] = postgres;
        (Address, _environment["PORT"]) = Free();
        (SandboxAddress, _environment["INTERNAL_PORT"]) = Free();
        (_, _environment["SANDBOX_PORT"]) = Free();
        // Compose 2 is a plugin of Docker, version 1.29 a separate program.
        var plugin = await Command.Try("docker", "compose", "version");
        _compose = plugin.Status == 0 ? ["docker", "compose"] : ["docker-compose"];
        _compose = [.. _compose, "--file", "compose.yaml", "--file", await Override()];
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

    public async ValueTask DisposeAsync()
    {
        Core.Dispose();
        await Down();
        _work.Delete(recursive: true);
    }

    // The tests are the wallet's core too, so one instance has to know their tokens.
    private async Task<string> Override()
    {
        var (address, port) = Free();
        var key = RandomNumberGenerator.GetBytes(32);
        const string bearer = "Authentication__Schemes__Bearer";
        var file = Path.Combine(_work.FullName, "tests.yaml");
        await File.WriteAllTextAsync(
            file,
            $$"""
            services:
              one:
                environment:
                  {{bearer}}__ValidIssuer: tests
                  {{bearer}}__ValidAudience: cancelservice
                  {{bearer}}__SigningKeys__0__Issuer: tests
                  {{bearer}}__SigningKeys__0__Value: {{Convert.ToBase64String(key)}}
                ports: ["127.0.0.1:{{port}}:8081"]
            """
        );
        var token = new JsonWebTokenHandler().CreateToken(
            new SecurityTokenDescriptor
            {
                Issuer = "tests",
                Audience = "cancelservice",
                Expires = TimeProvider.System.GetUtcNow().AddDays(1).UtcDateTime,
                Claims = new Dictionary<string, object>(StringComparer.Ordinal)
                {
                    ["sub"] = "core",
                    ["scope"] = "payments:write payments:read clients:write clients:read accounts:write",
                },
                SigningCredentials = new SigningCredentials(
                    new SymmetricSecurityKey(key),
                    SecurityAlgorithms.HmacSha256
                ),
            }
        );
        Core = new HttpClient
        {
            BaseAddress = address,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
        };
        return file;
    }

    private Task<string> Down() => Run("--profile", "demo", "down", "--volumes", "--timeout=30");

    private static (Uri Address, string Port) Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        return (new UriBuilder(Uri.UriSchemeHttp, "127.0.0.1", port).Uri, $"{port}");
    }
}
