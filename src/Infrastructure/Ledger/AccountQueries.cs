using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Ledger;

/// <summary>Reads the merchants' accounts.</summary>
internal sealed class AccountQueries(Database database) : IAccountQueries
{
    public async Task<IReadOnlyList<BalanceView>> Accounts(ClientId clientId, CancellationToken cancellationToken)
    {
        var accounts = await database.Read(
            db =>
                db.Set<AccountRow>()
                    .AsNoTracking()
                    .Where(a => a.ClientId == clientId)
                    .OrderBy(a => a.Currency)
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return accounts.ConvertAll(account => new BalanceView(account.Currency.Code, account.Balance));
    }

    public async Task<AccountView?> Account(
        ClientId clientId,
        Currency currency,
        Guid? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        return await database.Read(Account, cancellationToken);

        async Task<AccountView?> Account(CancelDbContext db)
        {
            var account = await db.Set<AccountRow>()
                .AsNoTracking()
                .SingleOrDefaultAsync(a => a.ClientId == clientId && a.Currency == currency, cancellationToken);
            if (account is null)
                return null;
            var transfers = await db.Set<TransferRow>()
                .AsNoTracking()
                .Where(t => t.ClientId == clientId && t.Currency == currency && (after == null || t.TransferId > after))
                .OrderBy(t => t.TransferId)
                .Take(limit + 1)
                .ToListAsync(cancellationToken);
            var page = Page.Of(transfers, limit, transfer => transfer.TransferId.ToString());
            return new(currency.Code, account.Balance, [.. page.Items.Select(View)], page.Next);
        }
    }

    internal static TransferView View(TransferRow row) =>
        new(
            row.TransferId,
            row.Debit,
            row.Credit,
            new(row.MinorUnits, row.Currency.Code),
            row.At,
            row.PaymentId?.Value,
            row.PaymentVersion,
            row.Reference
        );
}
