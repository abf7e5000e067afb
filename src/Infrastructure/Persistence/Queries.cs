using System.Globalization;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Persistence;

/// <summary>An amount: minor units of a currency.</summary>
public sealed record MoneyView(long MinorUnits, string Currency)
{
    /// <summary>The view of an amount.</summary>
    public static MoneyView Of(Money money) => new(money.MinorUnits, money.Currency.Code);
}

/// <summary>A payment as it stands. Amounts are minor units of the payment's currency, times are UTC.</summary>
public sealed record PaymentView(
    string ClientId,
    string PaymentId,
    string PaymentRequestId,
    PaymentKind Kind,
    PaymentStatus Status,
    MoneyView Amount,
    long Captured,
    long Refunded,
    DateTimeOffset InitiatedAt,
    string? Payer,
    int Version,
    CancellationView? Cancellation
)
{
    /// <summary>The view of a payment.</summary>
    public static PaymentView Of(Payment payment)
    {
        ArgumentNullException.ThrowIfNull(payment);
        return new(
            payment.ClientId.Value,
            payment.Id.Value,
            payment.RequestId.Value,
            payment.Kind,
            payment.Status,
            MoneyView.Of(payment.Amount),
            payment.Captured,
            payment.Refunded,
            payment.InitiatedAt,
            payment.Payer,
            payment.Version,
            payment.Cancellation is { } c ? new CancellationView(c.Effect, c.CancelledAt) : null
        );
    }
}

/// <summary>What a cancel did, and when (UTC).</summary>
public sealed record CancellationView(CancelEffect Effect, DateTimeOffset CancelTime);

/// <summary>A payment with all that happened to it.</summary>
public sealed record PaymentDetailView(
    PaymentView Payment,
    IReadOnlyList<HistoryView> History,
    IReadOnlyList<EntryView> LedgerEntries
);

/// <summary>A line of a payment's history; an action with a remedy was refused as late money.</summary>
public sealed record HistoryView(
    int Version,
    PaymentAction Action,
    string Actor,
    DateTimeOffset At,
    PaymentStatus? From,
    PaymentStatus To,
    long? MinorUnits,
    string? EventId,
    LateMoney? Remedy
);

/// <summary>A ledger entry: minor units, positive for a credit, negative for a debit.</summary>
public sealed record EntryView(
    Guid TransactionId,
    short Line,
    LedgerAccount Account,
    long MinorUnits,
    string Currency,
    DateTimeOffset At,
    string? PaymentId
);

/// <summary>A merchant's account: its balance, and a page of its entries, oldest first.</summary>
public sealed record AccountView(string Currency, long Balance, IReadOnlyList<EntryView> Entries, string? Next);

/// <summary>A client with its contract.</summary>
public sealed record ClientView(string ClientId, string Name, bool Enabled, ContractView Contract);

/// <summary>A contract; the window in the form in which it is given.</summary>
public sealed record ContractView(
    bool MayCancel,
    string Window,
    int RequestsPerSecond,
    int Burst,
    bool RememberUnknown
);

/// <summary>A key of a client; times are UTC.</summary>
public sealed record ClientKeyView(
    int Version,
    string PublicKey,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    DateTimeOffset? RevokedAt
);

/// <summary>A page of a list; <c>next</c> is the cursor of the next page, and null on the last.</summary>
public sealed record Page<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>The read side of the internal API: plain queries, which bypass the domain.</summary>
public sealed class Queries(Database database)
{
    /// <summary>A payment with its history and ledger entries; null when the client has none such.</summary>
    public async Task<PaymentDetailView?> Payment(
        ClientId clientId,
        PaymentId paymentId,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        // One snapshot: the history must not know more than the payment.
        await db.Database.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await Database.Snapshot(db.Database.GetDbConnection(), cancellationToken);
        await db.Database.UseTransactionAsync(snapshot, cancellationToken);
        var payment = await db
            .Payments.AsNoTracking()
            .Include(p => p.Cancellation)
            .SingleOrDefaultAsync(p => p.ClientId == clientId && p.Id == paymentId, cancellationToken);
        if (payment is null)
            return null;

        var history = await db
            .History.Where(h => h.ClientId == clientId && h.PaymentId == paymentId)
            .OrderBy(h => h.Version)
            .Select(h => new HistoryView(
                h.Version,
                h.Action,
                h.Actor,
                h.At,
                h.FromStatus,
                h.ToStatus,
                h.MinorUnits,
                h.EventId,
                h.Remedy
            ))
            .ToListAsync(cancellationToken);
        var entries = await Entries(
            db.Ledger.Where(e => e.ClientId == clientId && e.PaymentId == paymentId),
            cancellationToken
        );
        return new(PaymentView.Of(payment), history, entries);
    }

    /// <summary>The wallet's identifier of the payment with a merchant's identifier; null when there is none.</summary>
    public async Task<PaymentId?> PaymentIdOf(
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var payment = await db
            .Payments.AsNoTracking()
            .SingleOrDefaultAsync(p => p.ClientId == clientId && p.RequestId == requestId, cancellationToken);
        return payment?.Id;
    }

    /// <summary>A merchant's account with a page of the merchant's entries; null when there is none.</summary>
    public async Task<AccountView?> Account(
        ClientId clientId,
        Currency currency,
        Guid? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var account = await db
            .Accounts.AsNoTracking()
            .SingleOrDefaultAsync(a => a.ClientId == clientId && a.Currency == currency, cancellationToken);
        if (account is null)
            return null;
        var entries = await Entries(
            db.Ledger.Where(e =>
                    e.ClientId == clientId
                    && e.Currency == currency
                    && e.Account == LedgerAccount.Merchant
                    && (after == null || e.TransactionId > after)
                )
                .OrderBy(e => e.TransactionId) // Of the merchant, there is one entry a transaction.
                .Take(limit + 1),
            cancellationToken
        );
        var page = PageOf(entries, limit, entry => entry.TransactionId.ToString());
        return new(currency.Code, account.Balance, page.Items, page.Next);
    }

    /// <summary>A client; null when there is none of that id.</summary>
    public async Task<ClientView?> Client(ClientId clientId, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        var client = await db.Clients.AsNoTracking().SingleOrDefaultAsync(c => c.Id == clientId, cancellationToken);
        return client is null ? null : View(client);
    }

    /// <summary>The clients, in the order of their ids.</summary>
    public async Task<Page<ClientView>> Clients(string? after, int limit, CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        // LINQ has no order on typed ids; the database has one.
        var ids = await db
            .Database.SqlQuery<string>(
                $"SELECT client_id AS \"Value\" FROM clients WHERE client_id > {after ?? ""} ORDER BY client_id LIMIT {limit + 1}"
            )
            .ToListAsync(cancellationToken);
        var wanted = ids.ConvertAll(id => new ClientId(id));
        var found = await db
            .Clients.AsNoTracking()
            .Where(c => wanted.Contains(c.Id))
            .ToDictionaryAsync(c => c.Id, cancellationToken);
        var clients = wanted.Where(found.ContainsKey).Select(id => found[id]).ToList();
        return PageOf(clients.ConvertAll(View), limit, client => client.ClientId);
    }

    /// <summary>The keys of a client, in the order of their versions.</summary>
    public async Task<Page<ClientKeyView>> Keys(
        ClientId clientId,
        int after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var db = database.CreateContext();
        var keys = await db.Set<ClientKey>()
            .AsNoTracking()
            .Where(k => EF.Property<ClientId>(k, "ClientId") == clientId && k.Version > after)
            .OrderBy(k => k.Version)
            .Take(limit + 1)
            .ToListAsync(cancellationToken);
        var views = keys.ConvertAll(k => new ClientKeyView(
            k.Version,
            k.PublicKey.Pem,
            k.NotBefore,
            k.NotAfter,
            k.RevokedAt
        ));
        return PageOf(views, limit, key => key.Version.ToString(CultureInfo.InvariantCulture));
    }

    internal static Page<T> PageOf<T>(List<T> items, int limit, Func<T, string> cursor) =>
        items.Count > limit ? new(items[..limit], cursor(items[limit - 1])) : new(items, null);

    private static async Task<List<EntryView>> Entries(
        IQueryable<LedgerRow> rows,
        CancellationToken cancellationToken
    ) =>
        await rows.OrderBy(e => e.TransactionId)
            .ThenBy(e => e.Line)
            .Select(e => new EntryView(
                e.TransactionId,
                e.Line,
                e.Account,
                e.MinorUnits,
                e.Currency.Code,
                e.At,
                e.PaymentId == null ? null : e.PaymentId.Value.Value
            ))
            .ToListAsync(cancellationToken);

    private static ClientView View(Client client) =>
        new(
            client.Id.Value,
            client.Name,
            client.Enabled,
            new(
                client.Contract.MayCancel,
                client.Contract.Window.ToString(),
                client.Contract.RequestsPerSecond,
                client.Contract.Burst,
                client.Contract.RememberUnknown
            )
        );
}
