using CancelService.Domain;
using CancelService.Domain.Ledger;

namespace CancelService.Application.Reading;

/// <summary>A movement of money, caused by a version of a payment or by an operator's deposit or payout.</summary>
/// <param name="TransferId">The transfer's identifier in the ledger.</param>
/// <param name="Debit">The account that gives the amount.</param>
/// <param name="Credit">The account that gets the amount.</param>
/// <param name="Amount">The amount, in minor units of its currency.</param>
/// <param name="At">The time of the decision (UTC).</param>
/// <param name="PaymentId">The payment that caused the transfer; null for a deposit or payout.</param>
/// <param name="PaymentVersion">
/// The version of the payment that caused the transfer; null for a deposit or payout.
/// </param>
/// <param name="Reference">The id with which an operator posted the deposit or payout; null for a payment.</param>
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

/// <summary>A merchant's account with a page of its transfers.</summary>
/// <param name="Currency">The currency, three letters (ISO 4217).</param>
/// <param name="Balance">The balance in minor units, 0 to 10^18.</param>
/// <param name="Transfers">A page of the transfers, oldest first.</param>
/// <param name="Next">The cursor of the next page; null on the last page.</param>
public sealed record AccountView(string Currency, long Balance, IReadOnlyList<TransferView> Transfers, string? Next);

/// <summary>A merchant's balance in one currency.</summary>
/// <param name="Currency">The currency, three letters (ISO 4217).</param>
/// <param name="Balance">The balance in minor units, 0 to 10^18.</param>
public sealed record BalanceView(string Currency, long Balance);

/// <summary>Reads the merchants' accounts.</summary>
public interface IAccountQueries
{
    /// <summary>Lists a merchant's accounts in the order of their currencies.</summary>
    Task<IReadOnlyList<BalanceView>> Accounts(ClientId clientId, CancellationToken cancellationToken);

    /// <summary>
    /// Finds a merchant's account with a page of its transfers; null when the client has no such account.
    /// </summary>
    Task<AccountView?> Account(
        ClientId clientId,
        Currency currency,
        Guid? after,
        int limit,
        CancellationToken cancellationToken
    );
}
