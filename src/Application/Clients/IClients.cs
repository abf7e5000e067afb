using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.Application.Clients;

/// <summary>The clients as the public port sees them: kept in memory for a short time, so that no request parses a key.</summary>
public interface IClients
{
    /// <summary>What this instance last knew of a client, however old. It asks no database.</summary>
    Recollection Recall(ClientId id);

    /// <summary>
    /// Finds a client with its contract and keys, in memory while that is current, otherwise in the database; absent when
    /// there is none of that id.
    /// </summary>
    ValueTask<Client?> Find(ClientId id, CancellationToken cancellationToken);
}

/// <summary>What an instance remembers of a client.</summary>
/// <param name="Client">The client; absent when none of that id was found, or none was looked for.</param>
/// <param name="IsCurrent">Whether it is recent enough to decide anything.</param>
public readonly record struct Recollection(Client? Client, bool IsCurrent);
