using CancelService.Domain;

namespace CancelService.Application.Reading;

/// <summary>A client with its contract.</summary>
public sealed record ClientView(string ClientId, string Name, bool Enabled, ContractView Contract);

/// <summary>A contract; the window in the form in which it is given.</summary>
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

/// <summary>A key of a client; times are UTC.</summary>
public sealed record ClientKeyView(
    int Version,
    string PublicKey,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    DateTimeOffset? RevokedAt
);

/// <summary>The last valid key of an enabled client, which ends soon (UTC).</summary>
public sealed record EndingKey(string ClientId, int Version, DateTimeOffset NotAfter);

/// <summary>Reads the clients.</summary>
public interface IClientQueries
{
    /// <summary>A client; null when there is none of that id.</summary>
    Task<ClientView?> Client(ClientId clientId, CancellationToken cancellationToken);

    /// <summary>The clients, in the order of their ids.</summary>
    Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken);

    /// <summary>The keys of a client, in the order of their versions.</summary>
    Task<Page<ClientKeyView>> Keys(ClientId clientId, int after, int limit, CancellationToken cancellationToken);

    /// <summary>How soon a key ends that operators are warned of.</summary>
    static readonly TimeSpan Soon = TimeSpan.FromDays(14);

    /// <summary>The enabled clients whose last valid key ends within <see cref="Soon"/>, the first to end first.</summary>
    Task<IReadOnlyList<EndingKey>> KeysEnding(DateTimeOffset now, int limit, CancellationToken cancellationToken);
}
