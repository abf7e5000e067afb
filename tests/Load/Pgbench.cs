using System.Globalization;
using System.Text.RegularExpressions;
using CancelService.Harness;

namespace CancelService.Load;

/// <summary>
/// The baseline: pgbench executes the writes of a cancel on the same tables in the usual way, statement by statement in
/// one transaction, with prepared statements and one connection a client.
/// </summary>
internal sealed partial class Pgbench(PostgresPrograms cluster, string database)
{
    // :n counts the transactions of a connection, so that no two transactions cancel the same payment.
    private const string Script = """
        \set i :first + :n * :connections + :client_id
        \set n :n + 1
        \set c :i % :clients
        BEGIN;
        SELECT p.kind, p.status, p.captured, p.refunded, p.version, p.amount_minor_units, p.amount_currency, p.initiated_at,
                r.payment_request_id
            FROM payments p
            JOIN payment_requests r ON r.client_id = p.client_id AND r.payment_id = p.payment_id
            WHERE p.client_id = {client} AND p.payment_id = {payment} FOR UPDATE OF p;
        SELECT enabled, contract_may_cancel, contract_window FROM clients WHERE client_id = {client};
        UPDATE payments SET status = 'CANCELLED', version = 3 WHERE client_id = {client} AND payment_id = {payment} AND version = 2;
        INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status, minor_units,
                currency, answer)
            VALUES ({client}, {payment}, 3, 'CANCEL', 'merchant', now(), 'SUCCESS', 'CANCELLED', 1000, 'USD', '{answer}');
        INSERT INTO transfers (client_id, transfer_id, debit, credit, minor_units, currency, at, payment_id, payment_version)
            VALUES ({client}, gen_random_uuid(), 'MERCHANT', 'PAYERS', 1000, 'USD', now(), {payment}, 3);
        INSERT INTO outbox (client_id, payment_id, created_at, due_at, attempts) VALUES ({client}, {payment}, now(), now(), 0);
        UPDATE accounts SET balance = balance - 1000 WHERE client_id = {client} AND currency = 'USD';
        COMMIT;
        """;

    private const string Answer =
        """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"paymentId":"pay-1000000","paymentRequestId":"req-pay-1000000","cancelTime":"2026-11-23T09:28:49+08:00"}""";

    /// <summary>
    /// Cancels payments from the given number on for some seconds; returns the rate and the number of transactions.
    /// </summary>
    public async Task<(double PerSecond, long Transactions)> Run(bool hot, long first, int connections, int seconds)
    {
        var file = Path.Combine(cluster.Directory, $"cancel-{(hot ? "hot" : "spread")}.sql");
        await File.WriteAllTextAsync(
            file,
            Script
                .Replace("{client}", hot ? "'hot'" : "('client-' || :c)", StringComparison.Ordinal)
                .Replace("{payment}", hot ? "('hot-' || :i)" : "('pay-' || :i)", StringComparison.Ordinal)
                .Replace("{answer}", Answer, StringComparison.Ordinal)
        );
        var output = await cluster.Run(
            "pgbench",
            "--no-vacuum",
            "--protocol=prepared",
            $"--file={file}",
            $"--client={connections}",
            "--jobs=2",
            $"--time={seconds}",
            "--define=n=0",
            $"--define=first={first}",
            $"--define=connections={connections}",
            $"--define=clients={Testbed.Clients}",
            $"--host={cluster.Directory}",
            "--username=postgres",
            database
        );
        var failed = Failures().Match(output);
        if (!failed.Success || failed.Groups["n"].Value != "0")
            throw new InvalidOperationException($"pgbench failed:\n{output}");
        return (
            double.Parse(PerSecond().Match(output).Groups["n"].Value, CultureInfo.InvariantCulture),
            long.Parse(Transactions().Match(output).Groups["n"].Value, CultureInfo.InvariantCulture)
        );
    }

    [GeneratedRegex(@"tps = (?<n>[0-9.]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PerSecond();

    [GeneratedRegex(
        "transactions actually processed: (?<n>[0-9]+)",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Transactions();

    [GeneratedRegex(
        "number of failed transactions: (?<n>[0-9]+)",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Failures();
}
