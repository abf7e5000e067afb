using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Persistence;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.IntegrationTests;

/// <summary>The audit passes what the service wrote, and finds each kind of damage that is planted by hand.</summary>
public sealed class AuditTests(HealthyDatabases healthy, PostgresServer postgres) : IClassFixture<HealthyDatabases>
{
    // What stands in the way of a damage is taken out of the way: foreign keys, checks, and a key where the case says so.
    private static readonly Dictionary<string, (string Check, string Sql)> Damages = new(StringComparer.Ordinal)
    {
        ["an entry is changed"] = (
            "ledger transactions sum to zero",
            "UPDATE ledger_entries SET minor_units = 999 WHERE payment_id = 'paid' AND account = 'MERCHANT'"
        ),
        ["an entry is missing"] = (
            "ledger transactions sum to zero",
            "DELETE FROM ledger_entries WHERE payment_id = 'paid' AND account = 'PAYERS'"
        ),
        ["an entry is in another currency"] = (
            "ledger transactions sum to zero",
            "UPDATE ledger_entries SET currency = 'EUR' WHERE payment_id = 'paid' AND account = 'PAYERS'"
        ),
        ["entries belong to nothing"] = (
            "ledger entries have a payment or a transfer",
            "UPDATE ledger_entries SET payment_id = NULL WHERE payment_id = 'paid'"
        ),
        ["entries belong to a payment that does not exist"] = (
            "ledger entries have a payment or a transfer",
            "UPDATE ledger_entries SET payment_id = 'nobody' WHERE payment_id = 'paid'"
        ),
        ["a transfer's entries belong to a payment too"] = (
            "ledger entries have a payment or a transfer",
            "UPDATE ledger_entries SET payment_id = 'paid' WHERE account = 'SETTLEMENT'"
        ),
        ["a transfer is missing"] = (
            "ledger entries have a payment or a transfer",
            "DELETE FROM transfers WHERE kind = 'PAYOUT'"
        ),
        ["an account is missing"] = ("ledger entries have an account", "DELETE FROM accounts WHERE currency = 'EUR'"),
        ["a balance is too high"] = (
            "balances equal their entries and are not negative",
            "UPDATE accounts SET balance = balance + 1 WHERE currency = 'USD'"
        ),
        ["a balance is negative, and so are its entries"] = (
            "balances equal their entries and are not negative",
            """
            UPDATE ledger_entries SET minor_units = CASE account WHEN 'MERCHANT' THEN -70 ELSE 70 END
            WHERE currency = 'EUR';
            UPDATE accounts SET balance = -70 WHERE currency = 'EUR'
            """
        ),
        ["a transfer has another amount"] = (
            "transfers have exactly their two entries",
            "UPDATE transfers SET amount_minor_units = amount_minor_units + 1 WHERE kind = 'DEPOSIT'"
        ),
        ["a payout was a deposit"] = (
            "transfers have exactly their two entries",
            "UPDATE transfers SET kind = 'DEPOSIT' WHERE kind = 'PAYOUT'"
        ),
        ["a transfer is in another currency"] = (
            "transfers have exactly their two entries",
            "UPDATE transfers SET amount_currency = 'JPY' WHERE kind = 'PAYOUT'"
        ),
        ["a transfer has no entries"] = (
            "transfers have exactly their two entries",
            "UPDATE transfers SET transaction_id = '11111111-1111-1111-1111-111111111111' WHERE kind = 'PAYOUT'"
        ),
        ["a cancel's entries are missing"] = (
            "payments moved the money that their history says",
            """
            DELETE FROM ledger_entries WHERE payment_id = 'cancelled-paid' AND (client_id, transaction_id) IN (
                SELECT client_id, transaction_id FROM ledger_entries WHERE account = 'MERCHANT' AND minor_units < 0)
            """
        ),
        ["a cancel is paid back twice"] = (
            "payments moved the money that their history says",
            """
            INSERT INTO ledger_entries (client_id, transaction_id, line, account, minor_units, currency, at, payment_id)
            SELECT client_id, '11111111-1111-1111-1111-111111111111', CASE account WHEN 'MERCHANT' THEN 1 ELSE 2 END,
                account, minor_units, currency, at, payment_id
            FROM ledger_entries
            WHERE payment_id = 'cancelled-paid'
                AND ((account = 'MERCHANT' AND minor_units < 0) OR (account = 'PAYERS' AND minor_units > 0))
            """
        ),
        ["money that moved there and back on a closed payment"] = (
            "payments moved the money that their history says",
            "UPDATE ledger_entries SET payment_id = 'cancelled-processing' WHERE payment_id = 'cancelled-paid'"
        ),
        ["a payment moved another currency"] = (
            "payments moved the money that their history says",
            "UPDATE ledger_entries SET currency = 'EUR' WHERE payment_id = 'paid'"
        ),
        ["a payment is paid from a deposit"] = (
            "payments moved the money that their history says",
            "UPDATE ledger_entries SET account = 'SETTLEMENT' WHERE payment_id = 'paid' AND account = 'PAYERS'"
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
            "cancelled payments have exactly one cancellation",
            "DELETE FROM cancellations WHERE payment_id = 'cancelled-paid'"
        ),
        ["a payment is cancelled twice"] = (
            "cancelled payments have exactly one cancellation",
            """
            CREATE TABLE twice AS SELECT * FROM cancellations;
            DROP TABLE cancellations;
            ALTER TABLE twice RENAME TO cancellations;
            INSERT INTO cancellations SELECT * FROM cancellations WHERE payment_id = 'cancelled-paid'
            """
        ),
        ["a payment that goes on has a cancellation"] = (
            "cancellations have a cancelled payment",
            "UPDATE cancellations SET payment_id = 'paid' WHERE payment_id = 'cancelled-paid'"
        ),
        ["a payment that does not exist has a cancellation"] = (
            "cancellations have a cancelled payment",
            "UPDATE cancellations SET payment_id = 'nobody' WHERE payment_id = 'cancelled-paid'"
        ),
        ["a cancellation has another effect"] = (
            "cancellations have the effect that the state called for",
            "UPDATE cancellations SET effect = 'CLOSED' WHERE effect = 'REFUNDED'"
        ),
        ["a hold is closed"] = (
            "cancellations have the effect that the state called for",
            "UPDATE cancellations SET effect = 'CLOSED' WHERE effect = 'HOLD_RELEASED'"
        ),
        ["a cancellation has another time"] = (
            "cancellations have the effect that the state called for",
            "UPDATE cancellations SET cancelled_at = (SELECT MIN(at) FROM payment_history)"
        ),
        ["an answer is empty"] = (
            "stored answers name both identifiers of the payment",
            "UPDATE cancellations SET answer = '' WHERE payment_id = 'cancelled-paid'"
        ),
        ["an answer is another payment's"] = (
            "stored answers name both identifiers of the payment",
            """
            UPDATE cancellations SET answer = (
                SELECT c.answer FROM cancellations c WHERE c.payment_id = 'cancelled-failed')
            WHERE payment_id = 'cancelled-paid'
            """
        ),
        ["a paymentRequestId is not kept"] = (
            "payments own their paymentRequestId",
            "DELETE FROM payment_requests WHERE payment_id = 'paid'"
        ),
        ["a payment has another paymentRequestId"] = (
            "payments own their paymentRequestId",
            "UPDATE payments SET payment_request_id = 'req-other' WHERE payment_id = 'paid'"
        ),
        ["a paymentRequestId is owned by nobody"] = (
            "paymentRequestIds have a payment or a refusal",
            "UPDATE payment_requests SET payment_id = 'nobody' WHERE payment_id = 'paid'"
        ),
        ["a paymentRequestId is owned and refused"] = (
            "paymentRequestIds have a payment or a refusal",
            "UPDATE payment_requests SET payment_id = 'nobody' WHERE refused_at IS NOT NULL"
        ),
        ["a paymentRequestId is neither owned nor refused"] = (
            "paymentRequestIds have a payment or a refusal",
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
    };

    public static MatrixTheoryData<string, DatabaseProvider> PlantedDamages => Both.Times(Damages.Keys);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_healthy_database_passes_and_every_row_is_counted(DatabaseProvider provider)
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
    public async Task A_planted_damage_is_found(string damage, DatabaseProvider provider)
    {
        using var database = await healthy.Copy(provider);
        var (check, sql) = Damages[damage];
        await HealthyDatabases.Plant(database, sql);

        var (results, output) = await Audit(database);

        results.Single(r => r.Check.Name == check).Violations.ShouldBeGreaterThan(0, output);
    }

    [Fact]
    public void Every_check_has_a_planted_damage() =>
        LedgerAudit
            .Checks.Select(c => c.Name)
            .ShouldBe(Damages.Values.Select(d => d.Check).Distinct(StringComparer.Ordinal), ignoreOrder: true);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task All_violations_are_counted_and_the_first_are_told(DatabaseProvider provider)
    {
        using var database = await healthy.Copy(provider);
        await HealthyDatabases.Plant(
            database,
            """
            INSERT INTO outbox (client_id, payment_id, event_id, created_at, attempts, due_at)
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)
            SELECT o.client_id, 'nobody-' || n.i, o.event_id, o.created_at, 0, o.created_at
            FROM outbox o CROSS JOIN n WHERE o.payment_id = 'cancelled-paid'
            """
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
    public async Task Without_a_database_there_is_no_verdict(DatabaseProvider provider)
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
            )
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

/// <summary>A database of each kind that holds all that the service writes, and fresh copies of it.</summary>
public sealed class HealthyDatabases(PostgresServer postgres) : IDisposable
{
    /// <summary>How many rows there are, by table.</summary>
    public static readonly (string Table, long Rows)[] Counts =
    [
        ("payments", 18),
        ("payment_history", 49),
        ("payment_requests", 19),
        ("cancellations", 6),
        ("outbox", 6),
        ("accounts", 3),
        ("transfers", 3),
        ("ledger_entries", 30),
    ];

    private readonly ConcurrentDictionary<DatabaseProvider, Lazy<Task<TestDatabase>>> _originals = new();

    /// <summary>A copy that the test may damage.</summary>
    public async Task<TestDatabase> Copy(DatabaseProvider provider)
    {
        var original = await _originals.GetOrAdd(provider, p => new(() => Fill(p))).Value;
        return await original.Copy(postgres);
    }

    /// <summary>Executes what no code of ours would, with the foreign keys and checks out of the way.</summary>
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
        var client = await host.AddClient();
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

        await Cancel("cancelled-processing", State.Processing, (payment, now) => payment.Succeed(now));
        await Cancel("cancelled-pending", State.ProcessingAuthorization, (payment, now) => payment.Authorize(now));
        await Cancel("cancelled-authorized", State.Authorized, (payment, now) => payment.Capture(payment.Amount, now));
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

        // Another client's payment with the same identifiers is another payment.
        await host.AddPayment(await host.AddClient(), State.Success, "paid");
        return database;

        async Task Cancel(string id, State state, Func<Payment, DateTimeOffset, TransitionDecision>? late = null)
        {
            await host.AddPayment(client, state, id);
            host.Clock.Advance(TimeSpan.FromSeconds(1));
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
            if (late is null)
                return;
            var payment = (await host.Find(client, id)).ShouldNotBeNull().Payment;
            var refused = late(payment, host.Now).ShouldBeOfType<TransitionDecision.TooLate>();
            (await host.Commit(payment, refused.Change)).ShouldBeTrue();
        }
    }
}
