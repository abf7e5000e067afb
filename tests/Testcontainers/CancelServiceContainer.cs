using System.Net.Http.Headers;
using System.Text;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace CancelService.Testcontainers;

/// <summary>The service with its demo wallet in a container. Its database and keys are removed with it.</summary>
public sealed class CancelServiceContainer : DockerContainer
{
    /// <summary>The client id of the demo merchant.</summary>
    public const string ClientId = "DEMO_CLIENT";

    private const string Keys = "/app/data/demo";
    private const string AllScopes = "payments:write payments:read clients:write clients:read accounts:write";

    private readonly ContainerConfiguration _configuration;

    internal CancelServiceContainer(ContainerConfiguration configuration)
        : base(configuration) => _configuration = configuration;

    /// <summary>The base address of the public port, mapped to this host.</summary>
    public Uri Address => Of(CancelServiceBuilder.PublicPort);

    /// <summary>
    /// The base address of the internal port, mapped to this host: the internal API, <c>/sandbox</c> and
    /// <c>/metrics</c>.
    /// </summary>
    public Uri InternalAddress => Of(CancelServiceBuilder.InternalPort);

    /// <summary>Reads the private key of the demo merchant in PEM.</summary>
    public Task<string> ReadMerchantPrivateKeyAsync(CancellationToken ct = default) => Read("merchant-private.pem", ct);

    /// <summary>Reads the wallet's public key in PEM, to verify answers with.</summary>
    public Task<string> ReadWalletPublicKeyAsync(CancellationToken ct = default) => Read("wallet-public.pem", ct);

    /// <summary>
    /// Creates a client of the public port that signs its requests with the key of the demo merchant.
    /// </summary>
    public async Task<HttpClient> CreateMerchantAsync(CancellationToken ct = default) =>
        new(
            new SigningHandler(ClientId, keyVersion: 1, await ReadMerchantPrivateKeyAsync(ct))
            {
                InnerHandler = new SocketsHttpHandler(),
            }
        )
        {
            BaseAddress = Address,
        };

    /// <summary>
    /// Creates a client of the internal API with a token that has every scope and expires after a day.
    /// </summary>
    public HttpClient CreateCore()
    {
        var token = new JsonWebTokenHandler().CreateToken(
            new SecurityTokenDescriptor
            {
                Issuer = CancelServiceBuilder.Issuer,
                Audience = CancelServiceBuilder.Audience,
                Expires = TimeProvider.System.GetUtcNow().AddDays(1).UtcDateTime,
                Claims = new Dictionary<string, object>(StringComparer.Ordinal)
                {
                    ["sub"] = "core",
                    ["scope"] = AllScopes,
                },
                SigningCredentials = new SigningCredentials(
                    new SymmetricSecurityKey(
                        Convert.FromBase64String(_configuration.Environments[CancelServiceBuilder.TokenKey])
                    ),
                    SecurityAlgorithms.HmacSha256
                ),
            }
        );
        return new HttpClient
        {
            BaseAddress = InternalAddress,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
        };
    }

    private Uri Of(ushort port) => new UriBuilder(Uri.UriSchemeHttp, Hostname, GetMappedPublicPort(port)).Uri;

    private async Task<string> Read(string file, CancellationToken ct) =>
        Encoding.UTF8.GetString(await ReadFileAsync($"{Keys}/{file}", ct));
}
