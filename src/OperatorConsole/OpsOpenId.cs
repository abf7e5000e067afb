using System.Security.Claims;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Operators;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace CancelService.OperatorConsole;

/// <summary>Signing in at the tokens' issuer by OpenID Connect.</summary>
internal static class OpsOpenId
{
    /// <summary>Sets the scheme up: the authorization code flow with PKCE.</summary>
    public static void Configure(OpenIdConnectOptions openId, OpsOptions ops, JwtBearerOptions bearer)
    {
        openId.SignInScheme = OpsSession.Cookie;
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
            context.Response.Redirect($"{OpsSession.SignInPath}?failed=true");
            return Task.CompletedTask;
        };
    }

    // The access token says what an operator may do. It is validated as by the internal API.
    private static async Task TakeAccessToken(
        Microsoft.AspNetCore.Authentication.OpenIdConnect.TokenValidatedContext context
    )
    {
        var services = context.HttpContext.RequestServices;
        var bearer = services
            .GetRequiredService<IOptionsMonitor<JwtBearerOptions>>()
            .Get(JwtBearerDefaults.AuthenticationScheme);
        var parameters = bearer.TokenValidationParameters.Clone();
        parameters.ConfigurationManager = bearer.ConfigurationManager as BaseConfigurationManager;
        var result = await new JsonWebTokenHandler { MapInboundClaims = false }.ValidateTokenAsync(
            context.TokenEndpointResponse?.AccessToken,
            parameters
        );
        if (!result.IsValid)
        {
            context.Fail("The internal API does not accept the access token.");
            return;
        }
        var caller = new ClaimsPrincipal(result.ClaimsIdentity);
        var id = OperatorSessions.NewId();
        var duration = services.GetRequiredService<IOptions<OpsOptions>>().Value.SessionTime;
        await services.GetRequiredService<OperatorSessions>().Open(id, duration, context.HttpContext.RequestAborted);
        context.Principal = new ClaimsPrincipal(
            OpsSession.Identity(id, caller.Actor(), Scopes.All.Where(caller.HasScope))
        );
        // The cookie holds no token.
        context.Properties = new AuthenticationProperties { RedirectUri = context.Properties?.RedirectUri ?? "/ops" };
    }
}
