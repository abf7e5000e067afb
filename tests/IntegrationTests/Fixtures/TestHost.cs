using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using CancelService.Api.Hosting;
using CancelService.Application.Accounts;
using CancelService.Application.Clients;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Signing;
using CancelService.Infrastructure.Sql;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using Serilog.Extensions.Logging;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>Client of a test, with the key that it signs with.</summary>
public sealed record TestClient(ClientId Id, KeyPair Key);

/// <summary>Database state of one payment.</summary>
public sealed record PaymentRows(
    PaymentStatus Status,
    CancelEffect? Effect,
    int Cancellations,
    int Outbox,
    IReadOnlyList<PaymentAction> History,
    IReadOnlyList<Transfer> Transfers
);

/// <summary>The real service on real sockets, with a clock that the test controls.</summary>
public sealed class TestHost : IAsyncDisposable
{
    /// <summary>Noon UTC, far from the end of the default cancel window.</summary>
    public static readonly DateTimeOffset Noon = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

    private static int _lastClient;

    private readonly WebApplication _app;
    private readonly TestDatabase _database;
    private readonly bool _ownsDatabase;
    private readonly StrongBox<bool> _isDisposed;

    private TestHost(
        WebApplication app,
        TestDatabase database,
        bool ownsDatabase,
        FakeTimeProvider? clock,
        StrongBox<bool> isDisposed
    )
    {
        (_app, _database, _ownsDatabase, _isDisposed) = (app, database, ownsDatabase, isDisposed);
        Time = clock ?? TimeProvider.System;
        // Kestrel binds endpoints in the order of their names.
        var ports = app
            .Services.GetRequiredService<IServer>()
            .Features.Get<IServerAddressesFeature>()!
            .Addresses.Select(address => new Uri(address).Port)
            .ToList();
        (InternalPort, PublicPort) = (ports[0], ports[1]);
        Internal = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{InternalPort}") };
    }

    /// <summary>Clock of the host; fake unless the host was started with the system clock.</summary>
    public TimeProvider Time { get; }

    public FakeTimeProvider Clock => (FakeTimeProvider)Time;

    public DateTimeOffset Now => Time.GetUtcNow();

    public int PublicPort { get; }

    public int InternalPort { get; }

    /// <summary>HTTP client for the internal port.</summary>
    public HttpClient Internal { get; }

    public IPayments Payments => _app.Services.GetRequiredService<IPayments>();

    public IAccounts Accounts => _app.Services.GetRequiredService<IAccounts>();

    public string ConnectionString => _database.ConnectionString;

    public IServiceProvider Services => _app.Services;

    /// <summary>Key that the host signs with, where an extension has made its own; otherwise null.</summary>
    public KeyPair? Wallet { get; private set; }

    public CancelDbContext Db() => _app.Services.GetRequiredService<Database>().CreateContext();

    /// <summary>Starts a ready host on a new database.</summary>
    public static async Task<TestHost> Start(
        DatabaseProvider provider,
        PostgresServer postgres,
        params string[] settings
    ) => await Start(await TestDatabase.Create(provider, postgres), ownsDatabase: true, settings: settings);

    /// <summary>Starts a ready host on a new database and collects its log.</summary>
    public static async Task<TestHost> Start(
        DatabaseProvider provider,
        PostgresServer postgres,
        ILoggerProvider log,
        params string[] settings
    ) => await Start(await TestDatabase.Create(provider, postgres), ownsDatabase: true, log: log, settings: settings);

    /// <summary>Starts a host on the given database, by default with a clock at <see cref="Noon"/>.</summary>
    public static async Task<TestHost> Start(
        TestDatabase database,
        FakeTimeProvider? clock = null,
        bool systemClock = false,
        bool waitForReady = true,
        bool ownsDatabase = false,
        IHostExtension? extension = null,
        ILoggerProvider? log = null,
        Action<IServiceCollection>? with = null,
        params string[] settings
    )
    {
        if (!systemClock)
            clock ??= new FakeTimeProvider(Noon);
        var isDisposed = new StrongBox<bool>();
        var walletKey = Path.Combine(database.Directory, "wallet.pem");
        await File.WriteAllTextAsync(walletKey, KeyPair.Wallet.PrivatePem);
        var app = ServiceHost.Build(
            [
                "--environment=Production",
                "--Kestrel:Endpoints:Public:Url=http://127.0.0.1:0",
                "--Kestrel:Endpoints:Internal:Url=http://127.0.0.1:0",
                "--Serilog:MinimumLevel:Default=Fatal",
                "--Serilog:MinimumLevel:Override:Microsoft.Hosting.Lifetime=Fatal",
                "--Clients:CacheTime=00:00:00",
                // Many tests provoke refusals, and every test client is new to the host's cache.
                "--Limits:UnverifiedAnswersPerSecond=1000000",
                "--Limits:UnknownClientsPerSecond=1000000",
                "--Limits:MaxQueueTime=00:00:30", // No request is turned away on a loaded machine,
                "--Database:Timeout=00:00:30", // and no statement is given up.
                "--Shutdown:DrainTime=00:00:00",
                .. extension is null ? [$"--Wallet:SigningKeyPath={walletKey}"] : Array.Empty<string>(),
                .. database.Settings,
                .. Bearer.Settings,
                .. settings, // Last, to override the defaults above.
            ],
            services =>
            {
                // A host that was not stopped first takes the cancellation of its background services for a crash.
                services.Configure<LoggerFilterOptions>(filter =>
                    filter.Rules.Add(
                        new(
                            typeof(SerilogLoggerProvider).FullName, // Its own rule would win over one for all providers.
                            "Microsoft.Extensions.Hosting.Internal.Host",
                            null,
                            (_, _, _) => !isDisposed.Value
                        )
                    )
                );
                if (clock is not null)
                    services.AddSingleton<TimeProvider>(clock);
                if (log is not null)
                    services.AddSingleton(log);
                with?.Invoke(services);
            },
            extension is null ? [] : [extension]
        );
        await app.StartAsync();
        var host = new TestHost(app, database, ownsDatabase, clock, isDisposed);
        if (extension is not null)
        {
            var wallet = app.Services.GetRequiredService<IOptions<WalletOptions>>().Value;
            host.Wallet = KeyPair.Read(await File.ReadAllTextAsync(wallet.SigningKeyPath!));
        }
        if (waitForReady)
            await host.Ready();
        return host;
    }

    /// <summary>Waits until the host reports ready.</summary>
    public Task Ready() =>
        Until(async () => (await Internal.GetAsync(new Uri("/healthz/ready", UriKind.Relative))).StatusCode)
            .Becomes(HttpStatusCode.OK);

    /// <summary>Polls for up to one minute.</summary>
    public static Polled<T> Until<T>(Func<Task<T>> ask) => new(ask);

    /// <summary>Stops the host as SIGTERM does.</summary>
    public Task Stop() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        _isDisposed.Value = true;
        Internal.Dispose();
        // With a stopped clock, work in flight would block the disposal for ever.
        await _app.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1));
        if (_ownsDatabase)
            _database.Dispose();
    }

    /// <summary>Adds a client with one key and the default contract, unless given otherwise.</summary>
    public async Task<TestClient> AddClient(
        Contract? contract = null,
        bool enabled = true,
        IReadOnlyList<ClientKey>? keys = null,
        string? id = null
    )
    {
        var client = new Client
        {
            Id = new ClientId(id ?? $"CLIENT_{Interlocked.Increment(ref _lastClient)}"),
            Name = "A test's client",
            Enabled = enabled,
            Contract = contract ?? new Contract { RequestsPerSecond = 10_000, Burst = 10_000 },
            Keys = keys ?? [new ClientKey { Version = 1, PublicKey = KeyPair.Merchant.PublicKey }],
        };
        // Through the operators' registry, so the change is on record.
        var registry = Services.GetRequiredService<IClientRegistry>();
        var author = new ChangeAuthor("operator", "a test", Now);
        await registry.Put(client, author, CancellationToken.None);
        foreach (var key in client.Keys)
        {
            await registry.PutKey(client.Id, key, author, CancellationToken.None);
            if (key.RevokedAt is { } at)
                await registry.RevokeKey(client.Id, key.Version, author with { At = at }, CancellationToken.None);
        }
        return new TestClient(client.Id, KeyPair.Merchant);
    }

    /// <summary>
    /// Adds a payment of 1000 USD cents in a given state; its paymentRequestId is <c>req-</c> plus its id.
    /// </summary>
    public async Task<Payment> AddPayment(
        TestClient client,
        State state,
        string id = "p1",
        DateTimeOffset? initiatedAt = null,
        string currency = "USD"
    )
    {
        ArgumentNullException.ThrowIfNull(client);
        var now = Now;
        var money = new Currency(currency);
        var (payment, change) = Payment.Register(
            client.Id,
            new PaymentId(id),
            new PaymentRequestId($"req-{id}"),
            state.IsAuthorization ? PaymentKind.Authorization : PaymentKind.Payment,
            new Money(State.Amount, money),
            initiatedAt ?? now,
            now
        );
        (await Commit(payment, change)).ShouldBeTrue();
        foreach (var step in state.Steps)
        {
            var decision = step(payment, now, money).ShouldBeOfType<ReportDecision.Applied>();
            (await Commit(payment, decision.Change)).ShouldBeTrue();
        }
        return payment;
    }

    /// <summary>Commits a change as its use case would; returns true when it was written.</summary>
    public async Task<bool> Commit(Payment payment, PaymentChange change, string? answer = null)
    {
        ArgumentNullException.ThrowIfNull(change);
        var none = CancellationToken.None;
        var result = await (
            change.Action switch
            {
                PaymentAction.Register => Payments.Register(payment, change, "core", despiteEarlyCancel: false, none),
                PaymentAction.Cancel => Payments.Cancel(
                    payment,
                    change,
                    new Canceller(1, "trace-1"),
                    Encoding.UTF8.GetBytes(answer.ShouldNotBeNull()),
                    none
                ),
                _ => Payments.Report(payment, change, "core", $"added-{change.Version}", none),
            }
        );
        return result is WriteResult.Written;
    }

    public Task<FoundPayment?> Find(TestClient client, string id = "p1", Telling telling = Telling.Cancellation)
    {
        ArgumentNullException.ThrowIfNull(client);
        return Payments.Find(client.Id, new PaymentId(id), telling, CancellationToken.None);
    }

    /// <summary>Deposits to (positive) or pays out of (negative) the merchant's account.</summary>
    public async Task<bool> Post(TestClient client, long minorUnits, string currency = "USD")
    {
        ArgumentNullException.ThrowIfNull(client);
        var kind = minorUnits > 0 ? TransferKind.Deposit : TransferKind.Payout;
        var transfer = new PostedTransfer(
            Guid.CreateVersion7(Now),
            client.Id,
            Guid.NewGuid().ToString(),
            Transfer.Of(kind, new Money(Math.Abs(minorUnits), new Currency(currency))),
            "operator",
            Now
        );
        return await Accounts.Post(transfer, CancellationToken.None) is WriteResult.Written;
    }

    public async Task<long> Balance(TestClient client, string currency = "USD")
    {
        ArgumentNullException.ThrowIfNull(client);
        await using var db = Db();
        return await db.Set<AccountRow>()
            .Where(a => a.ClientId == client.Id && a.Currency == new Currency(currency))
            .Select(a => a.Balance)
            .SingleOrDefaultAsync();
    }

    /// <summary>Reads the rows of a payment. Fails when the books of its client do not balance.</summary>
    public async Task<PaymentRows> Rows(TestClient client, string id = "p1")
    {
        ArgumentNullException.ThrowIfNull(client);
        var paymentId = new PaymentId(id);
        await using var db = Db();
        var transfers = await db.Set<TransferRow>()
            .AsNoTracking()
            .Where(t => t.ClientId == client.Id)
            .OrderBy(t => t.TransferId)
            .ToListAsync();
        foreach (
            var account in await db.Set<AccountRow>().AsNoTracking().Where(a => a.ClientId == client.Id).ToListAsync()
        )
            transfers.Where(t => t.Currency == account.Currency).Sum(t => t.Transfer.Change).ShouldBe(account.Balance);

        var payment = (await Find(client, id)).ShouldNotBeNull().Payment;
        var history = await db.Set<HistoryRow>()
            .AsNoTracking()
            .Where(h => h.ClientId == client.Id && h.PaymentId == paymentId)
            .OrderBy(h => h.Version)
            .ToListAsync();
        history.Select(h => h.Version).ShouldBe(Enumerable.Range(1, payment.Version));
        history[^1].ToStatus.ShouldBe(payment.Status);
        return new PaymentRows(
            payment.Status,
            payment.Cancellation?.Effect,
            history.Count(h => h.Action is PaymentAction.Cancel),
            await db.Set<OutboxRow>().CountAsync(o => o.ClientId == client.Id && o.PaymentId == paymentId),
            [.. history.Select(h => h.Action)],
            [.. transfers.Where(t => t.PaymentId == paymentId).Select(t => t.Transfer)]
        );
    }

    /// <summary>Dumps every row of one client as text, without the traces of a refusal (fences and its note).</summary>
    public async Task<string> Dump(TestClient client)
    {
        ArgumentNullException.ThrowIfNull(client);
        await using var db = Db();
        await db.Database.OpenConnectionAsync();
        var dump = new StringBuilder();
        foreach (
            var table in db
                .Model.GetEntityTypes()
                .Where(e => e.FindProperty("ClientId") is not null && e.ClrType != typeof(RefusedCancelRow))
                .Select(e => e.GetTableName())
                .OfType<string>()
                .ToHashSet(StringComparer.Ordinal)
        )
        {
            await using var command = db.Database.GetDbConnection().CreateCommand();
            command.CommandText = $"SELECT * FROM {table} WHERE client_id = '{client.Id.Value}'";
            var rows = new List<string>();
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                rows.Add(
                    string.Join(
                        '|',
                        Enumerable
                            .Range(0, reader.FieldCount)
                            .Where(i => reader.GetName(i) != "fence")
                            .Select(i => Text(reader.GetValue(i)))
                    )
                );
            rows.Sort(StringComparer.Ordinal);
            dump.Append(CultureInfo.InvariantCulture, $"{table}:\n{string.Join('\n', rows)}\n");
        }
        return dump.ToString();

        static string? Text(object value) =>
            value is byte[] bytes ? Convert.ToHexString(bytes) : Convert.ToString(value, CultureInfo.InvariantCulture);
    }

    /// <summary>Executes hand-written SQL.</summary>
    public async Task Execute(string sql)
    {
        await using var db = Db();
        await db.Database.ExecuteSqlRawAsync(sql);
    }
}
