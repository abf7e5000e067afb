namespace CancelService.Domain.Ledger;

/// <summary>
/// The accounts of a client's ledger, in each currency. Only the merchant's own can run out, so only that one keeps
/// a balance; the others are what the entries say.
/// </summary>
public enum LedgerAccount
{
    /// <summary>What the wallet owes to the merchant. Its balance can never be negative.</summary>
    Merchant,

    /// <summary>What came from the client's payers, and went back to them.</summary>
    Payers,

    /// <summary>What was paid in by the merchant (deposits) and paid out to it (payouts).</summary>
    Settlement,
}

/// <summary>One line of a ledger transaction: minor units, positive for a credit, negative for a debit.</summary>
public readonly record struct LedgerEntry(LedgerAccount Account, long MinorUnits, Currency Currency)
{
    /// <summary>A movement of money as its two entries; they sum to zero.</summary>
    public static IReadOnlyList<LedgerEntry> Move(Money amount, LedgerAccount from, LedgerAccount to) =>
        [new(from, -amount.MinorUnits, amount.Currency), new(to, amount.MinorUnits, amount.Currency)];
}
