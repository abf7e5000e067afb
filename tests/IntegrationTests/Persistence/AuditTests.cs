using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: the audit passes everything that the service wrote and finds each kind of damage planted by hand.
/// </summary>
public sealed class AuditTests(HealthyDatabases healthy, PostgresServer postgres) : IClassFixture<HealthyDatabases>
{
    // Foreign keys and checks are disabled before each statement, and a key where the case needs it.
    private static readonly Dictionary<string, (string Check, string Sql)> Damages = new(StringComparer.Ordinal)
    {
        ["a transfer has no cause"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET payment_id = NULL, payment_version = NULL WHERE payment_id = 'paid'"
        ),
        ["a transfer has two causes"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET payment_id = 'paid', payment_version = 3 WHERE reference IS NOT NULL AND "
                + "currency = 'EUR'"
        ),
        ["a transfer has a payment without a version"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET payment_version = NULL WHERE payment_id = 'paid'"
        ),
        ["a payout has no actor"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET actor = NULL WHERE debit = 'MERCHANT' AND credit = 'SETTLEMENT'"
        ),
        ["a payment is paid from a deposit"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET debit = 'SETTLEMENT' WHERE payment_id = 'paid'"
        ),
        ["a transfer is from an account to itself"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET debit = credit WHERE payment_id = 'paid'"
        ),
        ["a transfer has amount zero"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET minor_units = 0 WHERE payment_id = 'paid'"
        ),
        ["a transfer exceeds the maximum amount"] = (
            "transfers have an amount, two accounts and one cause",
            "UPDATE transfers SET minor_units = 1000000000000001 WHERE payment_id = 'paid'"
        ),
        ["an account is missing"] = ("transfers have an account", "DELETE FROM accounts WHERE currency = 'EUR'"),
        ["a balance is too high"] = (
            "balances equal their transfers and are within their bounds",
            "UPDATE accounts SET balance = balance + 1 WHERE currency = 'USD'"
        ),
        ["a balance is negative, and so are its transfers"] = (
            "balances equal their transfers and are within their bounds",
            """
            UPDATE transfers SET debit = 'MERCHANT', credit = 'SETTLEMENT' WHERE currency = 'EUR';
            UPDATE accounts SET balance = -70 WHERE currency = 'EUR'
            """
        ),
        ["a balance is over its limit, and so are its transfers"] = (
            "balances equal their transfers and are within their bounds",
            """
            UPDATE transfers SET minor_units = 1000000000000000001 WHERE currency = 'EUR';
            UPDATE accounts SET balance = 1000000000000000001 WHERE currency = 'EUR'
            """
        ),
        ["a deposit is missing"] = (
            "balances equal their transfers and are within their bounds",
            "DELETE FROM transfers WHERE debit = 'SETTLEMENT' AND currency = 'EUR'"
        ),
        ["a payout was a deposit"] = (
            "balances equal their transfers and are within their bounds",
            "UPDATE transfers SET debit = 'SETTLEMENT', credit = 'MERCHANT' WHERE credit = 'SETTLEMENT'"
        ),
        ["a transfer has another amount"] = (
            "histories moved the money that they say",
            "UPDATE transfers SET minor_units = 999 WHERE payment_id = 'paid'"
        ),
        ["a transfer is missing"] = (
            "histories moved the money that they say",
            "DELETE FROM transfers WHERE payment_id = 'cancelled-paid' AND debit = 'MERCHANT'"
        ),
        ["a transfer is in another currency"] = (
            "histories moved the money that they say",
            "UPDATE transfers SET currency = 'EUR' WHERE payment_id = 'paid'"
        ),
        ["a cancel takes money instead of giving it back"] = (
            "histories moved the money that they say",
            """
            UPDATE transfers SET debit = 'PAYERS', credit = 'MERCHANT'
            WHERE payment_id = 'cancelled-paid' AND debit = 'MERCHANT'
            """
        ),
        ["a registration moves money"] = (
            "histories moved the money that they say",
            "UPDATE transfers SET payment_version = 1 WHERE payment_id = 'paid'"
        ),
        ["a cancel pays back twice"] = (
            "transfers of payments have the line that caused them",
            """
            INSERT INTO transfers (client_id, transfer_id, debit, credit, minor_units, currency, at, payment_id,
                payment_version)
            SELECT client_id, '11111111-1111-1111-1111-111111111111', debit, credit, minor_units, currency, at,
                payment_id, 99
            FROM transfers WHERE payment_id = 'cancelled-paid' AND debit = 'MERCHANT'
            """
        ),
        ["a transfer belongs to a payment that does not exist"] = (
            "transfers of payments have the line that caused them",
            "UPDATE transfers SET payment_id = 'nobody' WHERE payment_id = 'paid'"
        ),
        ["a capture is not in the payment"] = (
            "payments captured and refunded what their history says",
            "UPDATE payments SET captured = 0 WHERE payment_id = 'captured'"
        ),
        ["a refund is not in the payment"] = (
            "payments captured and refunded what their history says",
            "UPDATE payments SET refunded = 0 WHERE payment_id = 'refunded'"
        ),
        ["more is refunded than was captured"] = (
            "payments captured and refunded what their history says",
            """
            UPDATE payments SET captured = 10 WHERE payment_id = 'captured-refunded';
            UPDATE payment_history SET minor_units = 10 WHERE payment_id = 'captured-refunded' AND action = 'CAPTURE'
            """
        ),
        ["a status is changed"] = (
            "payments stand where their history ends",
            "UPDATE payments SET status = 'FAILED' WHERE payment_id = 'paid'"
        ),
        ["a version is too high"] = (
            "payments stand where their history ends",
            "UPDATE payments SET version = version + 1 WHERE payment_id = 'paid'"
        ),
        ["a version is too low"] = (
            "payments stand where their history ends",
            "UPDATE payments SET version = version - 1 WHERE payment_id = 'paid'"
        ),
        ["a history is missing"] = (
            "payments stand where their history ends",
            "DELETE FROM payment_history WHERE payment_id = 'processing'"
        ),
        ["a history begins late"] = (
            "history runs from version 1 without a gap",
            "DELETE FROM payment_history WHERE payment_id = 'captured' AND version = 1"
        ),
        ["a history has a gap"] = (
            "history runs from version 1 without a gap",
            "DELETE FROM payment_history WHERE payment_id = 'captured' AND version = 2"
        ),
        ["a step does not start where the one before ended"] = (
            "history runs from version 1 without a gap",
            "UPDATE payment_history SET from_status = 'CAPTURED' WHERE payment_id = 'captured' AND action = 'CAPTURE'"
        ),
        ["a registration has a status before it"] = (
            "history runs from version 1 without a gap",
            "UPDATE payment_history SET from_status = 'FAILED' WHERE payment_id = 'paid' AND version = 1"
        ),
        ["a history does not begin with a registration"] = (
            "history follows the state table",
            "UPDATE payment_history SET action = 'FAIL' WHERE payment_id = 'processing'"
        ),
        ["a captured payment is cancelled"] = (
            "history follows the state table",
            "UPDATE payment_history SET action = 'CANCEL' WHERE payment_id = 'captured' AND version = 3"
        ),
        ["a late event has no remedy"] = (
            "history follows the state table",
            "UPDATE payment_history SET remedy = NULL WHERE remedy IS NOT NULL"
        ),
        ["a late event leads out of the cancellation"] = (
            "history follows the state table",
            "UPDATE payment_history SET to_status = 'SUCCESS' WHERE remedy IS NOT NULL"
        ),
        ["an event before any cancellation has a remedy"] = (
            "history follows the state table",
            "UPDATE payment_history SET remedy = 'NONE' WHERE payment_id = 'paid' AND action = 'SUCCEED'"
        ),
        ["a history is about another currency"] = (
            "history has a payment and amounts that fit it",
            "UPDATE payment_history SET currency = 'EUR' WHERE payment_id = 'paid' AND action = 'REGISTER'"
        ),
        ["an amount has no currency"] = (
            "history has a payment and amounts that fit it",
            "UPDATE payment_history SET currency = NULL WHERE payment_id = 'paid' AND action = 'REGISTER'"
        ),
        ["a payment is missing"] = (
            "history has a payment and amounts that fit it",
            "DELETE FROM payments WHERE payment_id = 'processing'"
        ),
        ["a history is about another amount"] = (
            "history has a payment and amounts that fit it",
            "UPDATE payment_history SET minor_units = 1 WHERE payment_id = 'paid' AND action = 'REGISTER'"
        ),
        ["a capture has no amount"] = (
            "history has a payment and amounts that fit it",
            "UPDATE payment_history SET minor_units = NULL WHERE payment_id = 'captured' AND action = 'CAPTURE'"
        ),
        ["a cancellation is missing"] = (
            "cancelled payments, and no others, have one cancellation",
            "DELETE FROM payment_history WHERE payment_id = 'cancelled-paid' AND action = 'CANCEL'"
        ),
        ["a payment is cancelled twice"] = (
            "cancelled payments, and no others, have one cancellation",
            """
            CREATE TABLE twice AS SELECT * FROM payment_history;
            INSERT INTO twice SELECT * FROM payment_history WHERE payment_id = 'cancelled-paid' AND action = 'CANCEL';
            DROP TABLE payment_history;
            ALTER TABLE twice RENAME TO payment_history
            """
        ),
        ["an open payment has a cancellation"] = (
            "cancelled payments, and no others, have one cancellation",
            "UPDATE payment_history SET action = 'CANCEL' WHERE payment_id = 'paid' AND action = 'SUCCEED'"
        ),
        ["an answer is empty"] = (
            "stored answers name both identifiers of the payment",
            "UPDATE payment_history SET answer = '' WHERE payment_id = 'cancelled-paid' AND action = 'CANCEL'"
        ),
        ["an answer is another payment's"] = (
            "stored answers name both identifiers of the payment",
            """
            UPDATE payment_history SET answer = (
                SELECT h.answer FROM payment_history h WHERE h.client_id = payment_history.client_id
                    AND h.payment_id = 'cancelled-failed' AND h.action = 'CANCEL')
            WHERE payment_id = 'cancelled-paid' AND action = 'CANCEL'
            """
        ),
        ["a line other than a cancellation has an answer"] = (
            "stored answers name both identifiers of the payment",
            "UPDATE payment_history SET answer = 'x' WHERE payment_id = 'paid' AND action = 'SUCCEED'"
        ),
        ["a paymentRequestId is missing"] = (
            "payments have one paymentRequestId",
            "DELETE FROM payment_requests WHERE payment_id = 'paid'"
        ),
        ["a paymentRequestId is owned by nobody"] = (
            "paymentRequestIds have a payment or an early cancel",
            "UPDATE payment_requests SET payment_id = 'nobody' WHERE payment_id = 'paid'"
        ),
        ["a paymentRequestId is owned and refused"] = (
            "paymentRequestIds have a payment or an early cancel",
            "UPDATE payment_requests SET payment_id = 'nobody' WHERE refused_at IS NOT NULL"
        ),
        ["a paymentRequestId is neither owned nor refused"] = (
            "paymentRequestIds have a payment or an early cancel",
            "UPDATE payment_requests SET refused_at = NULL WHERE refused_at IS NOT NULL"
        ),
        ["an event has no cancellation"] = (
            "outbox events have a cancellation",
            "UPDATE outbox SET payment_id = 'paid' WHERE payment_id = 'cancelled-paid'"
        ),
        ["an event is due and delivered"] = (
            "outbox events are either due or delivered or parked",
            "UPDATE outbox SET delivered_at = due_at WHERE payment_id = 'cancelled-paid'"
        ),
        ["an event is in no state"] = (
            "outbox events are either due or delivered or parked",
            "UPDATE outbox SET due_at = NULL WHERE payment_id = 'cancelled-paid'"
        ),
        ["a change record is missing"] = (
            "changes are numbered without a gap",
            "DELETE FROM changes WHERE kind = 'CLIENT'"
        ),
        ["a client has no change record"] = (
            "clients are what their last change says",
            "DELETE FROM changes WHERE kind = 'CLIENT'"
        ),
        ["a contract was changed by hand"] = (
            "clients are what their last change says",
            "UPDATE clients SET contract_window = 'P30D'"
        ),
        ["a client was switched off by hand"] = (
            "clients are what their last change says",
            "UPDATE clients SET enabled = NOT enabled"
        ),
        ["a rate was changed in the record"] = (
            "clients are what their last change says",
            """UPDATE changes SET state = REPLACE(state, '"burst":', '"burst":1') WHERE kind = 'CLIENT'"""
        ),
        ["a key was added by hand"] = (
            "keys are what their last changes say",
            "INSERT INTO client_keys (client_id, version, public_key) SELECT client_id, 9, public_key FROM "
                + "client_keys WHERE version = 1"
        ),
        ["a revocation was taken back"] = (
            "keys are what their last changes say",
            "UPDATE client_keys SET revoked_at = NULL"
        ),
        ["a key was exchanged"] = (
            "keys are what their last changes say",
            "UPDATE client_keys SET public_key = REPLACE(public_key, 'A', 'B') WHERE version = 1"
        ),
        ["a revoked key's validity was changed"] = (
            "keys are what their last changes say",
            "UPDATE client_keys SET not_after = NULL WHERE version = 2"
        ),
        ["a deposit has no change record"] = (
            "deposits and payouts are on record",
            "DELETE FROM changes WHERE kind = 'TRANSFER' AND number = (SELECT MAX(number) FROM changes)"
        ),
        ["a recorded deposit has no transfer"] = (
            "deposits and payouts are on record",
            """
            INSERT INTO changes (client_id, number, at, actor, reason, kind, subject, state)
            SELECT client_id, number + 100, at, actor, reason, kind, 'nothing', state FROM changes
            WHERE kind = 'TRANSFER' AND number = (SELECT MAX(number) FROM changes)
            """
        ),
    };

    public static MatrixTheoryData<string, DatabaseProvider> PlantedDamages => Both.Times(Damages.Keys);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Audit_passes_a_healthy_database_and_counts_every_row(DatabaseProvider provider)
    {
        using var database = await healthy.Copy(provider);

        var (results, output) = await Audit(database);

        results.ShouldAllBe(r => r.Violations == 0, output);
        results.Select(r => (r.Check.Table, r.Counted)).Distinct().ShouldBe(HealthyDatabases.Counts, ignoreOrder: true);
        var lines = output.TrimEnd().Split(Environment.NewLine);
        lines.Length.ShouldBe(LedgerAudit.Checks.Count + 1);
        lines[..^1].Select(line => line.Length).Distinct().ShouldHaveSingleItem();
        lines[^1].ShouldStartWith($"{LedgerAudit.Checks.Count} checks, 0 violations, ");
        (await VerifyLedger(database.Settings)).ShouldBe(0);
    }

    [Theory]
    [MemberData(nameof(PlantedDamages))]
    public async Task Audit_finds_planted_damage(string damage, DatabaseProvider provider)
    {
        using var database = await healthy.Copy(provider);
        var (check, sql) = Damages[damage];
        await HealthyDatabases.Plant(database, sql);

        var (results, output) = await Audit(database);

        results.Single(r => r.Check.Name == check).Violations.ShouldBeGreaterThan(0, output);
    }

    // On integer overflow SQLite stores a floating-point number; PostgreSQL refuses.
    [Theory]
    [InlineData(
        "balances equal their transfers and are within their bounds",
        "UPDATE accounts SET balance = 9.3e18 WHERE currency = 'EUR'"
    )]
    [InlineData(
        "balances equal their transfers and are within their bounds",
        """
            UPDATE transfers SET minor_units = 70.5 WHERE currency = 'EUR';
            UPDATE accounts SET balance = 70.5 WHERE currency = 'EUR'
            """
    )]
    [InlineData(
        "transfers have an amount, two accounts and one cause",
        "UPDATE transfers SET minor_units = 70.5 WHERE currency = 'EUR'"
    )]
    [InlineData(
        "payments captured and refunded what their history says",
        "UPDATE payments SET amount_minor_units = 1000.5 WHERE payment_id = 'processing'"
    )]
    [InlineData(
        "history has a payment and amounts that fit it",
        "UPDATE payment_history SET minor_units = 1.5 WHERE payment_id = 'captured' AND action = 'CAPTURE'"
    )]
    public async Task Audit_finds_a_fractional_amount(string check, string sql)
    {
        using var database = await healthy.Copy(DatabaseProvider.Sqlite);
        await HealthyDatabases.Plant(database, sql);

        var (results, output) = await Audit(database);

        results.Single(r => r.Check.Name == check).Violations.ShouldBeGreaterThan(0, output);
    }

    // Common table expression with the numbers from 0 to 19,999.
    private const string Numbers = """
        WITH d (i) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)),
            n (i) AS (
                SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i + 10000 * f.i FROM d a, d b, d c, d e, d f WHERE f.i < 2)
        """;

    // The sums of a merchant's turnover exceed 64 bits, although its balance does not.
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Audit_sums_a_turnover_beyond_64_bits(DatabaseProvider provider)
    {
        using var database = await healthy.Copy(provider);
        await HealthyDatabases.Plant(
            database,
            """
            INSERT INTO transfers (client_id, transfer_id, debit, credit, minor_units, currency, at, reference, actor)
            {numbers}
            SELECT t.client_id, {id}, CASE WHEN i < 10000 THEN 'SETTLEMENT' ELSE 'MERCHANT' END,
                CASE WHEN i < 10000 THEN 'MERCHANT' ELSE 'SETTLEMENT' END, 1000000000000000, t.currency, t.at,
                'big-' || i, 'x'
            FROM transfers t CROSS JOIN n WHERE t.currency = 'EUR';
            INSERT INTO changes (client_id, number, at, actor, reason, kind, subject, state)
            {numbers}
            SELECT t.client_id, 8 + i, t.at, 'x', '', 'TRANSFER', 'big-' || i, '{}' FROM transfers t CROSS JOIN n
            WHERE t.currency = 'EUR' AND t.reference NOT LIKE 'big-%'
            """.Replace("{numbers}", Numbers, StringComparison.Ordinal).Replace(
                "{id}",
                provider is DatabaseProvider.Postgres
                    ? "gen_random_uuid()"
                    : "'00000000-0000-0000-0000-000000' || (100000 + i)",
                StringComparison.Ordinal
            )
        );

        var (results, output) = await Audit(database);

        results.ShouldAllBe(r => r.Violations == 0, output);
    }

    [Fact]
    public void Every_check_has_a_planted_damage() =>
        LedgerAudit
            .Checks.Select(c => c.Name)
            .ShouldBe(Damages.Values.Select(d => d.Check).Distinct(StringComparer.Ordinal), ignoreOrder: true);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Audit_counts_all_violations_and_lists_the_first(DatabaseProvider provider)
    {
        using var database = await healthy.Copy(provider);
        await HealthyDatabases.Plant(
            database,
            """
            INSERT INTO outbox (client_id, payment_id, created_at, attempts, due_at)
            {numbers}
            SELECT o.client_id, 'nobody-' || n.i, o.created_at, 0, o.created_at
            FROM outbox o CROSS JOIN n WHERE o.payment_id = 'cancelled-paid' AND n.i < 25
            """.Replace("{numbers}", Numbers, StringComparison.Ordinal)
        );

        var (results, output) = await Audit(database);

        var result = results.Single(r => r.Violations > 0);
        result.Violations.ShouldBe(25);
        result.Samples.Count.ShouldBe(LedgerAudit.MaxSamples);
        result.Samples.ShouldAllBe(s => s.Contains(" nobody-", StringComparison.Ordinal));
        output.ShouldContain("    and 5 more");
        output.ShouldContain($"{LedgerAudit.Checks.Count} checks, 25 violations, ");
        (await VerifyLedger(database.Settings)).ShouldBe(1);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Audit_gives_no_verdict_without_a_database(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        (await VerifyLedger(database.Settings)).ShouldBe(2);
        (
            await VerifyLedger(["--Database:Provider=Postgres", "--Database:ConnectionString=Host=127.0.0.1;Port=1"])
        ).ShouldBe(2);
        (await VerifyLedger(["--Database:Provider=Postgres"])).ShouldBe(2);
        Directory.GetFiles(database.Directory).ShouldBeEmpty();
    }

    private static async Task<(IReadOnlyList<AuditResult> Results, string Output)> Audit(TestDatabase database)
    {
        await using var service = new Database(
            Options.Create(
                new DatabaseOptions { Provider = database.Provider, ConnectionString = database.ConnectionString }
            ),
            TimeProvider.System
        );
        await using var output = new StringWriter(CultureInfo.InvariantCulture);
        return (await new LedgerAudit(service).Run(output, CancellationToken.None), output.ToString());
    }

    private static Task<int> VerifyLedger(string[] settings) =>
        Api.Program.Main([
            "verify-ledger",
            "--environment=Production",
            "--Serilog:MinimumLevel:Default=Fatal",
            .. settings,
        ]);
}

/// <summary>One database per provider with every kind of row that the service writes, to be copied by tests.</summary>
public sealed class HealthyDatabases(PostgresServer postgres) : IDisposable
{
    /// <summary>Number of rows per table.</summary>
    public static readonly (string Table, long Rows)[] Counts =
    [
        ("payments", 18),
        ("payment_history", 49),
        ("payment_requests", 19),
        ("outbox", 6),
        ("accounts", 3),
        ("transfers", 15),
        ("changes", 9),
        ("clients", 2),
        ("client_keys", 3),
    ];

    private readonly ConcurrentDictionary<DatabaseProvider, Lazy<Task<TestDatabase>>> _originals = new();

    /// <summary>Creates a copy that a test may damage.</summary>
    public async Task<TestDatabase> Copy(DatabaseProvider provider)
    {
        var original = await _originals.GetOrAdd(provider, p => new(() => Fill(p))).Value;
        return await original.Copy(postgres);
    }

    /// <summary>Executes SQL that the service would never run, with foreign keys and checks disabled.</summary>
    public static async Task Plant(TestDatabase database, string sql)
    {
        ArgumentNullException.ThrowIfNull(database);
        var connectionString = $"{database.ConnectionString};Pooling=False";
        var (connection, unlock) = database.Provider switch
        {
            DatabaseProvider.Sqlite => (
                (DbConnection)new SqliteConnection(connectionString),
                "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; "
            ),
            DatabaseProvider.Postgres => (
                new NpgsqlConnection(connectionString),
                """
                DO $$
                DECLARE found record;
                BEGIN
                    FOR found IN SELECT conrelid::regclass AS of, conname FROM pg_constraint
                        WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace
                    LOOP
                        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.of, found.conname);
                    END LOOP;
                END $$;
                """
            ),
        };
        await using var _ = connection;
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = unlock + sql;
        await command.ExecuteNonQueryAsync();
    }

    public void Dispose()
    {
        foreach (var original in _originals.Values)
            original.Value.GetAwaiter().GetResult().Dispose();
    }

    private async Task<TestDatabase> Fill(DatabaseProvider provider)
    {
        var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(database);
        var key = KeyPair.Merchant.PublicKey;
        var client = await host.AddClient(
            keys:
            [
                new ClientKey { Version = 1, PublicKey = key },
                new ClientKey
                {
                    Version = 2,
                    PublicKey = key,
                    NotBefore = host.Now,
                    NotAfter = host.Now.AddDays(9),
                    RevokedAt = host.Now,
                },
            ]
        );
        await host.Post(client, 500);
        await host.Post(client, -200);
        await host.Post(client, 70, "EUR");

        await host.AddPayment(client, State.Processing, "processing");
        await host.AddPayment(client, State.ProcessingAuthorization, "processing-authorization");
        await host.AddPayment(client, State.Authorized, "authorized");
        await host.AddPayment(client, State.Success, "paid");
        await host.AddPayment(client, State.Failed, "failed");
        await host.AddPayment(client, State.HoldLapsed, "lapsed");
        await host.AddPayment(client, State.PartlyCaptured, "partly-captured");
        await host.AddPayment(client, State.Captured, "captured");
        await host.AddPayment(client, State.PartlyRefunded, "partly-refunded");
        await host.AddPayment(client, State.Refunded, "refunded");
        await host.AddPayment(client, State.CapturedThenRefunded, "captured-refunded");

        await Cancel("cancelled-processing", State.Processing, (payment, now) => payment.Succeed(0, now));
        await Cancel("cancelled-pending", State.ProcessingAuthorization, (payment, now) => payment.Authorize(now));
        await Cancel(
            "cancelled-authorized",
            State.Authorized,
            (payment, now) => payment.Capture(payment.Amount, 0, now)
        );
        await Cancel("cancelled-paid", State.Success);
        await Cancel("cancelled-failed", State.Failed);
        await Cancel("cancelled-lapsed", State.HoldLapsed);
        (await host.Cancel(client, """{"paymentRequestId":"req-unknown"}""")).Code.ShouldBe("ORDER_NOT_EXIST");

        await host.Execute(
            """
            UPDATE outbox SET delivered_at = due_at, due_at = NULL WHERE payment_id = 'cancelled-failed';
            UPDATE outbox SET parked_at = due_at, due_at = NULL WHERE payment_id = 'cancelled-lapsed'
            """
        );

        // Same identifiers under another client: a different payment.
        await host.AddPayment(await host.AddClient(), State.Success, "paid");
        return database;

        async Task Cancel(string id, State state, Func<Payment, DateTimeOffset, ReportDecision>? late = null)
        {
            await host.AddPayment(client, state, id);
            host.Clock.Advance(TimeSpan.FromSeconds(1));
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
            if (late is null)
                return;
            var payment = (await host.Find(client, id)).ShouldNotBeNull().Payment;
            var refused = late(payment, host.Now).ShouldBeOfType<ReportDecision.Late>();
            (await host.Commit(payment, refused.Change)).ShouldBeTrue();
        }
    }
}
