using System.Net.Http.Headers;
using System.Text;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace CancelService.Testcontainers;

/// <summary>The service with its demo wallet, in a container. Its database and its keys end with it.</summary>
public sealed class CancelServiceContainer : DockerContainer
{
    /// <summary>The demo's merchant.</summary>
    public const string ClientId = "DEMO_CLIENT";

    private const string Keys = "/app/data/demo";
    private const string AllScopes = "payments:write payments:read clients:write clients:read accounts:write";

    private readonly ContainerConfiguration _configuration;

    internal CancelServiceContainer(ContainerConfiguration configuration)
        : base(configuration) => _configuration = configuration;

    /// <summary>The merchants' port, as this machine reaches it.</summary>
    public Uri Address => Of(CancelServiceBuilder.PublicPort);

    /// <summary>The internal port, as this machine reaches it: the internal API, <c>/sandbox</c>, <c>/metrics</c>.</summary>
    public Uri InternalAddress => Of(CancelServiceBuilder.InternalPort);

    /// <summary>The private key of the demo's merchant, in PEM.</summary>
    public Task<string> ReadMerchantPrivateKeyAsync(CancellationToken ct = default) => Read("merchant-private.pem", ct);

    /// <summary>The wallet's public key in PEM, which answers are verified with.</summary>
    public Task<string> ReadWalletPublicKeyAsync(CancellationToken ct = default) => Read("wallet-public.pem", ct);

    /// <summary>A client of the merchants' port that signs what it sends, as the demo's merchant.</summary>
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

    /// <summary>A client of the internal API, with a token that has every scope and lasts for a day.</summary>
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
