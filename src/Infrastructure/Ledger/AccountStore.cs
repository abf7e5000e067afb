using CancelService.Application.Accounts;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Ledger;

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
        LedgerStatements.Add(
            batch,
            transfer.ClientId,
            [new Posting(transfer.TransactionId, transfer.Entries(), transfer.At, null)]
        );
        return await database.Execute(batch, cancellationToken) is not null;
    }
}

/// <summary>A transaction of the ledger that is to be written.</summary>
internal sealed record Posting(
    Guid TransactionId,
    IReadOnlyList<LedgerEntry> Entries,
    DateTimeOffset At,
    PaymentId? PaymentId
);

/// <summary>The statements that write transactions of a merchant's ledger: the merchant's balances, and the entries.</summary>
internal static class LedgerStatements
{
    /// <summary>
    /// Adds the statements. They have to come last, because a busy merchant's account is the row that everyone waits for. Its
    /// balance comes before the entries: they refer to the account, and each would otherwise share a lock of its row, which
    /// leaves versions of the row behind that every reader has to pass until the next vacuum.
    /// </summary>
    public static void Add(AtomicBatch batch, ClientId clientId, IReadOnlyList<Posting> postings)
    {
        // In the order of the currencies, so that no two writers can lock each other out.
        foreach (
            var account in postings
                .SelectMany(posting => posting.Entries)
                .Where(entry => entry.Account is LedgerAccount.Merchant)
                .GroupBy(entry => entry.Currency.Code, StringComparer.Ordinal)
                .OrderBy(account => account.Key, StringComparer.Ordinal)
        )
        {
            if (account.Any(entry => entry.MinorUnits > 0))
                batch.Add(
                    "INSERT INTO accounts (client_id, currency, balance) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
                    clientId.Value,
                    account.Key
                );
            batch.Add(
                "UPDATE accounts SET balance = balance + $1 WHERE client_id = $2 AND currency = $3",
                account.Sum(entry => entry.MinorUnits),
                clientId.Value,
                account.Key
            );
        }

        foreach (var posting in postings)
        {
            List<object?> values = [clientId.Value, posting.TransactionId, posting.At, posting.PaymentId?.Value];
            var lines = new List<string>();
            foreach (var entry in posting.Entries)
            {
                var n = values.Count;
                lines.Add($"($1, $2, {lines.Count + 1}, ${n + 1}, ${n + 2}, ${n + 3}, $3, $4)");
                values.AddRange([CancelDbContext.Stored(entry.Account), entry.MinorUnits, entry.Currency.Code]);
            }
            batch.Add(
                $"""
                INSERT INTO ledger_entries (client_id, transaction_id, line, account, minor_units, currency, at, payment_id)
                VALUES {string.Join(", ", lines)}
                """,
                [.. values]
            );
        }
    }
}
