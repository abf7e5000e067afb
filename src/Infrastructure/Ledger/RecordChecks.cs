using System.Data.Common;
using System.Globalization;
using System.Text.Json;

namespace CancelService.Infrastructure.Ledger;

/// <summary>The audit of the record of changes: clients, keys, deposits and payouts must agree with it.</summary>
internal static class RecordChecks
{
    // The records of a kind; per client and subject the newest has age 1.
    private static string Newest(string kind) =>
        $"""
            SELECT client_id, subject, state,
                ROW_NUMBER() OVER (PARTITION BY client_id, subject ORDER BY number DESC) AS age
            FROM changes WHERE kind = '{kind}'
            """;

    /// <summary>The checks, in the order in which they run.</summary>
    public static readonly AuditCheck[] All =
    [
        new(
            "changes are numbered without a gap",
            "changes",
            """
            SELECT client_id, 'record', COUNT(*) || ' changes, numbered ' || MIN(number) || ' to ' || MAX(number)
            FROM changes GROUP BY client_id HAVING MIN(number) <> 1 OR MAX(number) <> COUNT(*)
            """
        ),
        new(
            "clients are what their last change says",
            "clients",
            $"""
            SELECT c.client_id, 'client', r.state, c.name, c.enabled, c.contract_may_cancel, c.contract_window,
                c.contract_requests_per_second, c.contract_burst, c.contract_remember_unknown, c.contract_may_inquire,
                c.contract_inquiries_per_second, c.contract_inquiry_burst
            FROM clients c
            LEFT JOIN ({Newest("CLIENT")}) r ON r.client_id = c.client_id AND r.age = 1
            """
        )
        {
            Problem = ProblemOfClient,
        },
        new(
            "keys are what their last changes say",
            "client_keys",
            $"""
            SELECT k.client_id, 'key ' || k.version, r.state, p.state, k.public_key, k.not_before, k.not_after,
                k.revoked_at
            FROM client_keys k
            LEFT JOIN ({Newest("KEY")}) r
                ON r.client_id = k.client_id AND r.subject = CAST(k.version AS TEXT) AND r.age = 1
            LEFT JOIN ({Newest("KEY")}) p
                ON p.client_id = k.client_id AND p.subject = CAST(k.version AS TEXT) AND p.age = 2
            """
        )
        {
            Problem = ProblemOfKey,
        },
        new(
            "deposits and payouts are on record",
            "transfers",
            """
            SELECT t.client_id, COALESCE(t.reference, ''), 'a deposit or payout has ' || COUNT(r.subject) || ' records'
            FROM transfers t
            LEFT JOIN changes r ON r.client_id = t.client_id AND r.kind = 'TRANSFER' AND r.subject = t.reference
            WHERE t.reference IS NOT NULL
            GROUP BY t.client_id, t.reference HAVING COUNT(r.subject) <> 1
            UNION ALL
            SELECT r.client_id, r.subject, 'a record without a deposit or payout'
            FROM changes r
            LEFT JOIN transfers t ON t.client_id = r.client_id AND t.reference = r.subject
            WHERE r.kind = 'TRANSFER' AND t.reference IS NULL
            """
        ),
    ];

    private static string? ProblemOfClient(DbDataReader row)
    {
        if (State(row, 2) is not { } record)
            return "it is not on record";
        var contract = record.GetProperty("contract");
        var isEqual =
            Text(record, "name") == row.GetString(3)
            && Flag(record, "enabled") == Flag(row, 4)
            && Flag(contract, "mayCancel") == Flag(row, 5)
            && Text(contract, "window") == row.GetString(6)
            && contract.GetProperty("requestsPerSecond").GetInt32() == row.GetInt32(7)
            && contract.GetProperty("burst").GetInt32() == row.GetInt32(8)
            && Flag(contract, "rememberUnknown") == Flag(row, 9)
            // Earlier releases recorded no terms of inquiries.
            && (
                !contract.TryGetProperty("mayInquire", out _)
                || (
                    Flag(contract, "mayInquire") == Flag(row, 10)
                    && contract.GetProperty("inquiriesPerSecond").GetInt32() == row.GetInt32(11)
                    && contract.GetProperty("inquiryBurst").GetInt32() == row.GetInt32(12)
                )
            );
        return isEqual ? null : "it is not what its last change says";
    }

    // The last record of a revoked key is its revocation; the record before has the rest.
    private static string? ProblemOfKey(DbDataReader row)
    {
        if (State(row, 2) is not { } last)
            return "it is not on record";
        var revokedAt = Time(last, "revokedAt");
        if (revokedAt != Time(row, 7))
            return "it is not revoked when its last change says";
        var record = revokedAt is null ? last : State(row, 3) ?? last;
        var isEqual =
            Text(record, "publicKey") == row.GetString(4)
            && Time(record, "notBefore") == Time(row, 5)
            && Time(record, "notAfter") == Time(row, 6);
        return isEqual ? null : "it is not what its last change says";
    }

    private static JsonElement? State(DbDataReader row, int column) =>
        row.IsDBNull(column) ? null : JsonElement.Parse(row.GetString(column));

    private static string Text(JsonElement record, string member) =>
        record.TryGetProperty(member, out var value) ? value.ToString() : "";

    private static bool Flag(JsonElement record, string member) => record.GetProperty(member).GetBoolean();

    private static bool Flag(DbDataReader row, int column) =>
        Convert.ToBoolean(row.GetValue(column), CultureInfo.InvariantCulture);

    // Microseconds since 1970 are the precision of both databases.
    private static long? Time(JsonElement record, string member) =>
        record.TryGetProperty(member, out var value) && value.ValueKind is JsonValueKind.String
            ? Microseconds(value.GetDateTimeOffset().UtcTicks)
            : null;

    private static long? Time(DbDataReader row, int column) =>
        row.IsDBNull(column) ? null
        : row.GetValue(column) is long microseconds ? microseconds
        : Microseconds(row.GetDateTime(column).Ticks);

    private static long Microseconds(long ticks) =>
        (ticks - DateTimeOffset.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;
}
