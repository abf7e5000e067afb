using System.Buffers.Text;
using Microsoft.AspNetCore.Authentication.JwtBearer;

namespace CancelService.Api.Internal;

/// <summary>
/// The framework's section <c>Authentication:Schemes:Bearer</c>. It is checked here, because the framework accepts a
/// wrong setting and then answers every token with 401.
/// </summary>
public sealed class BearerSettings
{
    /// <summary>The section's name.</summary>
    public const string Section = "Authentication:Schemes:Bearer";

    /// <summary>The shortest signing key in bytes, for HMAC-SHA256.</summary>
    public const int MinKeyBytes = 32;

    /// <summary>The https URL of the tokens' issuer, which publishes its keys.</summary>
    public string? Authority { get; set; }

    /// <summary>Whether the issuer must be asked over https. False is only for closed networks.</summary>
    public bool RequireHttpsMetadata { get; set; } = true;

    /// <summary>The audience that a token must name.</summary>
    public string? ValidAudience { get; set; }

    /// <summary>Further audiences.</summary>
    public IList<string> ValidAudiences { get; } = [];

    /// <summary>The issuer of tokens signed with a static key.</summary>
    public string? ValidIssuer { get; set; }

    /// <summary>Further issuers.</summary>
    public IList<string> ValidIssuers { get; } = [];

    /// <summary>Static keys, each with its issuer.</summary>
    public IList<SigningKey> SigningKeys { get; } = [];

    /// <summary>Names the first wrong setting and its remedy; null without one.</summary>
    public string? Problem()
    {
        if (string.IsNullOrWhiteSpace(Authority) && SigningKeys.Count == 0)
            return null; // Without configuration every token is refused, and the process serves only merchants.
        if (string.IsNullOrWhiteSpace(ValidAudience) && ValidAudiences.All(string.IsNullOrWhiteSpace))
            return $"{Section}:ValidAudience is missing. Set it to the audience that tokens for this service name.";
        if (!string.IsNullOrWhiteSpace(Authority))
        {
            if (!Uri.TryCreate(Authority, UriKind.Absolute, out var issuer) || issuer.Scheme is not ("https" or "http"))
                return $"{Section}:Authority is no absolute URL. Set it to the tokens' issuer, such as "
                    + "https://login.example.com.";
            if (issuer.Scheme == "http" && RequireHttpsMetadata)
                return $"{Section}:Authority is an http URL. Use https: an attacker who changes the issuer's answer "
                    + "can forge tokens.";
        }
        for (var i = 0; i < SigningKeys.Count; i++)
        {
            var key = SigningKeys[i];
            if (string.IsNullOrEmpty(key.Value) || !Base64.IsValid(key.Value, out var bytes))
                return $"{Section}:SigningKeys:{i}:Value is not base64. openssl rand -base64 32 makes a key.";
            if (bytes < MinKeyBytes)
                return $"{Section}:SigningKeys:{i}:Value has {bytes} bytes; {MinKeyBytes} or more are required. "
                    + "openssl rand -base64 32 makes a key.";
            if (key.Issuer != ValidIssuer && !ValidIssuers.Contains(key.Issuer!, StringComparer.Ordinal))
                return $"{Section}:SigningKeys:{i}:Issuer is not in {Section}:ValidIssuer, so the key would never be "
                    + "used. "
                    + "Make the two equal.";
        }
        return null;
    }

    /// <summary>A static key.</summary>
    public sealed class SigningKey
    {
        /// <summary>The issuer whose tokens the key verifies.</summary>
        public string? Issuer { get; set; }

        /// <summary>The key in base64.</summary>
        public string? Value { get; set; }
    }
}

/// <summary>Tokens of the internal API.</summary>
internal static partial class BearerTokens
{
    private static readonly object IssuerIsAway = new();

    /// <summary>
    /// Configures tokens. An unreachable issuer answers 503 instead of 401: the caller's token may be valid.
    /// </summary>
    public static void Configure(JwtBearerOptions bearer)
    {
        bearer.MapInboundClaims = false;
        bearer.BackchannelTimeout = TimeSpan.FromSeconds(3); // The caller waits meanwhile.
        bearer.Events = new JwtBearerEvents
        {
            OnAuthenticationFailed = async context =>
            {
                if (await IssuerFailure(context) is { Length: > 0 } problem)
                {
                    context.HttpContext.Items[IssuerIsAway] = true;
                    var log = context.HttpContext.RequestServices.GetRequiredService<ILogger<JwtBearerEvents>>();
                    IssuerAway(log, bearer.Authority ?? "", problem);
                }
            },
            OnChallenge = context =>
            {
                if (!context.HttpContext.Items.ContainsKey(IssuerIsAway))
                    return Task.CompletedTask;
                context.HandleResponse();
                return Problems.IssuerAway().ExecuteAsync(context.HttpContext);
            },
        };
    }

    // Returns the reason why the issuer's keys can't be fetched; empty when they can, so that the token is at fault.
    // The framework reports an unknown key in both cases.
    private static async Task<string> IssuerFailure(AuthenticationFailedContext context)
    {
        if (
            context.Options.ConfigurationManager is not { } issuer
            || string.IsNullOrWhiteSpace(context.Options.Authority)
        )
            return "";
        try
        {
            await issuer.GetConfigurationAsync(context.HttpContext.RequestAborted);
            return "";
        }
        catch (Exception e) when (!context.HttpContext.RequestAborted.IsCancellationRequested)
        {
            return (e.InnerException ?? e).Message;
        }
    }

    [LoggerMessage(
        LogLevel.Error,
        "The issuer {Authority} can't be asked for its keys, so no token can be checked: {Problem}"
    )]
    private static partial void IssuerAway(ILogger log, string authority, string problem);
}
