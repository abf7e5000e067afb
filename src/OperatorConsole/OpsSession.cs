using System.Security.Claims;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Signing;
using CancelService.Pages;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace CancelService.OperatorConsole;

/// <summary>
/// How an operator's browser is known: by a sealed cookie, which holds the subject and the scopes of a token. A request with a
/// bearer token needs no cookie.
/// </summary>
public static class OpsSession
{
    /// <summary>The cookie's scheme.</summary>
    public const string Cookie = "Ops";

    /// <summary>The scheme of signing in at the tokens' issuer.</summary>
    public const string OpenId = "OpsOpenId";

    /// <summary>Sees the pages.</summary>
    public const string MayRead = "ops:read";

    /// <summary>Queues events again on them.</summary>
    public const string MayRequeue = "ops:requeue";

    /// <summary>Where an operator signs in.</summary>
    public const string SignInPath = "/ops/sign-in";

    private const string CookieOrToken = "OpsCookieOrToken";

    /// <summary>Adds what the operations page needs: the schemes and policies of its operators, and the answers of the hour.</summary>
    public static void AddOps(this IServiceCollection services, IConfiguration configuration)
    {
        var authentication = services
            .AddAuthentication()
            .AddPolicyScheme(
                CookieOrToken,
                null,
                scheme =>
                    scheme.ForwardDefaultSelector = http =>
                        http.Request.Headers.Authorization.Count > 0 ? JwtBearerDefaults.AuthenticationScheme : Cookie
            )
            .AddCookie(Cookie);
        services
            .AddOptions<CookieAuthenticationOptions>(Cookie)
            .Configure<WalletKey, IOptions<OpsOptions>>((cookie, wallet, ops) => Configure(cookie, wallet, ops.Value));

        if (!string.IsNullOrWhiteSpace(configuration["Ops:OpenIdClientId"]))
        {
            authentication.AddOpenIdConnect(OpenId, _ => { });
            services
                .AddOptions<OpenIdConnectOptions>(OpenId)
                .Configure<WalletKey, IOptions<OpsOptions>, IOptionsMonitor<JwtBearerOptions>>(
                    (openId, wallet, ops, bearer) =>
                        Configure(openId, wallet, ops.Value, bearer.Get(JwtBearerDefaults.AuthenticationScheme))
                );
        }

        services
            .AddAuthorizationBuilder()
            .AddPolicy(MayRead, policy => Require(policy, Scopes.PaymentsRead, Scopes.ClientsRead))
            .AddPolicy(MayRequeue, policy => Require(policy, Scopes.PaymentsWrite));
        services.AddPages();
        services.AddSingleton<OpsLinks>();
        services.AddActivatedSingleton<AnswersOfTheHour>(); // From the start on.

        static void Require(
            Microsoft.AspNetCore.Authorization.AuthorizationPolicyBuilder policy,
            params string[] scopes
        ) =>
            policy
                .AddAuthenticationSchemes(CookieOrToken)
                .RequireAuthenticatedUser()
                .RequireAssertion(context => scopes.All(context.User.HasScope));
    }

    /// <summary>What seals cookies and links: the same on every instance.</summary>
    internal static Sealer Sealer(WalletKey wallet) => new(wallet.Secret("cancelservice operations page"));

    /// <summary>An operator.</summary>
    public static ClaimsIdentity Identity(string subject, IEnumerable<string> scopes) =>
        new([new Claim("sub", subject), .. scopes.Select(scope => new Claim("scope", scope))], Cookie, "sub", null);

    private static void Configure(CookieAuthenticationOptions cookie, WalletKey wallet, OpsOptions ops)
    {
        cookie.DataProtectionProvider = Sealer(wallet);
        cookie.ExpireTimeSpan = ops.SessionTime;
        cookie.SlidingExpiration = false;
        cookie.Cookie.Name = "cancelservice-ops";
        cookie.Cookie.Path = "/ops";
        cookie.Cookie.HttpOnly = true;
        // Lax: a browser that comes back from the OpenID provider has to send it. Forms of other sites still go without it.
        cookie.Cookie.SameSite = SameSiteMode.Lax;
        cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest; // The internal port may be plain HTTP on loopback.
        cookie.LoginPath = SignInPath;
        cookie.ReturnUrlParameter = "returnUrl";
        cookie.Events.OnRedirectToAccessDenied = context => OpsSignIn.Denied(context.HttpContext);
    }

    private static void Configure(
        OpenIdConnectOptions openId,
        WalletKey wallet,
        OpsOptions ops,
        JwtBearerOptions bearer
    )
    {
        openId.DataProtectionProvider = Sealer(wallet);
        openId.SignInScheme = Cookie;
        openId.Authority = bearer.Authority;
        openId.RequireHttpsMetadata = bearer.RequireHttpsMetadata;
        openId.ClientId = ops.OpenIdClientId;
        openId.ClientSecret = ops.OpenIdClientSecretPath is { } path ? File.ReadAllText(path).Trim() : null;
        openId.ResponseType = "code";
        openId.ResponseMode = "query";
        openId.CallbackPath = "/ops/signed-in";
        openId.MapInboundClaims = false;
        openId.BackchannelTimeout = TimeSpan.FromSeconds(5);
        openId.Scope.Clear();
        foreach (var scope in (string[])["openid", Scopes.PaymentsRead, Scopes.ClientsRead, Scopes.PaymentsWrite])
            openId.Scope.Add(scope);
        openId.CorrelationCookie.SameSite = openId.NonceCookie.SameSite = SameSiteMode.Lax;
        openId.CorrelationCookie.SecurePolicy = openId.NonceCookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        openId.Events.OnTokenValidated = TakeAccessToken;
        openId.Events.OnRemoteFailure = context =>
        {
            context.HandleResponse();
            context.Response.Redirect($"{SignInPath}?failed=true");
            return Task.CompletedTask;
        };
    }

    // What an operator may do is in the access token, which is checked as every token of the internal API is.
    private static async Task TakeAccessToken(
        Microsoft.AspNetCore.Authentication.OpenIdConnect.TokenValidatedContext context
    )
    {
        var bearer = context
            .HttpContext.RequestServices.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>()
            .Get(JwtBearerDefaults.AuthenticationScheme);
        var parameters = bearer.TokenValidationParameters.Clone();
        parameters.ConfigurationManager = bearer.ConfigurationManager as BaseConfigurationManager;
        var result = await new JsonWebTokenHandler { MapInboundClaims = false }.ValidateTokenAsync(
            context.TokenEndpointResponse?.AccessToken,
            parameters
        );
        if (!result.IsValid)
        {
            context.Fail("The access token is not one of the internal API.");
            return;
        }
        var caller = new ClaimsPrincipal(result.ClaimsIdentity);
        context.Principal = new ClaimsPrincipal(Identity(caller.Actor(), Scopes.All.Where(caller.HasScope)));
        // The cookie holds nothing else: no token.
        context.Properties = new AuthenticationProperties { RedirectUri = context.Properties?.RedirectUri ?? "/ops" };
    }
}
