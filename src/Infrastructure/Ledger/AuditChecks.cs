namespace CancelService.Infrastructure.Ledger;

/// <summary>
/// The checks of the audit. The audit trusts neither constraints nor the service's code, so the checks repeat the rules
/// as SQL over the stored text. Every query begins with the client and joins within one client, as every statement of
/// the service.
/// </summary>
internal static class AuditChecks
{
    /// <summary>The checks, in the order in which they run.</summary>
    public static readonly AuditCheck[] All = [.. MoneyChecks.All, .. PaymentChecks.All, .. RecordChecks.All];

    // SQLite stores any value in any column, and an overflowing sum becomes a floating-point number.
    public static string NotWhole(string column) => $"CAST({column} AS TEXT) <> CAST(CAST({column} AS BIGINT) AS TEXT)";
}
