using CancelService.Domain;
using CancelService.Domain.Ledger;

namespace CancelService.Application.Reading;

/// <summary>
/// A movement of money from the debited to the credited account (UTC). Its cause is a version of a payment, or a deposit or
/// payout with the operator's reference.
/// </summary>
public sealed record TransferView(
    Guid TransferId,
    LedgerAccount Debit,
    LedgerAccount Credit,
    MoneyView Amount,
    DateTimeOffset At,
    string? PaymentId,
    int? PaymentVersion,
    string? Reference
);

/// <summary>A merchant's account: its balance in minor units, and a page of its transfers, oldest first.</summary>
public sealed record AccountView(string Currency, long Balance, IReadOnlyList<TransferView> Transfers, string? Next);

/// <summary>A merchant's balance in a currency, in minor units.</summary>
public sealed record BalanceView(string Currency, long Balance);

/// <summary>Reads the merchants' accounts.</summary>
public interface IAccountQueries
{
    /// <summary>A merchant's accounts, in the order of their currencies.</summary>
    Task<IReadOnlyList<BalanceView>> Accounts(ClientId clientId, CancellationToken cancellationToken);

    /// <summary>A merchant's account with a page of its transfers; null when there is none.</summary>
    Task<AccountView?> Account(
        ClientId clientId,
        Currency currency,
        Guid? after,
        int limit,
        CancellationToken cancellationToken
    );
}
