using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.Application.Clients;

/// <summary>The public port's view of the clients: cached for a short time, so that no request parses a key.</summary>
public interface IClients
{
    /// <summary>Returns the cached client, however stale. Asks no database.</summary>
    Recollection Recall(ClientId id);

    /// <summary>
    /// Finds a client with its contract and keys, in the cache or else in the database; null when no client has this
    /// identifier.
    /// </summary>
    ValueTask<Client?> Find(ClientId id, CancellationToken cancellationToken);
}

/// <summary>An entry of the cache of clients.</summary>
/// <param name="Client">The client; null when it was not found, or never looked for.</param>
/// <param name="IsCurrent">False when the entry is stale: then it decides nothing while the database answers.</param>
public readonly record struct Recollection(Client? Client, bool IsCurrent);
