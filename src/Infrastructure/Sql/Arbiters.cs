using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Npgsql;
using SQLitePCL;

namespace CancelService.Infrastructure.Sql;

/// <summary>
/// The constraints that decide races. A write that such a constraint refuses has lost a race, and the use case decides
/// again. A refusal by any other constraint is a bug and throws.
/// </summary>
public static partial class Arbiters
{
    /// <summary>Primary keys and unique indexes with their columns, which SQLite reports instead of the name.</summary>
    public static readonly IReadOnlyDictionary<string, string> Keys = new Dictionary<string, string>(
        StringComparer.Ordinal
    )
    {
        ["pk_payments"] = "payments.client_id, payments.payment_id",
        ["pk_payment_history"] = "payment_history.client_id, payment_history.payment_id, payment_history.version",
        ["ux_payment_history_cancellation"] = "payment_history.client_id, payment_history.payment_id",
        ["ux_payment_history_event_id"] =
            "payment_history.client_id, payment_history.payment_id, payment_history.event_id",
        ["pk_payment_requests"] = "payment_requests.client_id, payment_requests.payment_request_id",
        ["ux_payment_requests_payment_id"] = "payment_requests.client_id, payment_requests.payment_id",
        ["ux_transfers_reference"] = "transfers.client_id, transfers.reference",
    };

    /// <summary>The check that a merchant's balance covers a debit.</summary>
    public const string BalanceNotNegative = "ck_accounts_balance_not_negative";

    /// <summary>The check that a credit keeps a merchant's balance below its limit.</summary>
    public const string BalanceLimit = "ck_accounts_balance_limit";

    /// <summary>The check that no cancel of the payment was refused after this cancel was decided.</summary>
    public const string Fence = "ck_payments_fence";

    /// <summary>Checks whose result depends on concurrent writes.</summary>
    public static readonly IReadOnlySet<string> Checks = new HashSet<string>(StringComparer.Ordinal)
    {
        BalanceNotNegative,
        BalanceLimit,
        Fence,
    };

    /// <summary>Foreign keys: the client does not exist, or the merchant has no account in the currency.</summary>
    public static readonly IReadOnlySet<string> ForeignKeys = new HashSet<string>(StringComparer.Ordinal)
    {
        "fk_payments_clients_client_id",
        "fk_accounts_clients_client_id",
        "fk_client_keys_clients_client_id",
        "fk_transfers_accounts_client_id_currency",
    };

    /// <summary>Returns true if PostgreSQL refused a write because it lost a race.</summary>
    internal static bool Refused(PostgresException e) =>
        e.SqlState switch
        {
            PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected => true,
            PostgresErrorCodes.UniqueViolation => Keys.ContainsKey(Constraint(e)),
            PostgresErrorCodes.CheckViolation => Checks.Contains(Constraint(e)),
            PostgresErrorCodes.ForeignKeyViolation => ForeignKeys.Contains(Constraint(e)),
            _ => false,
        };

    // Citus forwards a node's error without the constraint's name. The message has the name, with the shard's number.
    private static string Constraint(PostgresException e) =>
        e.ConstraintName ?? ConstraintOfShard().Match(e.MessageText).Groups["name"].Value;

    [GeneratedRegex(
        "(?<![a-z0-9_])(?<name>(?:pk|ux|fk|ck)_[a-z_]*[a-z])(?:_[0-9]+)?(?![a-z0-9_])",
        RegexOptions.None,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex ConstraintOfShard();

    /// <summary>
    /// Returns true if SQLite refused a write because it lost a race. SQLite does not name foreign keys.
    /// </summary>
    internal static bool Refused(SqliteException e) =>
        e.SqliteExtendedErrorCode switch
        {
            raw.SQLITE_CONSTRAINT_PRIMARYKEY or raw.SQLITE_CONSTRAINT_UNIQUE => Keys.Values.Any(columns =>
                e.Message.Contains($"UNIQUE constraint failed: {columns}'", StringComparison.Ordinal)
            ),
            raw.SQLITE_CONSTRAINT_CHECK => Checks.Any(name =>
                e.Message.Contains($"CHECK constraint failed: {name}'", StringComparison.Ordinal)
            ),
            raw.SQLITE_CONSTRAINT_FOREIGNKEY => true,
            _ => false,
        };
}
