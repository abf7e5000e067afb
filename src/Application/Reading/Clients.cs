using CancelService.Domain;

namespace CancelService.Application.Reading;

/// <summary>A client with its contract.</summary>
/// <param name="ClientId">The client's identifier, as in the header Client-Id.</param>
/// <param name="Name">The client's name for operators.</param>
/// <param name="Enabled">Whether the client may call; false answers CLIENT_INVALID.</param>
/// <param name="Contract">The terms of the client's contract.</param>
public sealed record ClientView(string ClientId, string Name, bool Enabled, ContractView Contract);

/// <summary>The terms of a contract.</summary>
/// <param name="MayCancel">Whether the contract includes cancelling; false answers ACCESS_DENIED.</param>
/// <param name="Window">The cancel window: a cut-off (T+1 00:15 +08:00) or a duration (PT24H).</param>
/// <param name="RequestsPerSecond">The sustained rate on each instance, in requests a second.</param>
/// <param name="Burst">The most requests at once on each instance, before the rate applies.</param>
/// <param name="RememberUnknown">Whether an early cancel refuses its payment.</param>
/// <param name="MayInquire">Whether the contract includes inquiries; false answers ACCESS_DENIED.</param>
/// <param name="InquiriesPerSecond">The sustained rate of inquiries on each instance, in requests a second.</param>
/// <param name="InquiryBurst">The most inquiries at once on each instance, before their rate applies.</param>
public sealed record ContractView(
    bool MayCancel,
    string Window,
    int RequestsPerSecond,
    int Burst,
    bool RememberUnknown,
    bool MayInquire,
    int InquiriesPerSecond,
    int InquiryBurst
);

/// <summary>A public key of a client.</summary>
/// <param name="Version">The version, which requests name as keyVersion.</param>
/// <param name="PublicKey">The key as SubjectPublicKeyInfo in PEM.</param>
/// <param name="NotBefore">The first instant at which the key is valid (UTC); null for no lower limit.</param>
/// <param name="NotAfter">The first instant at which the key is no longer valid (UTC); null for no end.</param>
/// <param name="RevokedAt">The time of the revocation (UTC); null while the key is not revoked.</param>
public sealed record ClientKeyView(
    int Version,
    string PublicKey,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    DateTimeOffset? RevokedAt
);

/// <summary>The last valid key of an enabled client, if it expires soon.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Version">The key's version.</param>
/// <param name="NotAfter">The first instant at which the key is no longer valid (UTC).</param>
public sealed record EndingKey(string ClientId, int Version, DateTimeOffset NotAfter);

/// <summary>Reads the clients.</summary>
public interface IClientQueries
{
    /// <summary>Finds a client; null when no client has this identifier.</summary>
    Task<ClientView?> Client(ClientId clientId, CancellationToken cancellationToken);

    /// <summary>Lists the clients in the order of their identifiers.</summary>
    Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken);

    /// <summary>Lists a client's keys in the order of their versions.</summary>
    Task<Page<ClientKeyView>> Keys(ClientId clientId, int after, int limit, CancellationToken cancellationToken);

    /// <summary>The remaining validity from which operators are warned of a key.</summary>
    static readonly TimeSpan Soon = TimeSpan.FromDays(14);

    /// <summary>
    /// Lists the enabled clients whose last valid key expires within <see cref="Soon"/>, earliest first.
    /// </summary>
    Task<IReadOnlyList<EndingKey>> KeysEnding(DateTimeOffset now, int limit, CancellationToken cancellationToken);
}
