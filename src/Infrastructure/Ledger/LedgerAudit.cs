using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using CancelService.Infrastructure.Persistence;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Ledger;

/// <summary>A check of the audit.</summary>
/// <param name="Name">The invariant, in words.</param>
/// <param name="Table">The table whose every row is checked.</param>
/// <param name="Sql">
/// The query, which both databases understand: one row per violation, with the client, what it is about (a payment, an
/// account) and what is wrong with it.
/// </param>
public sealed record AuditCheck(string Name, string Table, string Sql)
{
    /// <summary>
    /// For what SQL can't say for both databases: each row of the query is one that is checked, and this tells what is
    /// wrong with it, or null.
    /// </summary>
    internal Func<DbDataReader, string?> Problem { get; init; } = row => row.GetString(2);
}

/// <summary>What a check found.</summary>
/// <param name="Check">The check.</param>
/// <param name="Counted">How many rows were checked.</param>
/// <param name="Violations">How many violations were found.</param>
/// <param name="Samples">The first of them, a line each.</param>
public sealed record AuditResult(AuditCheck Check, long Counted, long Violations, IReadOnlyList<string> Samples);

/// <summary>
/// Checks every invariant over the whole database, on one consistent snapshot, so that live traffic gives no false
/// alarm. It trusts no constraint and no code of ours: what it knows of the rules stands here once more, as SQL over the
/// stored text. The database joins and adds up; violations are streamed, so our memory does not grow with the data.
/// </summary>
public sealed class LedgerAudit(Database database)
{
    /// <summary>How many violations of a check are told one by one; all are counted.</summary>
    public const int MaxSamples = 20;

    // Every query begins with the client and joins within one client, as every statement of the service does.
    private static readonly AuditCheck[] All =
    [
        new(
            "ledger transactions sum to zero",
            "ledger_entries",
            """
            SELECT client_id, CAST(transaction_id AS TEXT), 'sums to ' || SUM(minor_units) || ' ' || currency
            FROM ledger_entries
            GROUP BY client_id, transaction_id, currency
            HAVING SUM(minor_units) <> 0
            """
        ),
        new(
            "ledger entries have a payment or a transfer",
            "ledger_entries",
            """
            SELECT e.client_id, CAST(e.transaction_id AS TEXT) || '/' || e.line,
                CASE
                    WHEN e.payment_id IS NULL THEN 'belongs to no payment and no transfer'
                    WHEN p.payment_id IS NULL THEN 'belongs to payment ' || e.payment_id || ', which does not exist'
                    ELSE 'belongs to payment ' || e.payment_id || ' and to transfer ' || t.transfer_id
                END
            FROM ledger_entries e
            LEFT JOIN payments p ON p.client_id = e.client_id AND p.payment_id = e.payment_id
            LEFT JOIN transfers t ON t.client_id = e.client_id AND t.transaction_id = e.transaction_id
            WHERE (p.payment_id IS NULL) = (t.transfer_id IS NULL)
                OR (p.payment_id IS NULL AND e.payment_id IS NOT NULL)
            """
        ),
        new(
            "ledger entries have an account",
            "ledger_entries",
            """
            SELECT e.client_id, e.currency, e.entries || ' entries without an account'
            FROM (
                SELECT client_id, currency, COUNT(*) AS entries FROM ledger_entries GROUP BY client_id, currency
            ) e
            LEFT JOIN accounts a ON a.client_id = e.client_id AND a.currency = e.currency
            WHERE a.currency IS NULL
            """
        ),
        new(
            "balances equal their entries and are not negative",
            "accounts",
            """
            SELECT a.client_id, a.currency,
                'the balance is ' || a.balance || ', the entries sum to ' || COALESCE(e.total, 0)
            FROM accounts a
            LEFT JOIN (
                SELECT client_id, currency, SUM(minor_units) AS total FROM ledger_entries
                WHERE account = 'MERCHANT'
                GROUP BY client_id, currency
            ) e ON e.client_id = a.client_id AND e.currency = a.currency
            WHERE a.balance <> COALESCE(e.total, 0) OR a.balance < 0
            """
        ),
        new(
            "transfers have exactly their two entries",
            "transfers",
            """
            SELECT t.client_id, t.transfer_id,
                t.kind || ' of ' || t.amount_minor_units || ' ' || t.amount_currency || ': ' || COALESCE(e.entries, 0)
                    || ' entries, MERCHANT ' || COALESCE(e.merchant, 0) || ', SETTLEMENT ' || COALESCE(e.settlement, 0)
            FROM transfers t
            LEFT JOIN (
                SELECT client_id, transaction_id, COUNT(*) AS entries,
                    MIN(currency) AS least_currency, MAX(currency) AS most_currency,
                    SUM(CASE WHEN account = 'MERCHANT' THEN minor_units ELSE 0 END) AS merchant,
                    SUM(CASE WHEN account = 'SETTLEMENT' THEN minor_units ELSE 0 END) AS settlement
                FROM ledger_entries
                WHERE payment_id IS NULL
                GROUP BY client_id, transaction_id
            ) e ON e.client_id = t.client_id AND e.transaction_id = t.transaction_id
            WHERE e.entries IS DISTINCT FROM 2
                OR e.merchant <> CASE t.kind WHEN 'DEPOSIT' THEN t.amount_minor_units ELSE -t.amount_minor_units END
                OR e.settlement <> CASE t.kind WHEN 'DEPOSIT' THEN -t.amount_minor_units ELSE t.amount_minor_units END
                OR e.least_currency <> t.amount_currency OR e.most_currency <> t.amount_currency
                OR t.kind NOT IN ('DEPOSIT', 'PAYOUT') OR t.amount_minor_units <= 0
            """
        ),
        new(
            "payments moved the money that their history says",
            "payments",
            """
            SELECT p.client_id, p.payment_id,
                'by its history ' || COALESCE(h.moves, 0) || ' movements, ' || COALESCE(h.credits, 0) || ' in, '
                    || COALESCE(h.debits, 0) || ' out; by the ledger ' || COALESCE(e.entries, 0) || ' entries, MERCHANT '
                    || COALESCE(e.credits, 0) || ' in, ' || COALESCE(e.debits, 0) || ' out, PAYERS '
                    || COALESCE(e.payers_credits, 0) || ' in, ' || COALESCE(e.payers_debits, 0) || ' out'
            FROM payments p
            LEFT JOIN (
                SELECT client_id, payment_id, COUNT(*) AS moves,
                    SUM(CASE WHEN action IN ('SUCCEED', 'CAPTURE') THEN minor_units ELSE 0 END) AS credits,
                    SUM(CASE WHEN action IN ('REFUND', 'CANCEL') THEN minor_units ELSE 0 END) AS debits
                FROM payment_history
                WHERE remedy IS NULL
                    AND (action IN ('SUCCEED', 'CAPTURE', 'REFUND') OR (action = 'CANCEL' AND from_status = 'SUCCESS'))
                GROUP BY client_id, payment_id
            ) h ON h.client_id = p.client_id AND h.payment_id = p.payment_id
            LEFT JOIN (
                SELECT client_id, payment_id, COUNT(*) AS entries,
                    MIN(currency) AS least_currency, MAX(currency) AS most_currency,
                    SUM(CASE WHEN account = 'MERCHANT' AND minor_units > 0 THEN minor_units ELSE 0 END) AS credits,
                    SUM(CASE WHEN account = 'MERCHANT' AND minor_units < 0 THEN -minor_units ELSE 0 END) AS debits,
                    SUM(CASE WHEN account = 'PAYERS' AND minor_units > 0 THEN minor_units ELSE 0 END) AS payers_credits,
                    SUM(CASE WHEN account = 'PAYERS' AND minor_units < 0 THEN -minor_units ELSE 0 END) AS payers_debits
                FROM ledger_entries
                WHERE payment_id IS NOT NULL
                GROUP BY client_id, payment_id
            ) e ON e.client_id = p.client_id AND e.payment_id = p.payment_id
            WHERE COALESCE(e.entries, 0) <> 2 * COALESCE(h.moves, 0)
                OR COALESCE(e.credits, 0) <> COALESCE(h.credits, 0)
                OR COALESCE(e.debits, 0) <> COALESCE(h.debits, 0)
                OR e.payers_credits <> e.debits OR e.payers_debits <> e.credits
                OR e.least_currency <> p.amount_currency OR e.most_currency <> p.amount_currency
            """
        ),
        new(
            "payments captured and refunded what their history says",
            "payments",
            """
            SELECT p.client_id, p.payment_id,
                'captured ' || p.captured || ', refunded ' || p.refunded || ' of ' || p.amount_minor_units
                    || '; by its history ' || COALESCE(h.captured, 0) || ' and ' || COALESCE(h.refunded, 0)
            FROM payments p
            LEFT JOIN (
                SELECT client_id, payment_id,
                    SUM(CASE WHEN action = 'CAPTURE' THEN minor_units ELSE 0 END) AS captured,
                    SUM(CASE WHEN action = 'REFUND' THEN minor_units ELSE 0 END) AS refunded
                FROM payment_history
                WHERE remedy IS NULL AND action IN ('CAPTURE', 'REFUND')
                GROUP BY client_id, payment_id
            ) h ON h.client_id = p.client_id AND h.payment_id = p.payment_id
            WHERE p.captured <> COALESCE(h.captured, 0) OR p.refunded <> COALESCE(h.refunded, 0)
                OR p.captured NOT BETWEEN 0 AND p.amount_minor_units
                OR p.refunded NOT BETWEEN 0 AND
                    CASE p.kind WHEN 'AUTHORIZATION' THEN p.captured ELSE p.amount_minor_units END
            """
        ),
        new(
            "payments stand where their history ends",
            "payments",
            """
            SELECT p.client_id, p.payment_id,
                p.status || ' at version ' || p.version
                    || COALESCE('; its history says ' || h.to_status || ' at version ' || h.version, ' has no history')
            FROM payments p
            LEFT JOIN payment_history h
                ON h.client_id = p.client_id AND h.payment_id = p.payment_id AND h.version >= p.version
            WHERE h.version IS DISTINCT FROM p.version OR h.to_status <> p.status
            """
        ),
        new(
            "history runs from version 1 without a gap",
            "payment_history",
            """
            SELECT client_id, payment_id,
                'version ' || version || ' from ' || COALESCE(from_status, 'nothing') || ' follows version '
                    || COALESCE(version_before, 0) || ' to ' || COALESCE(to_status_before, 'nothing')
            FROM (
                SELECT client_id, payment_id, version, from_status,
                    LAG(version) OVER steps AS version_before, LAG(to_status) OVER steps AS to_status_before
                FROM payment_history
                WINDOW steps AS (PARTITION BY client_id, payment_id ORDER BY version)
            ) h
            WHERE version <> COALESCE(version_before, 0) + 1 OR from_status IS DISTINCT FROM to_status_before
            """
        ),
        new(
            "history follows the state table",
            "payment_history",
            """
            SELECT client_id, payment_id, 'version ' || version || ' is ' || step
            FROM (
                SELECT client_id, payment_id, version,
                    COALESCE(from_status, 'nothing') || ' ' || action || CASE WHEN remedy IS NULL THEN ' ' ELSE ' late ' END
                        || to_status AS step
                FROM payment_history
            ) h
            WHERE step NOT IN (
                'nothing REGISTER PROCESSING',
                'PROCESSING AUTHORIZE AUTHORIZED', 'PROCESSING SUCCEED SUCCESS',
                'PROCESSING FAIL FAILED', 'AUTHORIZED FAIL FAILED',
                'AUTHORIZED CAPTURE CAPTURED', 'CAPTURED CAPTURE CAPTURED', 'REFUNDED CAPTURE REFUNDED',
                'SUCCESS REFUND REFUNDED', 'CAPTURED REFUND REFUNDED', 'REFUNDED REFUND REFUNDED',
                'PROCESSING CANCEL CANCELLED', 'AUTHORIZED CANCEL CANCELLED',
                'SUCCESS CANCEL CANCELLED', 'FAILED CANCEL CANCELLED',
                'CANCELLED AUTHORIZE late CANCELLED', 'CANCELLED SUCCEED late CANCELLED',
                'CANCELLED CAPTURE late CANCELLED', 'CANCELLED FAIL CANCELLED')
            """
        ),
        new(
            "history has a payment and amounts that fit it",
            "payment_history",
            """
            SELECT h.client_id, h.payment_id,
                CASE
                    WHEN p.payment_id IS NULL THEN 'version ' || h.version || ' is of a payment that does not exist'
                    ELSE 'version ' || h.version || ', ' || h.action || ', is about ' || COALESCE(h.minor_units, 0)
                        || ' of ' || p.amount_minor_units
                END
            FROM payment_history h
            LEFT JOIN payments p ON p.client_id = h.client_id AND p.payment_id = h.payment_id
            WHERE p.payment_id IS NULL
                OR (h.action IN ('REGISTER', 'AUTHORIZE', 'SUCCEED', 'CANCEL')
                    AND h.minor_units IS DISTINCT FROM p.amount_minor_units)
                OR (h.action IN ('CAPTURE', 'REFUND') AND h.remedy IS NULL
                    AND COALESCE(h.minor_units, 0) NOT BETWEEN 1 AND p.amount_minor_units)
            """
        ),
        new(
            "cancelled payments have exactly one cancellation",
            "payments",
            """
            SELECT p.client_id, p.payment_id, 'has ' || COALESCE(c.cancellations, 0) || ' cancellations'
            FROM payments p
            LEFT JOIN (
                SELECT client_id, payment_id, COUNT(*) AS cancellations FROM cancellations
                GROUP BY client_id, payment_id
            ) c ON c.client_id = p.client_id AND c.payment_id = p.payment_id
            WHERE p.status = 'CANCELLED' AND c.cancellations IS DISTINCT FROM 1
            """
        ),
        new(
            "cancellations have a cancelled payment",
            "cancellations",
            """
            SELECT c.client_id, c.payment_id, 'is cancelled; the payment is ' || COALESCE(p.status, 'missing')
            FROM cancellations c
            LEFT JOIN payments p ON p.client_id = c.client_id AND p.payment_id = c.payment_id
            WHERE p.status IS DISTINCT FROM 'CANCELLED'
            """
        ),
        new(
            "cancellations have the effect that the state called for",
            "cancellations",
            """
            SELECT c.client_id, c.payment_id,
                c.effect || COALESCE('; by its history cancelled from ' || h.from_status, '; its history has no cancel')
                    || CASE WHEN h.at <> c.cancelled_at THEN ' at another time' ELSE '' END
            FROM cancellations c
            LEFT JOIN payment_history h
                ON h.client_id = c.client_id AND h.payment_id = c.payment_id AND h.action = 'CANCEL'
            WHERE COALESCE(h.from_status, 'nothing') || ' ' || c.effect NOT IN (
                    'PROCESSING CLOSED', 'FAILED CLOSED', 'AUTHORIZED HOLD_RELEASED', 'SUCCESS REFUNDED')
                OR h.at <> c.cancelled_at
            """
        ),
        new(
            "stored answers name both identifiers of the payment",
            "cancellations",
            """
            SELECT c.client_id, c.payment_id, p.payment_request_id, c.answer
            FROM cancellations c
            JOIN payments p ON p.client_id = c.client_id AND p.payment_id = c.payment_id
            """
        )
        {
            Problem = ProblemOfAnswer,
        },
        new(
            "payments own their paymentRequestId",
            "payments",
            """
            SELECT p.client_id, p.payment_id,
                'has ' || p.payment_request_id || ', owns ' || COALESCE(r.payment_request_id, 'none')
            FROM payments p
            LEFT JOIN payment_requests r ON r.client_id = p.client_id AND r.payment_id = p.payment_id
            WHERE r.payment_request_id IS DISTINCT FROM p.payment_request_id
            """
        ),
        new(
            "paymentRequestIds have a payment or a refusal",
            "payment_requests",
            """
            SELECT r.client_id, r.payment_request_id,
                CASE
                    WHEN r.payment_id IS NULL THEN 'has neither a payment nor a refusal'
                    WHEN r.refused_at IS NOT NULL THEN 'has both payment ' || r.payment_id || ' and a refusal'
                    ELSE 'is owned by payment ' || r.payment_id
                        || COALESCE(', which has ' || p.payment_request_id, ', which does not exist')
                END
            FROM payment_requests r
            LEFT JOIN payments p ON p.client_id = r.client_id AND p.payment_id = r.payment_id
            WHERE (r.payment_id IS NULL) = (r.refused_at IS NULL)
                OR (r.payment_id IS NOT NULL AND p.payment_request_id IS DISTINCT FROM r.payment_request_id)
            """
        ),
        new(
            "outbox events have a cancellation",
            "outbox",
            """
            SELECT o.client_id, o.payment_id, 'has an event and no cancellation'
            FROM outbox o
            LEFT JOIN cancellations c ON c.client_id = o.client_id AND c.payment_id = o.payment_id
            WHERE c.payment_id IS NULL
            """
        ),
        new(
            "outbox events are either due or delivered or parked",
            "outbox",
            """
            SELECT client_id, payment_id, 'the event is ' || states || ' of due, delivered and parked'
            FROM (
                SELECT client_id, payment_id,
                    CASE WHEN due_at IS NULL THEN 0 ELSE 1 END + CASE WHEN delivered_at IS NULL THEN 0 ELSE 1 END
                        + CASE WHEN parked_at IS NULL THEN 0 ELSE 1 END AS states
                FROM outbox
            ) o
            WHERE states <> 1
            """
        ),
    ];

    /// <summary>The checks, in the order in which they run.</summary>
    public static IReadOnlyList<AuditCheck> Checks => All;

    /// <summary>Runs every check, and writes what it found as soon as it is known.</summary>
    /// <exception cref="DbException">The database does not answer, or is not ours: there is no verdict.</exception>
    /// <exception cref="InvalidOperationException">The schema is not of this version: there is no verdict.</exception>
    public async Task<IReadOnlyList<AuditResult>> Run(TextWriter output, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(output);
        var start = Stopwatch.GetTimestamp();
        if (!await database.IsUpToDate(cancellationToken))
            throw new InvalidOperationException("The schema is out of date: run the command migrate.");

        await using var db = database.CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        var connection = db.Database.GetDbConnection();
        await using var snapshot = await Snapshot(connection, cancellationToken);

        var results = new List<AuditResult>();
        foreach (var check in All)
        {
            var result = await Run(check, connection, snapshot, cancellationToken);
            results.Add(result);
            await output.WriteLineAsync(Line(check.Name, result.Counted, check.Table, result.Violations));
            foreach (var sample in result.Samples)
                await output.WriteLineAsync($"    {sample}");
            if (result.Violations > result.Samples.Count)
                await output.WriteLineAsync($"    and {Text(result.Violations - result.Samples.Count)} more");
        }

        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        await output.WriteLineAsync(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{results.Count} checks, {results.Sum(r => r.Violations):N0} violations, {seconds:N1} s"
            )
        );
        return results;
    }

    // All checks see the same instant, and neither wait for the service's writes nor hold them up.
    private static async Task<DbTransaction> Snapshot(DbConnection connection, CancellationToken cancellationToken)
    {
        var snapshot = await Database.Snapshot(connection, cancellationToken);
        if (connection is SqliteConnection)
            return snapshot;

        // The checks join whole tables. A nested loop, which stale statistics could talk the planner into, would be
        // quadratic; without it every join is a hash or a merge.
        await using var settings = Command(
            connection,
            snapshot,
            "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL enable_nestloop = off"
        );
        await settings.ExecuteNonQueryAsync(cancellationToken);
        return snapshot;
    }

    private static async Task<AuditResult> Run(
        AuditCheck check,
        DbConnection connection,
        DbTransaction snapshot,
        CancellationToken cancellationToken
    )
    {
        await using var count = Command(connection, snapshot, $"SELECT COUNT(*) FROM {check.Table}");
        var counted = Convert.ToInt64(await count.ExecuteScalarAsync(cancellationToken), CultureInfo.InvariantCulture);

        var (violations, samples) = (0L, new List<string>());
        await using var command = Command(connection, snapshot, check.Sql);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            if (check.Problem(rows) is not { } problem)
                continue;
            violations++;
            if (samples.Count < MaxSamples)
                samples.Add($"{rows.GetString(0)} {rows.GetString(1)}: {problem}");
        }
        return new AuditResult(check, counted, violations, samples);
    }

    private static DbCommand Command(DbConnection connection, DbTransaction snapshot, string sql)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = snapshot;
        command.CommandTimeout = 0; // The time that an answer may take is no measure for a whole database.
        return command;
    }

    // The answer is what was sent, in whatever format that was: it holds both identifiers as JSON strings.
    private static string? ProblemOfAnswer(DbDataReader row)
    {
        if (row.IsDBNull(3) || row.GetFieldValue<byte[]>(3) is not { Length: > 0 } answer)
            return "the stored answer is empty";
        return Names(answer, row.GetString(1)) && Names(answer, row.GetString(2))
            ? null
            : "the stored answer does not name the payment";

        static bool Names(ReadOnlySpan<byte> answer, string id) =>
            answer.IndexOf(Encoding.UTF8.GetBytes($"\"{id}\"")) >= 0;
    }

    private static string Line(string name, long counted, string table, long violations) =>
        $"{name.PadRight(All.Max(c => c.Name.Length))}  {Text(counted), 13} {table.PadRight(All.Max(c => c.Table.Length))}"
        + $"  {Text(violations), 9} violations";

    private static string Text(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
