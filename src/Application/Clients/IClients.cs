using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.Application.Clients;

/// <summary>The clients, for the hot path: cached for a short, bounded time, so that no request parses a key.</summary>
public interface IClients
{
    /// <summary>Whether this instance has found the client before, so that finding it again is cheap.</summary>
    bool IsKnown(ClientId id);

    /// <summary>Finds a client with its contract and keys; null when there is none of that id.</summary>
    ValueTask<Client?> Find(ClientId id, CancellationToken cancellationToken);
}
