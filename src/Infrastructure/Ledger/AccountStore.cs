using System.Globalization;
using CancelService.Application.Accounts;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Infrastructure.Changes;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Ledger;

/// <summary>Stores deposits and payouts, and reads the merchants' balances.</summary>
internal sealed class AccountStore(Database database) : IAccounts
{
    public async Task<long> Balance(ClientId clientId, Currency currency, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await db.Set<AccountRow>()
            .Where(a => a.ClientId == clientId && a.Currency == currency)
            .Select(a => a.Balance)
            .SingleOrDefaultAsync(cancellationToken);
    }

    public async Task<PostedTransfer?> FindTransfer(
        ClientId clientId,
        string reference,
        CancellationToken cancellationToken
    )
    {
        var found = await database.Read(
            db =>
                db.Set<TransferRow>()
                    .AsNoTracking()
                    .SingleOrDefaultAsync(t => t.ClientId == clientId && t.Reference == reference, cancellationToken),
            row => row is not null,
            cancellationToken
        );
        return found is not { } row ? null : new(row.TransferId, clientId, reference, row.Transfer, row.Actor!, row.At);
    }

    public Task<WriteResult> Post(PostedTransfer transfer, CancellationToken cancellationToken)
    {
        var batch = new AtomicBatch().BeginChange(database, transfer.ClientId);
        var row = new TransferRow
        {
            ClientId = transfer.ClientId,
            TransferId = transfer.Id,
            Debit = transfer.Transfer.Debit,
            Credit = transfer.Transfer.Credit,
            MinorUnits = transfer.Transfer.Amount.MinorUnits,
            Currency = transfer.Transfer.Amount.Currency,
            At = transfer.At,
            Reference = transfer.Reference,
            Actor = transfer.Actor,
        };
        LedgerStatements.Add(batch, transfer.ClientId, [row]);
        batch.Record(Change(transfer), "accounts WHERE client_id = $1 AND currency = $8", row.Currency.Code);
        return database.Write(batch, cancellationToken);
    }

    // The statement runs while the account's row is locked and holds the new balance.
    private static Recorded Change(PostedTransfer transfer)
    {
        var state = ChangeStatements.Text(
            new
            {
                debit = CancelDbContext.Stored(transfer.Transfer.Debit),
                credit = CancelDbContext.Stored(transfer.Transfer.Credit),
                amount = MoneyView.Of(transfer.Transfer.Amount),
            }
        );
        var before = string.Create(CultureInfo.InvariantCulture, $"balance - ({transfer.Transfer.Change})");
        return new(
            transfer.ClientId,
            new ChangeAuthor(transfer.Actor, transfer.Reason, transfer.At),
            ChangeKind.Transfer,
            transfer.Reference,
            state[..^1],
            $$$"""$7 || ',"balance":{"before":' || ({{{before}}}) || ',"after":' || balance || '}}'"""
        );
    }
}

/// <summary>The statements that write a merchant's ledger: balances and transfers.</summary>
internal static class LedgerStatements
{
    /// <summary>
    /// Adds the statements. They must come last, because all writes of a busy merchant wait for its account's row. The
    /// balance comes before the transfers: the foreign key of a transfer would otherwise take a shared lock on the row,
    /// and such locks leave row versions that slow every reader until the next vacuum.
    /// </summary>
    public static void Add(AtomicBatch batch, ClientId clientId, IReadOnlyList<TransferRow> transfers)
    {
        // A fixed order prevents deadlocks between writers.
        foreach (
            var account in transfers
                .GroupBy(transfer => transfer.Currency.Code, StringComparer.Ordinal)
                .OrderBy(account => account.Key, StringComparer.Ordinal)
        )
        {
            if (account.Any(transfer => transfer.Credit is LedgerAccount.Merchant))
                batch.Add(
                    "INSERT INTO accounts (client_id, currency, balance) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
                    clientId.Value,
                    account.Key
                );
            batch.Add(
                "UPDATE accounts SET balance = balance + $1 WHERE client_id = $2 AND currency = $3",
                account.Sum(transfer => transfer.Transfer.Change),
                clientId.Value,
                account.Key
            );
        }

        foreach (var transfer in transfers)
            batch.Add(
                """
                INSERT INTO transfers (client_id, transfer_id, debit, credit, minor_units, currency, at, payment_id,
                    payment_version, reference, actor)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                """,
                clientId.Value,
                transfer.TransferId,
                CancelDbContext.Stored(transfer.Debit),
                CancelDbContext.Stored(transfer.Credit),
                transfer.MinorUnits,
                transfer.Currency.Code,
                transfer.At,
                transfer.PaymentId?.Value,
                transfer.PaymentVersion,
                transfer.Reference,
                transfer.Actor
            );
    }
}
