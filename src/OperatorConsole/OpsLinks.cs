using System.Buffers.Text;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Signing;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Caching.Memory;

namespace CancelService.OperatorConsole;

/// <summary>
/// Links by which an operator signs in without an OpenID provider: who may run a command beside the wallet's key may see the
/// operations page. A link holds for five minutes, and signs in once on each instance.
/// </summary>
public sealed class OpsLinks(WalletKey wallet, TimeProvider time) : IDisposable
{
    /// <summary>How long a link holds.</summary>
    public static readonly TimeSpan Validity = TimeSpan.FromMinutes(5);

    private readonly IDataProtector _sealer = OpsSession.Sealer(wallet).CreateProtector("link");
    private readonly MemoryCache _used = new(new MemoryCacheOptions { SizeLimit = 10_000 });

    /// <summary>The query of a link.</summary>
    /// <param name="name">Who will use it: a name for the record of changes.</param>
    /// <param name="mayRequeue">Whether events may be queued again, too.</param>
    public string Make(string name, bool mayRequeue)
    {
        var link = new Link(
            $"ops-link:{name}",
            mayRequeue
                ? [Scopes.PaymentsRead, Scopes.ClientsRead, Scopes.PaymentsWrite]
                : [Scopes.PaymentsRead, Scopes.ClientsRead],
            time.GetUtcNow() + Validity,
            Guid.NewGuid()
        );
        return Base64Url.EncodeToString(_sealer.Protect(JsonSerializer.SerializeToUtf8Bytes(link)));
    }

    /// <summary>Who the link signs in; null when it is none of ours, too old, or was used here.</summary>
    public ClaimsIdentity? Use(string text)
    {
        if (Open(text) is not { } link || link.ExpiresAt <= time.GetUtcNow())
            return null;
        lock (_used)
        {
            if (_used.TryGetValue(link.Id, out _))
                return null;
            _used.Set(
                link.Id,
                true,
                new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Validity }
            );
        }
        return OpsSession.Identity(link.Subject, link.Scopes);
    }

    /// <inheritdoc/>
    public void Dispose() => _used.Dispose();

    private Link? Open(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<Link>(_sealer.Unprotect(Base64Url.DecodeFromChars(text)));
        }
        catch (Exception e) when (e is CryptographicException or FormatException or JsonException)
        {
            return null;
        }
    }

    private sealed record Link(string Subject, IReadOnlyList<string> Scopes, DateTimeOffset ExpiresAt, Guid Id);
}
