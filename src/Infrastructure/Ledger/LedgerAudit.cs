using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using CancelService.Infrastructure.Servers;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CancelService.Infrastructure.Ledger;

/// <summary>A check of the audit.</summary>
/// <param name="Name">The invariant in words.</param>
/// <param name="Table">The table; the check covers all its rows.</param>
/// <param name="Sql">
/// The query, in SQL for both databases. It returns a row per violation: the client, the subject (such as a payment or
/// an account), and the problem.
/// </param>
public sealed record AuditCheck(string Name, string Table, string Sql)
{
    /// <summary>
    /// Returns the problem of a row, or null. A check that SQL can't express on both databases returns every row and
    /// decides here.
    /// </summary>
    internal Func<DbDataReader, string?> Problem { get; init; } = row => row.GetString(2);
}

/// <summary>The result of a check.</summary>
/// <param name="Check">The check.</param>
/// <param name="Counted">The number of rows checked.</param>
/// <param name="Violations">The number of violations.</param>
/// <param name="Samples">The first violations, a line each.</param>
public sealed record AuditResult(AuditCheck Check, long Counted, long Violations, IReadOnlyList<string> Samples);

/// <summary>
/// Runs the <see cref="AuditChecks"/> over the whole database on one consistent snapshot, so that live traffic raises
/// no false alarm. The database joins and sums, and violations are streamed, so the memory use does not grow with the
/// data.
/// </summary>
public sealed class LedgerAudit(Database database)
{
    /// <summary>The most violations of a check to write out; all are counted.</summary>
    public const int MaxSamples = 20;

    /// <summary>The checks, in the order in which they run.</summary>
    public static IReadOnlyList<AuditCheck> Checks => AuditChecks.All;

    /// <summary>Runs every check and writes each result at once.</summary>
    /// <exception cref="DbException">
    /// The database does not answer, or has another schema: there is no verdict.
    /// </exception>
    /// <exception cref="InvalidOperationException">The schema is out of date: there is no verdict.</exception>
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
        foreach (var check in AuditChecks.All)
        {
            var result = await Run(check, connection, snapshot, cancellationToken);
            results.Add(result);
            await output.WriteLineAsync(Summary(check.Name, result.Counted, check.Table, result.Violations));
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

    // All checks see the same instant. They neither wait for the service's writes nor block them. On Citus each node
    // has its own instant, which is enough: all rows of a client are on one node, and no check compares rows of two
    // clients.
    private static async Task<DbTransaction> Snapshot(DbConnection connection, CancellationToken cancellationToken)
    {
        var nodes = connection is NpgsqlConnection postgres
            ? await Distribution.Nodes(postgres, cancellationToken)
            : SingleServer.Instance;
        var snapshot = await Database.Snapshot(connection, cancellationToken);
        if (connection is SqliteConnection)
            return snapshot;

        // The checks join whole tables. Stale statistics could make the planner choose a nested loop, which would be
        // quadratic; without nested loops every join is a hash or a merge.
        await using var settings = Command(
            connection,
            snapshot,
            nodes.SnapshotSettings
                + "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL enable_nestloop = off"
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
        command.CommandTimeout = 0; // Database:Timeout bounds single answers; a check reads the whole database.
        return command;
    }

    private static string Summary(string name, long counted, string table, long violations) =>
        $"{name.PadRight(AuditChecks.All.Max(c => c.Name.Length))}  {Text(counted), 13} "
        + $"{table.PadRight(AuditChecks.All.Max(c => c.Table.Length))}  {Text(violations), 9} violations";

    private static string Text(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
