using CancelService.Domain;
using CancelService.Domain.Ledger;

namespace CancelService.Application.Accounts;

/// <summary>The merchants' accounts.</summary>
public interface IAccounts
{
    /// <summary>The merchant's balance in minor units; 0 without an account.</summary>
    Task<long> Balance(ClientId clientId, Currency currency, CancellationToken cancellationToken);

    /// <summary>Finds a deposit or payout; null when the client has none of that id.</summary>
    Task<Transfer?> FindTransfer(ClientId clientId, string transferId, CancellationToken cancellationToken);

    /// <summary>
    /// Posts a deposit or payout with its entries and the balance, in one transaction. False: another writer got there
    /// first, and nothing was written; look again and decide again.
    /// </summary>
    Task<bool> Post(Transfer transfer, CancellationToken cancellationToken);
}
