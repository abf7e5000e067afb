using System.Data.Common;
using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace CancelService.IntegrationTests;

/// <summary>What must never be in the database is refused by the database, whoever writes it.</summary>
public sealed class SchemaTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private const string PaymentColumns =
        "kind, initiated_at, status, captured, refunded, version, amount_currency, amount_minor_units";

    // C is the client, with the cancelled payment p1, the paid payment p2 and 1000 USD cents; D another client.
    private static readonly Dictionary<string, string> Violations = new(StringComparer.Ordinal)
    {
        ["a paymentRequestId twice"] =
            $"INSERT INTO payments (client_id, payment_id, payment_request_id, {PaymentColumns}) "
            + $"SELECT client_id, 'p3', payment_request_id, {PaymentColumns} FROM payments WHERE client_id = 'C'",
        ["a paymentId twice"] =
            $"INSERT INTO payments (client_id, payment_id, payment_request_id, {PaymentColumns}) "
            + $"SELECT client_id, payment_id, 'req-p3', {PaymentColumns} FROM payments WHERE client_id = 'C'",
        ["a paymentRequestId that is changed to another's"] =
            "UPDATE payments SET payment_request_id = 'req-p1' WHERE client_id = 'C' AND payment_id = 'p2'",
        ["a payment of no client"] =
            "UPDATE payments SET client_id = 'NOBODY' WHERE client_id = 'C' AND payment_id = 'p2'",
        ["an unknown status"] = "UPDATE payments SET status = 'PAUSED' WHERE client_id = 'C'",
        ["a status in another spelling"] = "UPDATE payments SET status = 'success' WHERE client_id = 'C'",
        ["no status"] = "UPDATE payments SET status = NULL WHERE client_id = 'C'",
        ["an unknown kind"] = "UPDATE payments SET kind = 'GIFT' WHERE client_id = 'C'",
        ["an amount of nothing"] = "UPDATE payments SET amount_minor_units = 0 WHERE client_id = 'C'",
        ["a negative amount"] = "UPDATE payments SET amount_minor_units = -1 WHERE client_id = 'C'",
        ["more captured than there is"] = "UPDATE payments SET captured = 1001 WHERE client_id = 'C'",
        ["less than nothing captured"] = "UPDATE payments SET captured = -1 WHERE client_id = 'C'",
        ["more refunded than there is"] = "UPDATE payments SET refunded = 1001 WHERE client_id = 'C'",
        ["less than nothing refunded"] = "UPDATE payments SET refunded = -1 WHERE client_id = 'C'",
        ["a second cancellation"] =
            "INSERT INTO cancellations (client_id, payment_id, effect, cancelled_at, answer) "
            + "SELECT client_id, payment_id, 'CLOSED', cancelled_at, answer FROM cancellations WHERE client_id = 'C'",
        ["a cancellation of no payment"] =
            "INSERT INTO cancellations (client_id, payment_id, effect, cancelled_at, answer) "
            + "SELECT client_id, 'none', effect, cancelled_at, answer FROM cancellations WHERE client_id = 'C'",
        ["a cancellation of another client's payment"] =
            "INSERT INTO cancellations (client_id, payment_id, effect, cancelled_at, answer) "
            + "SELECT 'D', 'p2', effect, cancelled_at, answer FROM cancellations WHERE client_id = 'C'",
        ["an unknown effect"] = "UPDATE cancellations SET effect = 'NOTHING' WHERE client_id = 'C'",
        ["a cancellation without its answer"] = "UPDATE cancellations SET answer = NULL WHERE client_id = 'C'",
        ["a second outbox row of a cancellation"] =
            "INSERT INTO outbox (client_id, payment_id, event_id, created_at) "
            + "SELECT client_id, payment_id, event_id, created_at FROM outbox WHERE client_id = 'C'",
        ["an outbox row without a cancellation"] = "UPDATE outbox SET payment_id = 'p2' WHERE client_id = 'C'",
        ["a version twice in a history"] = "UPDATE payment_history SET version = 1 WHERE client_id = 'C'",
        ["a history of no payment"] = "UPDATE payment_history SET payment_id = 'none' WHERE client_id = 'C'",
        ["a negative balance"] = "UPDATE accounts SET balance = balance - 1001 WHERE client_id = 'C'",
        ["a second account in a currency"] =
            "INSERT INTO accounts (client_id, currency, balance) VALUES ('C', 'USD', 0)",
        ["an account of no client"] = "INSERT INTO accounts (client_id, currency, balance) VALUES ('NOBODY', 'USD', 0)",
        ["an entry in a currency without account"] = "UPDATE ledger_entries SET currency = 'EUR' WHERE client_id = 'C'",
        ["an entry of another client's account"] = "UPDATE ledger_entries SET client_id = 'D' WHERE client_id = 'C'",
        ["an entry of nothing"] = "UPDATE ledger_entries SET minor_units = 0 WHERE client_id = 'C'",
        ["an unknown ledger account"] = "UPDATE ledger_entries SET account = 'POCKET' WHERE client_id = 'C'",
        ["a line of a transaction twice"] = "UPDATE ledger_entries SET line = 1 WHERE client_id = 'C'",
        ["a client twice"] =
            "INSERT INTO clients (client_id, name, enabled, contract_burst, contract_may_cancel, "
            + "contract_requests_per_second, contract_window) SELECT client_id, name, enabled, contract_burst, "
            + "contract_may_cancel, contract_requests_per_second, contract_window FROM clients WHERE client_id = 'C'",
        ["a key version twice"] =
            "INSERT INTO client_keys (client_id, version, public_key) "
            + "SELECT client_id, version, public_key FROM client_keys WHERE client_id = 'C'",
        ["a key of no client"] = "INSERT INTO client_keys (client_id, version, public_key) VALUES ('NOBODY', 1, 'x')",
        ["a client deleted with its payments"] = "DELETE FROM clients WHERE client_id = 'C'",
        ["a payment deleted with its history"] = "DELETE FROM payments WHERE client_id = 'C'",
        ["a cancellation deleted before it was told"] = "DELETE FROM cancellations WHERE client_id = 'C'",
        ["an account deleted with its entries"] = "DELETE FROM accounts WHERE client_id = 'C'",
    };

    public static MatrixTheoryData<string, DatabaseProvider> ViolationNames => Both.Times(Violations.Keys);

    [Theory]
    [MemberData(nameof(ViolationNames))]
    public async Task The_database_refuses(string violation, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (client, other) = (await host.AddClient(), await host.AddClient());
        await host.AddPayment(client, State.Success);
        await host.AddPayment(client, State.Success, "p2");
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        var before = await host.Dump(client);

        var sql = Violations[violation]
            .Replace("'C'", $"'{client.Id.Value}'", StringComparison.Ordinal)
            .Replace("'D'", $"'{other.Id.Value}'", StringComparison.Ordinal);
        await Should.ThrowAsync<DbException>(() => host.Execute(sql));
        (await host.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task The_same_identifiers_are_free_for_every_client(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        foreach (var client in new[] { await host.AddClient(), await host.AddClient() })
        {
            await host.AddPayment(client, State.Success);
            (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Every_key_unique_index_and_foreign_key_begins_with_the_client(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        await using var db = host.Db();
        var tables = db.Model.GetEntityTypes().ToList();
        tables.Count.ShouldBeGreaterThan(7);
        foreach (var table in tables)
        {
            foreach (var key in table.GetKeys())
                Column(key.Properties).ShouldBe("client_id", table.Name);
            foreach (var index in table.GetIndexes().Where(index => index.IsUnique))
                Column(index.Properties).ShouldBe("client_id", table.Name);
            foreach (var foreign in table.GetForeignKeys())
            {
                Column(foreign.Properties).ShouldBe("client_id", table.Name);
                Column(foreign.PrincipalKey.Properties).ShouldBe("client_id", table.Name);
            }
        }

        static string Column(IReadOnlyList<IReadOnlyProperty> properties) => properties[0].GetColumnName();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task The_migrations_lead_to_the_model(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        await using var db = host.Db();
        db.Database.HasPendingModelChanges().ShouldBeFalse();
        (await db.Database.GetPendingMigrationsAsync(TestContext.Current.CancellationToken)).ShouldBeEmpty();
    }
}
