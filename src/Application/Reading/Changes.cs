using System.Text.Json;
using CancelService.Domain;
using Microsoft.Extensions.Logging;

namespace CancelService.Application.Reading;

/// <summary>The kind of thing that a change altered.</summary>
public enum ChangeKind
{
    /// <summary>A client: its name, its state, its contract.</summary>
    Client,

    /// <summary>A client's key.</summary>
    Key,

    /// <summary>A client's money: a deposit or a payout.</summary>
    Transfer,

    /// <summary>Events of a client, which were requeued.</summary>
    Requeue,
}

/// <summary>A change of a client, key, money or event by an operator or the core, with its actor and reason.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Kind">The kind of the change.</param>
/// <param name="Subject">
/// The key's version, the transfer's id, or the paymentId of the requeued event; empty for the client itself or many
/// events.
/// </param>
/// <param name="At">The time of the change (UTC).</param>
/// <param name="Actor">The subject of the caller's token.</param>
/// <param name="Reason">The caller's reason from X-Reason; empty when none was given.</param>
/// <param name="Before">The client's or key's state before, as the internal API writes it; null for a new one.</param>
/// <param name="After">
/// The state after. For a transfer: the amount, and the balance before and after. For requeued events: the selection
/// and the number.
/// </param>
public sealed record Change(
    string ClientId,
    ChangeKind Kind,
    string Subject,
    DateTimeOffset At,
    string Actor,
    string Reason,
    JsonElement? Before,
    JsonElement After
);

/// <summary>Selects changes. A null member does not restrict; times are UTC, from inclusive, to exclusive.</summary>
public sealed record ChangeFilter(
    ClientId? ClientId,
    string? Actor,
    ChangeKind? Kind,
    DateTimeOffset From,
    DateTimeOffset To
);

/// <summary>Reads the record of changes.</summary>
public interface IChangeQueries
{
    /// <summary>Lists changes by time; null when <paramref name="after"/> is no cursor of this list.</summary>
    Task<Page<Change>?> Changes(ChangeFilter filter, string? after, int limit, CancellationToken cancellationToken);

    /// <summary>Lists the newest changes of a client or of all clients, newest first.</summary>
    Task<IReadOnlyList<Change>> Newest(int limit, CancellationToken cancellationToken, ClientId? clientId = null);
}

/// <summary>Logs changes, so that an instance's log alone names every actor.</summary>
public static partial class ChangeLog
{
    /// <summary>Logs one change.</summary>
    [LoggerMessage(LogLevel.Information, "{Actor} changed {Kind} {Subject} of {ClientId}, because: {Reason}")]
    public static partial void Changed(
        this ILogger log,
        string actor,
        ChangeKind kind,
        string subject,
        string clientId,
        string reason
    );
}
