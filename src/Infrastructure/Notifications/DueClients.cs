using CancelService.Domain;

namespace CancelService.Infrastructure.Notifications;

/// <summary>
/// The clients of which this instance itself knows that events are due: it cancelled a payment, an attempt of its own failed, or
/// an operator queued events again through it. On a distributed database a look at the outbox asks every shard, so an instance
/// takes the clients from here, and looks only now and then for what other instances left behind.
/// </summary>
public sealed class DueClients
{
    /// <summary>The most clients that are known; more are found by the next look.</summary>
    public const int Max = 10_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<ClientId, DateTimeOffset> _dueAt = [];

    /// <summary>Notes that events of a client are due at a time (UTC), if nothing is known to be due earlier.</summary>
    public void Note(ClientId clientId, DateTimeOffset dueAt)
    {
        lock (_lock)
        {
            if (_dueAt.TryGetValue(clientId, out var known) ? dueAt < known : _dueAt.Count < Max)
                _dueAt[clientId] = dueAt;
        }
    }

    /// <summary>Takes out the clients that are due, those that have waited longest first.</summary>
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
