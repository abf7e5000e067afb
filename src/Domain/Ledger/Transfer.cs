namespace CancelService.Domain.Ledger;

/// <summary>
/// The accounts of a client's ledger, in each currency. Only the merchant's own can run out, so only that one keeps
/// a balance; the balances of the others follow from the transfers.
/// </summary>
public enum LedgerAccount
{
    /// <summary>What the wallet owes to the merchant: 0 to <see cref="Money.MaxBalance"/>.</summary>
    Merchant,

    /// <summary>What came from the client's payers, and went back to them.</summary>
    Payers,

    /// <summary>What was paid in by the merchant (deposits) and paid out to it (payouts).</summary>
    Settlement,
}

/// <summary>How a merchant's own money comes in and goes out.</summary>
public enum TransferKind
{
    /// <summary>Paid in: the merchant's account is credited.</summary>
    Deposit,

    /// <summary>Paid out: the merchant's account is debited.</summary>
    Payout,
}

/// <summary>
/// A movement of money between two accounts of a client's ledger. It is one row, so it can't be unbalanced.
/// </summary>
/// <param name="Debit">The account that gives the amount.</param>
/// <param name="Credit">The account that gets the amount.</param>
/// <param name="Amount">How much.</param>
public sealed record Transfer(LedgerAccount Debit, LedgerAccount Credit, Money Amount)
{
    /// <summary>By how much the merchant's balance changes: minor units, negative when the merchant gives.</summary>
    public long Change =>
        Credit is LedgerAccount.Merchant ? Amount.MinorUnits
        : Debit is LedgerAccount.Merchant ? -Amount.MinorUnits
        : 0;

    /// <summary>A payment is paid or captured.</summary>
    public static Transfer Paid(Money amount) => new(LedgerAccount.Payers, LedgerAccount.Merchant, amount);

    /// <summary>Money goes back to the payer.</summary>
    public static Transfer Refunded(Money amount) => new(LedgerAccount.Merchant, LedgerAccount.Payers, amount);

    /// <summary>A deposit or a payout.</summary>
    public static Transfer Of(TransferKind kind, Money amount) =>
        kind switch
        {
            TransferKind.Deposit => new(LedgerAccount.Settlement, LedgerAccount.Merchant, amount),
            TransferKind.Payout => new(LedgerAccount.Merchant, LedgerAccount.Settlement, amount),
        };
}
