using System.Data.Common;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Goal: the database itself enforces the invariants, whichever program writes to it.</summary>
public sealed class SchemaTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private const string PaymentColumns =
        "kind, initiated_at, status, captured, refunded, version, amount_currency, amount_minor_units";

    private const string CancelColumns =
        "client_id, payment_id, version, action, actor, at, from_status, to_status, answer";

    // C is the client with the cancelled payment p1, the paid payment p2 and 1000 USD cents; D is another client.
    private static readonly Dictionary<string, string> Violations = new(StringComparer.Ordinal)
    {
        ["a paymentRequestId twice"] =
            "INSERT INTO payment_requests (client_id, payment_request_id, payment_id) VALUES ('C', 'req-p1', 'p2')",
        ["a second paymentRequestId of a payment"] =
            "INSERT INTO payment_requests (client_id, payment_request_id, payment_id) VALUES ('C', 'req-p3', 'p1')",
        ["a paymentRequestId that is changed to another's"] =
            "UPDATE payment_requests SET payment_request_id = 'req-p1' WHERE client_id = 'C' AND payment_id = 'p2'",
        ["a paymentRequestId without a payment"] =
            "UPDATE payment_requests SET payment_id = 'none' WHERE client_id = 'C' AND payment_id = 'p2'",
        ["a paymentRequestId that belongs to nobody"] =
            "UPDATE payment_requests SET payment_id = NULL WHERE client_id = 'C' AND payment_id = 'p2'",
        ["a paymentId twice"] =
            $"INSERT INTO payments (client_id, payment_id, {PaymentColumns}) "
            + $"SELECT client_id, payment_id, {PaymentColumns} FROM payments WHERE client_id = 'C'",
        ["a payment without a client"] =
            "UPDATE payments SET client_id = 'NOBODY' WHERE client_id = 'C' AND payment_id = 'p2'",
        ["an unknown status"] = "UPDATE payments SET status = 'PAUSED' WHERE client_id = 'C'",
        ["a status in another spelling"] = "UPDATE payments SET status = 'success' WHERE client_id = 'C'",
        ["no status"] = "UPDATE payments SET status = NULL WHERE client_id = 'C'",
        ["an unknown kind"] = "UPDATE payments SET kind = 'GIFT' WHERE client_id = 'C'",
        ["an amount of zero"] = "UPDATE payments SET amount_minor_units = 0 WHERE client_id = 'C'",
        ["a negative amount"] = "UPDATE payments SET amount_minor_units = -1 WHERE client_id = 'C'",
        ["more captured than there is"] = "UPDATE payments SET captured = 1001 WHERE client_id = 'C'",
        ["less than nothing captured"] = "UPDATE payments SET captured = -1 WHERE client_id = 'C'",
        ["more refunded than there is"] = "UPDATE payments SET refunded = 1001 WHERE client_id = 'C'",
        ["less than nothing refunded"] = "UPDATE payments SET refunded = -1 WHERE client_id = 'C'",
        ["a negative fence"] = "UPDATE payments SET fence = -1 WHERE client_id = 'C'",
        ["a second cancellation"] =
            $"INSERT INTO payment_history ({CancelColumns}) SELECT client_id, payment_id, 99, action, actor, at, "
            + "from_status, to_status, answer FROM payment_history WHERE client_id = 'C' AND action = 'CANCEL'",
        ["a cancellation without a payment"] =
            $"INSERT INTO payment_history ({CancelColumns}) SELECT client_id, 'none', version, action, actor, at, "
            + "from_status, to_status, answer FROM payment_history WHERE client_id = 'C' AND action = 'CANCEL'",
        ["a cancellation of another client's payment"] =
            $"INSERT INTO payment_history ({CancelColumns}) SELECT 'D', 'p2', version, action, actor, at, "
            + "from_status, to_status, answer FROM payment_history WHERE client_id = 'C' AND action = 'CANCEL'",
        ["a cancellation of a captured payment"] =
            "UPDATE payment_history SET from_status = 'CAPTURED' WHERE client_id = 'C' AND action = 'CANCEL'",
        ["a cancellation without its answer"] =
            "UPDATE payment_history SET answer = NULL WHERE client_id = 'C' AND action = 'CANCEL'",
        ["an answer without a cancellation"] =
            "UPDATE payment_history SET answer = 'x' WHERE client_id = 'C' AND action = 'REGISTER'",
        ["an amount without a currency"] = "UPDATE payment_history SET currency = NULL WHERE client_id = 'C'",
        ["a second outbox row of a cancellation"] =
            "INSERT INTO outbox (client_id, payment_id, created_at, attempts) "
            + "SELECT client_id, payment_id, created_at, 0 FROM outbox WHERE client_id = 'C'",
        ["a version twice in a history"] = "UPDATE payment_history SET version = 1 WHERE client_id = 'C'",
        ["a history without a payment"] = "UPDATE payment_history SET payment_id = 'none' WHERE client_id = 'C'",
        ["a negative balance"] = "UPDATE accounts SET balance = balance - 1001 WHERE client_id = 'C'",
        ["a balance over the limit"] = "UPDATE accounts SET balance = 1000000000000000001 WHERE client_id = 'C'",
        ["a second account in a currency"] =
            "INSERT INTO accounts (client_id, currency, balance) VALUES ('C', 'USD', 0)",
        ["an account without a client"] =
            "INSERT INTO accounts (client_id, currency, balance) VALUES ('NOBODY', 'USD', 0)",
        ["a transfer in a currency without account"] = "UPDATE transfers SET currency = 'EUR' WHERE client_id = 'C'",
        ["a transfer of another client's account"] = "UPDATE transfers SET client_id = 'D' WHERE client_id = 'C'",
        ["a transfer of zero"] = "UPDATE transfers SET minor_units = 0 WHERE client_id = 'C'",
        ["a transfer from an account to itself"] = "UPDATE transfers SET debit = credit WHERE client_id = 'C'",
        ["a transfer from an unknown account"] = "UPDATE transfers SET debit = 'POCKET' WHERE client_id = 'C'",
        ["a transfer without a cause"] =
            "UPDATE transfers SET payment_id = NULL, payment_version = NULL WHERE client_id = 'C'",
        ["a transfer with two causes"] = "UPDATE transfers SET reference = 't1' WHERE client_id = 'C'",
        ["two transfers of one change"] =
            "UPDATE transfers SET payment_version = 2, payment_id = 'p1' WHERE client_id = 'C'",
        ["a client twice"] =
            "INSERT INTO clients (client_id, name, enabled, contract_burst, contract_may_cancel, "
            + "contract_requests_per_second, contract_window) SELECT client_id, name, enabled, contract_burst, "
            + "contract_may_cancel, contract_requests_per_second, contract_window FROM clients WHERE client_id = 'C'",
        ["a key version twice"] =
            "INSERT INTO client_keys (client_id, version, public_key) "
            + "SELECT client_id, version, public_key FROM client_keys WHERE client_id = 'C'",
        ["a key without a client"] =
            "INSERT INTO client_keys (client_id, version, public_key) VALUES ('NOBODY', 1, 'x')",
        ["a client deleted with its payments"] = "DELETE FROM clients WHERE client_id = 'C'",
        ["a payment deleted with its history"] = "DELETE FROM payments WHERE client_id = 'C'",
        ["an account deleted with its transfers"] = "DELETE FROM accounts WHERE client_id = 'C'",
    };

    public static MatrixTheoryData<string, DatabaseProvider> ViolationNames => Both.Times(Violations.Keys);

    [Theory]
    [MemberData(nameof(ViolationNames))]
    public async Task Database_rejects(string violation, DatabaseProvider provider)
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
    public async Task Identifiers_are_unique_per_client_only(DatabaseProvider provider)
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
    public async Task Keys_unique_indexes_and_foreign_keys_begin_with_the_client(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        await using var db = host.Db();
        var tables = db.Model.GetEntityTypes().Where(entity => entity.GetTableName() is not null).ToList();
        tables.Count.ShouldBe(13);
        // Few rows, which belong to no client.
        tables.RemoveAll(table => table.GetTableName() is "restores" or "data_protection_keys" or "operator_sessions");
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
    public async Task Migrations_match_the_model(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        await using var db = host.Db();
        db.Database.HasPendingModelChanges().ShouldBeFalse();
        (await db.Database.GetPendingMigrationsAsync(TestContext.Current.CancellationToken)).ShouldBeEmpty();
    }
}
