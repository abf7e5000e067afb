using CancelService.Domain;
using CancelService.Infrastructure.Servers;

namespace CancelService.Infrastructure.Notifications;

/// <summary>
/// Tracks clients with due events in memory, on Citus only: there a query of the outbox asks every shard. An instance
/// adds a client when it cancels a payment, when its own attempt fails, and when an operator queues events again
/// through it. A rare query of the outbox finds the clients of other instances.
/// </summary>
/// <param name="nodes">Returns the nodes that hold the outbox.</param>
internal sealed class DueClients(Func<INodes> nodes)
{
    /// <summary>The most clients to track; the next query of the outbox finds the others.</summary>
    public const int Max = 10_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<ClientId, DateTimeOffset> _dueAt = [];

    /// <summary>
    /// Tracks that a client has events due at the given time (UTC); an earlier time stays. Does nothing on a single
    /// server, where each poll queries the outbox.
    /// </summary>
    public void Note(ClientId clientId, DateTimeOffset dueAt)
    {
        if (!nodes().ScatterQueries)
            return;
        lock (_lock)
        {
            if (_dueAt.TryGetValue(clientId, out var known) ? dueAt < known : _dueAt.Count < Max)
                _dueAt[clientId] = dueAt;
        }
    }

    /// <summary>Removes due clients and returns them, the longest waiting first.</summary>
    internal List<ClientId> Take(DateTimeOffset now, int limit)
    {
        lock (_lock)
        {
            var due = _dueAt.Where(known => known.Value <= now).OrderBy(known => known.Value).Take(limit);
            var clients = due.Select(known => known.Key).ToList();
            foreach (var clientId in clients)
                _dueAt.Remove(clientId);
            return clients;
        }
    }
}
