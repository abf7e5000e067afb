using System.Buffers.Text;
using System.Data.Common;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Operators;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Options;

namespace CancelService.OperatorConsole;

/// <summary>
/// Links by which operators sign in without an OpenID provider: whoever may run a command with the service's settings
/// may see the operations pages. A link is valid for five minutes and signs in once, on whichever instance.
/// </summary>
public sealed class OpsLinks(
    IDataProtectionProvider protection,
    OperatorSessions sessions,
    IOptions<OpsOptions> options
)
{
    /// <summary>The validity of a link.</summary>
    public static readonly TimeSpan Validity = TimeSpan.FromMinutes(5);

    private readonly ITimeLimitedDataProtector _protector = protection
        .CreateProtector("CancelService.OpsLink")
        .ToTimeLimitedDataProtector();

    /// <summary>Makes a link, records it, and returns the value of its query parameter.</summary>
    /// <param name="name">The operator's name for the record of changes.</param>
    /// <param name="mayRequeue">True to allow queueing events again.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task<string> Make(string name, bool mayRequeue, CancellationToken cancellationToken) =>
        Make(name, mayRequeue, Validity, cancellationToken);

    internal async Task<string> Make(
        string name,
        bool mayRequeue,
        TimeSpan validity,
        CancellationToken cancellationToken
    )
    {
        var link = new Link(
            OperatorSessions.NewId(),
            $"ops-link:{name}",
            mayRequeue
                ? [Scopes.PaymentsRead, Scopes.ClientsRead, Scopes.PaymentsWrite]
                : [Scopes.PaymentsRead, Scopes.ClientsRead]
        );
        await sessions.Offer(link.Id, validity, cancellationToken);
        return Base64Url.EncodeToString(_protector.Protect(JsonSerializer.SerializeToUtf8Bytes(link), validity));
    }

    /// <summary>Opens the session of a link; null when the link is forged, expired or used.</summary>
    /// <exception cref="DbException">The database does not answer.</exception>
    public async Task<ClaimsIdentity?> Use(string text, CancellationToken cancellationToken) =>
        Read(text) is { } link && await sessions.Accept(link.Id, options.Value.SessionTime, cancellationToken)
            ? OpsSession.Identity(link.Id, link.Subject, link.Scopes)
            : null;

    private Link? Read(string text)
    {
        try
        {
            var payload = Base64Url.DecodeFromChars(text);
            // One spelling only: the decoder also accepts padding, white space and other last bits.
            return Base64Url.EncodeToString(payload) == text
                ? JsonSerializer.Deserialize<Link>(_protector.Unprotect(payload))
                : null;
        }
        catch (CryptographicException e) when (e.InnerException is DbException failure)
        {
            throw new InvalidOperationException("The keys can't be read.", failure);
        }
        catch (Exception e) when (e is CryptographicException or FormatException or JsonException)
        {
            return null;
        }
    }

    private sealed record Link(string Id, string Subject, IReadOnlyList<string> Scopes);
}
