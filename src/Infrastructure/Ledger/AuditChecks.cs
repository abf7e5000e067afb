namespace CancelService.Infrastructure.Ledger;

/// <summary>
/// What the audit checks. It trusts no constraint and no code of ours, so it repeats the rules here as SQL over the stored
/// text. Every query begins with the client and joins within one client, as every statement of the service does.
/// </summary>
internal static class AuditChecks
{
    /// <summary>The checks, in the order in which they run.</summary>
    public static readonly AuditCheck[] All = [.. MoneyChecks.All, .. PaymentChecks.All, .. RecordChecks.All];

    // SQLite stores any value in any column, and turns a sum that overflows into a floating-point number.
    public static string NotWhole(string column) => $"CAST({column} AS TEXT) <> CAST(CAST({column} AS BIGINT) AS TEXT)";
}
