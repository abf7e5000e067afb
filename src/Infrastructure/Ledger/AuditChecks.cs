namespace CancelService.Infrastructure.Ledger;

/// <summary>
/// What the audit checks. It trusts no constraint and no code of ours: what it knows of the rules stands here once more, as SQL
/// over the stored text. Every query begins with the client and joins within one client, as every statement of the
/// service does.
/// </summary>
internal static class AuditChecks
{
    /// <summary>The checks, in the order in which they run.</summary>
    public static readonly AuditCheck[] All = [.. MoneyChecks.All, .. PaymentChecks.All];

    // SQLite stores what it is given in any column, and makes a number of what a sum overflows that is not whole.
    public static string NotWhole(string column) => $"CAST({column} AS TEXT) <> CAST(CAST({column} AS BIGINT) AS TEXT)";
}
