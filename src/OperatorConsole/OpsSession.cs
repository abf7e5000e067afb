using System.Collections.Concurrent;
using System.Security.Claims;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Operators;
using CancelService.Pages;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace CancelService.OperatorConsole;

/// <summary>
/// The session of an operator's browser: a protected cookie with subject and scopes, and a row in the database, without
/// which the cookie counts for nothing. A request with a bearer token needs no session.
/// </summary>
public static class OpsSession
{
    /// <summary>The scheme of the cookie.</summary>
    public const string Cookie = "Ops";

    /// <summary>The scheme of signing in at the tokens' issuer.</summary>
    public const string OpenId = "OpsOpenId";

    /// <summary>The policy of reading the pages.</summary>
    public const string MayRead = "ops:read";

    /// <summary>The policy of queueing events again.</summary>
    public const string MayRequeue = "ops:requeue";

    /// <summary>The policy of signing out: any session.</summary>
    public const string IsSignedIn = "ops:session";

    /// <summary>The path of signing in.</summary>
    public const string SignInPath = "/ops/sign-in";

    private const string CookieOrToken = "OpsCookieOrToken";
    private const string SessionId = "sid";
    private const string ScopeClaim = "scope";

    private static readonly object Outage = new();

    /// <summary>Adds the services of the operations pages: schemes, policies, and the counts of answers.</summary>
    public static void AddOps(this IServiceCollection services, IConfiguration configuration)
    {
        var authentication = services
            .AddAuthentication()
            .AddPolicyScheme(
                CookieOrToken,
                null,
                scheme =>
                    scheme.ForwardDefaultSelector = http =>
                        PageSecurity.HasBearerToken(http.Request) ? JwtBearerDefaults.AuthenticationScheme : Cookie
            )
            .AddCookie(Cookie);
        services
            .AddOptions<CookieAuthenticationOptions>(Cookie)
            .Configure<IOptions<OpsOptions>>((cookie, ops) => Configure(cookie, ops.Value));

        if (!string.IsNullOrWhiteSpace(configuration["Ops:OpenIdClientId"]))
        {
            authentication.AddOpenIdConnect(OpenId, _ => { });
            services
                .AddOptions<OpenIdConnectOptions>(OpenId)
                .Configure<IOptions<OpsOptions>, IOptionsMonitor<JwtBearerOptions>>(
                    (openId, ops, bearer) =>
                        OpsOpenId.Configure(openId, ops.Value, bearer.Get(JwtBearerDefaults.AuthenticationScheme))
                );
        }

        services
            .AddAuthorizationBuilder()
            .AddPolicy(MayRead, policy => Require(policy, Scopes.PaymentsRead, Scopes.ClientsRead))
            .AddPolicy(MayRequeue, policy => Require(policy, Scopes.PaymentsWrite))
            .AddPolicy(IsSignedIn, policy => policy.AddAuthenticationSchemes(Cookie).RequireAuthenticatedUser());
        services.AddPages().AddSingleton(provider => OpsHosts.Of(provider, configuration));
        services.AddSingleton<OpsLinks>().AddSingleton<ConfirmedSessions>();
        services.AddActivatedSingleton<AnswersOfTheHour>(); // It counts from the start of the process.
        DatabaseKeys.Add(services);

        static void Require(AuthorizationPolicyBuilder policy, params string[] scopes) =>
            policy
                .AddAuthenticationSchemes(CookieOrToken)
                .RequireAuthenticatedUser()
                .RequireAssertion(context => scopes.All(context.User.HasScope));
    }

    /// <summary>Returns the identity of an operator.</summary>
    internal static ClaimsIdentity Identity(string id, string subject, IEnumerable<string> scopes) =>
        new(
            [
                new Claim("sub", subject),
                new Claim(SessionId, id),
                .. scopes.Select(scope => new Claim(ScopeClaim, scope)),
            ],
            Cookie,
            "sub",
            null
        );

    /// <summary>Ends the session on all instances, and removes the cookie.</summary>
    internal static async Task End(HttpContext http, OperatorSessions sessions)
    {
        if (http.User.FindFirst(SessionId) is { } id)
            await sessions.End(id.Value, http.RequestAborted);
        await http.SignOutAsync(Cookie);
    }

    private static void Configure(CookieAuthenticationOptions cookie, OpsOptions ops)
    {
        cookie.ExpireTimeSpan = ops.SessionTime;
        cookie.SlidingExpiration = false;
        cookie.Cookie.Name = "cancelservice-ops";
        cookie.Cookie.Path = "/ops";
        cookie.Cookie.HttpOnly = true;
        // Lax: a browser that returns from the OpenID provider must send it. Forms of other sites come without it.
        cookie.Cookie.SameSite = SameSiteMode.Lax;
        // The internal port may be plain http on loopback.
        cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        cookie.LoginPath = SignInPath;
        cookie.ReturnUrlParameter = "returnUrl";
        cookie.Events.OnValidatePrincipal = Check;
        cookie.Events.OnRedirectToAccessDenied = context => OpsSignIn.Denied(context.HttpContext);
        var redirect = cookie.Events.OnRedirectToLogin;
        cookie.Events.OnRedirectToLogin = context =>
            context.HttpContext.Items[Outage] is string problem
                ? OpsSignIn.Unavailable(context.HttpContext, problem)
                : redirect(context);
    }

    // One indexed read on every request, so that the end of a session counts at once on all instances.
    private static async Task Check(CookieValidatePrincipalContext context)
    {
        var http = context.HttpContext;
        var services = http.RequestServices;
        var (host, confirmed) = (
            services.GetRequiredService<ConsoleHost>(),
            services.GetRequiredService<ConfirmedSessions>()
        );
        if (context.Principal?.FindFirst(SessionId)?.Value is not { } id)
        {
            context.RejectPrincipal();
            return;
        }
        try
        {
            var sessions = services.GetRequiredService<OperatorSessions>();
            if (await sessions.IsOpen(id, http.RequestAborted).WaitAsync(host.Timeout))
                confirmed.Add(id);
            else
            {
                confirmed.Remove(id);
                context.RejectPrincipal();
            }
        }
        catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
        {
            // In an outage, an operator who was here before may look at the instance, and change nothing.
            if (confirmed.Contains(id))
            {
                context.ReplacePrincipal(ReadOnly(context.Principal));
                return;
            }
            http.Items[Outage] = host.Explain(e, host.Timeout);
            context.RejectPrincipal();
        }
    }

    private static ClaimsPrincipal ReadOnly(ClaimsPrincipal operatorUser) =>
        new(
            new ClaimsIdentity(
                operatorUser.Claims.Where(claim => claim is not { Type: ScopeClaim, Value: Scopes.PaymentsWrite }),
                Cookie,
                "sub",
                null
            )
        );
}

/// <summary>Sessions that this instance has found open in the database, for the time of an outage.</summary>
internal sealed class ConfirmedSessions
{
    private const int Max = 1000;

    private readonly ConcurrentDictionary<string, bool> _ids = new(StringComparer.Ordinal);

    public void Add(string id)
    {
        if (_ids.Count < Max || _ids.ContainsKey(id))
            _ids[id] = true;
        else
            _ids.Clear(); // Each session is confirmed again by its next request.
    }

    public void Remove(string id) => _ids.TryRemove(id, out _);

    public bool Contains(string id) => _ids.ContainsKey(id);
}
