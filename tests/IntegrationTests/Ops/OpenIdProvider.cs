using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace CancelService.IntegrationTests.Ops;

/// <summary>OpenID provider on a socket, with a user who is always signed in.</summary>
internal sealed class OpenIdProvider : IAsyncDisposable
{
    private static readonly string[] ResponseTypes = ["code"];

    private readonly RSA _rsa = RSA.Create(2048);
    private readonly ConcurrentDictionary<string, string> _nonces = new(StringComparer.Ordinal);
    private readonly WebApplication _app;

    private OpenIdProvider(WebApplication app) => _app = app;

    public string Url => _app.Urls.Single();

    /// <summary>Scopes of the access token.</summary>
    public string Scopes { get; set; } = "payments:read clients:read payments:write";

    /// <summary>Audience of the access token.</summary>
    public string Audience { get; set; } = Bearer.Audience;

    public static async Task<OpenIdProvider> Start()
    {
        // The default builder would read the service's settings and listen on its ports.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddRouting();
        var app = builder.Build();
        var provider = new OpenIdProvider(app);
        app.MapGet("/.well-known/openid-configuration", provider.Configuration);
        app.MapGet("/keys", provider.Keys);
        app.MapGet("/authorize", (Func<HttpContext, IResult>)provider.Authorize);
        app.MapPost("/token", (Func<HttpContext, Task<IResult>>)provider.Redeem);
        await app.StartAsync();
        return provider;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _rsa.Dispose();
    }

    private IResult Configuration() =>
        Results.Json(
            new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["issuer"] = Url,
                ["authorization_endpoint"] = $"{Url}/authorize",
                ["token_endpoint"] = $"{Url}/token",
                ["jwks_uri"] = $"{Url}/keys",
                ["response_types_supported"] = ResponseTypes,
            }
        );

    private IResult Keys()
    {
        var key = _rsa.ExportParameters(false);
        return Results.Json(
            new
            {
                keys = new[]
                {
                    new
                    {
                        kty = "RSA",
                        kid = "1",
                        use = "sig",
                        alg = "RS256",
                        n = Base64UrlEncoder.Encode(key.Modulus),
                        e = Base64UrlEncoder.Encode(key.Exponent),
                    },
                },
            }
        );
    }

    private IResult Authorize(HttpContext http)
    {
        var query = http.Request.Query;
        query["response_type"].ToString().ShouldBe("code");
        query["code_challenge_method"].ToString().ShouldBe("S256");
        var code = Guid.NewGuid().ToString();
        _nonces[code] = query["nonce"].ToString();
        return Results.Redirect(
            $"{query["redirect_uri"]}?code={code}&state={Uri.EscapeDataString(query["state"].ToString())}"
        );
    }

    private async Task<IResult> Redeem(HttpContext http)
    {
        var form = await http.Request.ReadFormAsync();
        form["code_verifier"].ToString().ShouldNotBeEmpty();
        if (!_nonces.TryRemove(form["code"].ToString(), out var nonce))
            return Results.BadRequest(new { error = "invalid_grant" });
        return Results.Json(
            new
            {
                token_type = "Bearer",
                id_token = Token("ops-page", Claims("nonce", nonce)),
                access_token = Token(Audience, Claims("scope", Scopes)),
            }
        );
    }

    private static Dictionary<string, object> Claims(string name, string value) =>
        new(StringComparer.Ordinal) { ["sub"] = "alice", [name] = value };

    private string Token(string audience, Dictionary<string, object> claims) =>
        new JsonWebTokenHandler().CreateToken(
            new SecurityTokenDescriptor
            {
                Issuer = Url,
                Audience = audience,
                Claims = claims,
                Expires = TimeProvider.System.GetUtcNow().UtcDateTime.AddMinutes(5),
                SigningCredentials = new SigningCredentials(
                    new RsaSecurityKey(_rsa) { KeyId = "1" },
                    SecurityAlgorithms.RsaSha256
                ),
            }
        );
}
