using System.Text.Json;
using CancelService.Domain;
using Microsoft.Extensions.Logging;

namespace CancelService.Application.Reading;

/// <summary>What a change was of.</summary>
public enum ChangeKind
{
    /// <summary>A client: its name, its state, its contract.</summary>
    Client,

    /// <summary>A client's key.</summary>
    Key,

    /// <summary>A client's money: a deposit or a payout.</summary>
    Transfer,

    /// <summary>Events of a client, which were queued again.</summary>
    Requeue,
}

/// <summary>A change that an operator or the core made, with who made it. Times are UTC.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Kind">What was changed.</param>
/// <param name="Subject">The key's version, the transfer's id, or the payment whose event was queued; empty where it is the client, or many events.</param>
/// <param name="At">When.</param>
/// <param name="Actor">Who: the token's subject.</param>
/// <param name="Reason">Why, as the caller said in X-Reason; empty when nothing was said.</param>
/// <param name="Before">The state of a client or a key before, in the form of the internal API; null when it was new.</param>
/// <param name="After">The state after; of a transfer, the amount and the balance before and after; of requeued events, which and how many.</param>
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

/// <summary>Which changes are listed: all that fit what is given.</summary>
public sealed record ChangeFilter(
    ClientId? ClientId,
    string? Actor,
    ChangeKind? Kind,
    DateTimeOffset From,
    DateTimeOffset To
);

/// <summary>Reads who changed what.</summary>
public interface IChangeQueries
{
    /// <summary>Changes by time; null when <paramref name="after"/> is no cursor of this list.</summary>
    Task<Page<Change>?> Changes(ChangeFilter filter, string? after, int limit, CancellationToken cancellationToken);

    /// <summary>The newest changes, the newest first; of one client, or of all.</summary>
    Task<IReadOnlyList<Change>> Newest(int limit, CancellationToken cancellationToken, ClientId? clientId = null);
}

/// <summary>The log's lines of changes, so that the log of an instance alone tells who changed what.</summary>
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
