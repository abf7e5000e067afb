using System.Buffers.Text;
using Microsoft.AspNetCore.Authentication.JwtBearer;

namespace CancelService.Api.Internal;

/// <summary>
/// The section <c>Authentication:Schemes:Bearer</c>, which is the framework's own. It is checked here, because the framework
/// accepts a wrong setting and then answers every token with 401.
/// </summary>
public sealed class BearerSettings
{
    /// <summary>The section's name.</summary>
    public const string Section = "Authentication:Schemes:Bearer";

    /// <summary>The shortest signing key, in bytes: what HMAC-SHA256 needs.</summary>
    public const int MinKeyBytes = 32;

    /// <summary>The tokens' issuer, asked for its keys; https.</summary>
    public string? Authority { get; set; }

    /// <summary>Whether the issuer has to be asked over https; switch it off in a closed network only.</summary>
    public bool RequireHttpsMetadata { get; set; } = true;

    /// <summary>The audience that a token has to name.</summary>
    public string? ValidAudience { get; set; }

    /// <summary>Further audiences.</summary>
    public IList<string> ValidAudiences { get; } = [];

    /// <summary>The issuer of tokens that are signed with a static key.</summary>
    public string? ValidIssuer { get; set; }

    /// <summary>Further issuers.</summary>
    public IList<string> ValidIssuers { get; } = [];

    /// <summary>Static keys, each of an issuer.</summary>
    public IList<SigningKey> SigningKeys { get; } = [];

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem()
    {
        if (string.IsNullOrWhiteSpace(Authority) && SigningKeys.Count == 0)
            return null; // Nothing is configured: every token is refused, and the process serves merchants only.
        if (string.IsNullOrWhiteSpace(ValidAudience) && ValidAudiences.All(string.IsNullOrWhiteSpace))
            return $"{Section}:ValidAudience is missing. Set it to the audience that tokens for this service name.";
        if (!string.IsNullOrWhiteSpace(Authority))
        {
            if (!Uri.TryCreate(Authority, UriKind.Absolute, out var issuer) || issuer.Scheme is not ("https" or "http"))
                return $"{Section}:Authority is no absolute URL. Set it to the tokens' issuer, such as https://login.example.com.";
            if (issuer.Scheme == "http" && RequireHttpsMetadata)
                return $"{Section}:Authority is an http URL. Use https: who can change the issuer's answer can make tokens.";
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
                return $"{Section}:SigningKeys:{i}:Issuer is none of {Section}:ValidIssuer, so the key would never be used. "
                    + "Make the two equal.";
        }
        return null;
    }

    /// <summary>A static key.</summary>
    public sealed class SigningKey
    {
        /// <summary>The issuer whose tokens it verifies.</summary>
        public string? Issuer { get; set; }

        /// <summary>The key in base64.</summary>
        public string? Value { get; set; }
    }
}

/// <summary>Tokens of the internal API.</summary>
internal static partial class BearerTokens
{
    private static readonly object IssuerIsAway = new();

    /// <summary>Sets up how tokens are read. An issuer that can't be asked is our trouble, not the caller's: 503, not 401.</summary>
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

    // Why the issuer's keys can't be fetched; empty when they can, so that the token is at fault. The framework reports an
    // unknown key in both cases, so this asks the issuer.
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
