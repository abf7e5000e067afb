using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Ledger;

namespace CancelService.Application.Accounts;

/// <summary>The merchants' accounts.</summary>
public interface IAccounts
{
    /// <summary>The merchant's balance in minor units; 0 without an account.</summary>
    Task<long> Balance(ClientId clientId, Currency currency, CancellationToken cancellationToken);

    /// <summary>Finds a deposit or payout by its reference; null when the client has no such transfer.</summary>
    Task<PostedTransfer?> FindTransfer(ClientId clientId, string reference, CancellationToken cancellationToken);

    /// <summary>Writes a deposit or payout and the new balance in one transaction.</summary>
    Task<WriteResult> Post(PostedTransfer transfer, CancellationToken cancellationToken);
}

/// <summary>A deposit or payout.</summary>
/// <param name="Id">The transfer's identifier in the ledger.</param>
/// <param name="ClientId">The client whose account it is.</param>
/// <param name="Reference">
/// The operator's identifier, unique per client: it makes the transfer idempotent for ever.
/// </param>
/// <param name="Transfer">The accounts and the amount.</param>
/// <param name="Actor">The subject of the caller's token.</param>
/// <param name="At">The time of the decision (UTC).</param>
/// <param name="Reason">The caller's reason; empty when none was given.</param>
public sealed record PostedTransfer(
    Guid Id,
    ClientId ClientId,
    string Reference,
    Transfer Transfer,
    string Actor,
    DateTimeOffset At,
    string Reason = ""
);
