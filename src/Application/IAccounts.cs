using CancelService.Domain;
using CancelService.Domain.Ledger;

namespace CancelService.Application;

/// <summary>The merchants' accounts.</summary>
public interface IAccounts
{
    /// <summary>
    /// Posts a ledger transaction: its entries and the merchant's balance, together. False: the transaction is known
    /// already, or the balance is not enough; nothing was written.
    /// </summary>
    Task<bool> Post(
        ClientId clientId,
        Guid transactionId,
        IReadOnlyList<LedgerEntry> entries,
        DateTimeOffset now,
        CancellationToken cancellationToken
    );
}
