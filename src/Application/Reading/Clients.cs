using System.Text.Json;
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
    bool RememberUnknown
);

/// <summary>A key of a client; times are UTC.</summary>
public sealed record ClientKeyView(
    int Version,
    string PublicKey,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    DateTimeOffset? RevokedAt
);

/// <summary>What a change was of.</summary>
public enum ChangeKind
{
    /// <summary>The client: its name, its state, its contract.</summary>
    Client,

    /// <summary>One of its keys.</summary>
    Key,
}

/// <summary>A change of a client or a key, with who made it. Times are UTC.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Kind">What was changed.</param>
/// <param name="KeyVersion">Which key; null for the client.</param>
/// <param name="At">When.</param>
/// <param name="Actor">Who: the token's subject.</param>
/// <param name="Reason">Why, as the caller said in X-Reason; empty when nothing was said.</param>
/// <param name="Before">The state before, in the form of the internal API; null when it was new.</param>
/// <param name="After">The state after.</param>
public sealed record ClientChange(
    string ClientId,
    ChangeKind Kind,
    int? KeyVersion,
    DateTimeOffset At,
    string Actor,
    string Reason,
    JsonElement? Before,
    JsonElement After
);

/// <summary>Which changes are listed: all that fit what is given.</summary>
public sealed record ChangeFilter(
    ClientId? ClientId,
    string? Actor,
    ChangeKind? Kind,
    DateTimeOffset From,
    DateTimeOffset To
);

/// <summary>Reads the clients.</summary>
public interface IClientQueries
{
    /// <summary>A client; null when there is none of that id.</summary>
    Task<ClientView?> Client(ClientId clientId, CancellationToken cancellationToken);

    /// <summary>The clients, in the order of their ids.</summary>
    Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken);

    /// <summary>The keys of a client, in the order of their versions.</summary>
    Task<Page<ClientKeyView>> Keys(ClientId clientId, int after, int limit, CancellationToken cancellationToken);

    /// <summary>Changes of clients and keys, by time; null when <paramref name="after"/> is no cursor of this list.</summary>
    Task<Page<ClientChange>?> Changes(
        ChangeFilter filter,
        string? after,
        int limit,
        CancellationToken cancellationToken
    );
}
