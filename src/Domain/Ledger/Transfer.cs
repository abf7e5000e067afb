namespace CancelService.Domain.Ledger;

/// <summary>
/// The accounts of a client's ledger in each currency. Only the merchant's can run out, so only it has a stored
/// balance; the other balances follow from the transfers.
/// </summary>
public enum LedgerAccount
{
    /// <summary>The wallet's debt to the merchant: 0 to <see cref="Money.MaxBalance"/> minor units.</summary>
    Merchant,

    /// <summary>The money from and to the client's payers.</summary>
    Payers,

    /// <summary>The money that the merchant pays in (deposits) and gets paid out (payouts).</summary>
    Settlement,
}

/// <summary>A movement of the merchant's own money.</summary>
public enum TransferKind
{
    /// <summary>Paid in: the merchant's account is credited.</summary>
    Deposit,

    /// <summary>Paid out: the merchant's account is debited.</summary>
    Payout,
}

/// <summary>
/// A movement of money between two accounts of a client's ledger. A single row can't be unbalanced.
/// </summary>
/// <param name="Debit">The account that gives the amount.</param>
/// <param name="Credit">The account that gets the amount.</param>
/// <param name="Amount">The amount, more than 0.</param>
public sealed record Transfer(LedgerAccount Debit, LedgerAccount Credit, Money Amount)
{
    /// <summary>The change of the merchant's balance, in minor units; negative for a debit.</summary>
    public long Change =>
        Credit is LedgerAccount.Merchant ? Amount.MinorUnits
        : Debit is LedgerAccount.Merchant ? -Amount.MinorUnits
        : 0;

    /// <summary>Credits the merchant for a paid or captured payment.</summary>
    public static Transfer Paid(Money amount) => new(LedgerAccount.Payers, LedgerAccount.Merchant, amount);

    /// <summary>Returns money to the payer.</summary>
    public static Transfer Refunded(Money amount) => new(LedgerAccount.Merchant, LedgerAccount.Payers, amount);

    /// <summary>Makes a deposit or a payout.</summary>
    public static Transfer Of(TransferKind kind, Money amount) =>
        kind switch
        {
            TransferKind.Deposit => new(LedgerAccount.Settlement, LedgerAccount.Merchant, amount),
            TransferKind.Payout => new(LedgerAccount.Merchant, LedgerAccount.Settlement, amount),
        };
}
