using CancelService.Application;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Persistence;

/// <summary>The merchants' accounts in the database.</summary>
internal sealed class AccountStore(Database database) : IAccounts
{
    public async Task<long> Balance(ClientId clientId, Currency currency, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await db
            .Accounts.Where(a => a.ClientId == clientId && a.Currency == currency)
            .Select(a => a.Balance)
            .SingleOrDefaultAsync(cancellationToken);
    }

    public async Task<Transfer?> FindTransfer(ClientId clientId, string transferId, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await db
            .Transfers.AsNoTracking()
            .SingleOrDefaultAsync(t => t.ClientId == clientId && t.Id == transferId, cancellationToken);
    }

    public async Task<bool> Post(Transfer transfer, CancellationToken cancellationToken)
    {
        var batch = new AtomicBatch().Add(
            """
            INSERT INTO transfers (client_id, transfer_id, kind, amount_minor_units, amount_currency, transaction_id,
                actor, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            transfer.ClientId.Value,
            transfer.Id,
            CancelDbContext.Stored(transfer.Kind),
            transfer.Amount.MinorUnits,
            transfer.Amount.Currency.Code,
            transfer.TransactionId,
            transfer.Actor,
            transfer.At
        );
        var entries = transfer.Entries();
        LedgerStatements.Add(batch, transfer.ClientId, transfer.TransactionId, entries, transfer.At, null);
        LedgerStatements.AddBalances(batch, transfer.ClientId, entries);
        return await database.Execute(batch, cancellationToken) is not null;
    }
}

/// <summary>The statements of a ledger transaction: its entries, and the merchant's balance.</summary>
internal static class LedgerStatements
{
    /// <summary>Writes the entries.</summary>
    public static void Add(
        AtomicBatch batch,
        ClientId clientId,
        Guid transactionId,
        IReadOnlyList<LedgerEntry> entries,
        DateTimeOffset now,
        PaymentId? paymentId
    )
    {
        foreach (var entry in entries.Where(e => e is { Account: LedgerAccount.Merchant, MinorUnits: > 0 }))
            batch.Add(
                "INSERT INTO accounts (client_id, currency, balance) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
                clientId.Value,
                entry.Currency.Code
            );

        for (var i = 0; i < entries.Count; i++)
            batch.Add(
                """
                INSERT INTO ledger_entries (client_id, transaction_id, line, account, minor_units, currency, at, payment_id)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                """,
                clientId.Value,
                transactionId,
                (short)(i + 1),
                CancelDbContext.Stored(entries[i].Account),
                entries[i].MinorUnits,
                entries[i].Currency.Code,
                now,
                paymentId?.Value
            );
    }

    /// <summary>
    /// Brings the merchant's balances up to date, in the order of the currencies. It has to come last, because the row of a
    /// busy merchant is what everyone waits for: it is locked for the commit and no longer.
    /// </summary>
    public static void AddBalances(AtomicBatch batch, ClientId clientId, IEnumerable<LedgerEntry> entries)
    {
        foreach (
            var account in entries
                .Where(e => e.Account is LedgerAccount.Merchant)
                .GroupBy(e => e.Currency.Code, StringComparer.Ordinal)
                .OrderBy(account => account.Key, StringComparer.Ordinal)
        )
            batch.Add(
                "UPDATE accounts SET balance = balance + $1 WHERE client_id = $2 AND currency = $3",
                account.Sum(entry => entry.MinorUnits),
                clientId.Value,
                account.Key
            );
    }
}
