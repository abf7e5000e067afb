namespace CancelService.Domain.Ledger;

/// <summary>How a merchant's own money comes in and goes out.</summary>
public enum TransferKind
{
    /// <summary>Paid in: the merchant's account is credited.</summary>
    Deposit,

    /// <summary>Paid out: the merchant's account is debited.</summary>
    Payout,
}

/// <summary>A deposit or a payout. Its identifier, which the operator chooses, makes it idempotent for ever.</summary>
public sealed class Transfer
{
    /// <summary>The client whose account it is.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The operator's identifier, unique per client.</summary>
    public required string Id { get; init; }

    /// <summary>Deposit or payout.</summary>
    public required TransferKind Kind { get; init; }

    /// <summary>How much.</summary>
    public required Money Amount { get; init; }

    /// <summary>The ledger transaction that moves the money.</summary>
    public required Guid TransactionId { get; init; }

    /// <summary>Who asked for it.</summary>
    public required string Actor { get; init; }

    /// <summary>When it was decided (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The entries of the ledger transaction; they sum to zero.</summary>
    public IReadOnlyList<LedgerEntry> Entries() =>
        Kind switch
        {
            TransferKind.Deposit => LedgerEntry.Move(
                Amount,
                from: LedgerAccount.Settlement,
                to: LedgerAccount.Merchant
            ),
            TransferKind.Payout => LedgerEntry.Move(Amount, from: LedgerAccount.Merchant, to: LedgerAccount.Settlement),
        };
}
