using CancelService.Domain;
using static CancelService.Infrastructure.Ledger.AuditChecks;

namespace CancelService.Infrastructure.Ledger;

/// <summary>The audit of the money: transfers, balances, and the transfers that histories imply.</summary>
internal static class MoneyChecks
{
    // The history rows that move money.
    private const string Moves =
        "remedy IS NULL AND (action IN ('SUCCEED', 'CAPTURE', 'REFUND') "
        + "OR (action = 'CANCEL' AND from_status = 'SUCCESS'))";

    /// <summary>The checks, in the order in which they run.</summary>
    public static readonly AuditCheck[] All =
    [
        new(
            "transfers have an amount, two accounts and one cause",
            "transfers",
            $"""
            SELECT client_id, CAST(transfer_id AS TEXT),
                'of ' || minor_units || ' ' || currency || ' from ' || debit || ' to ' || credit || ', for '
                    || COALESCE('payment ' || payment_id || ' version ' || payment_version, 'no payment') || ' and '
                    || COALESCE('reference ' || reference, 'no reference')
            FROM transfers
            WHERE {NotWhole("minor_units")} OR minor_units NOT BETWEEN 1 AND {Money.MaxMinorUnits}
                OR CASE
                    WHEN payment_id IS NOT NULL AND payment_version IS NOT NULL AND reference IS NULL
                        THEN debit || '>' || credit NOT IN ('PAYERS>MERCHANT', 'MERCHANT>PAYERS')
                    WHEN payment_id IS NULL AND payment_version IS NULL AND reference IS NOT NULL AND actor IS NOT NULL
                        THEN debit || '>' || credit NOT IN ('SETTLEMENT>MERCHANT', 'MERCHANT>SETTLEMENT')
                    ELSE 1 = 1
                END
            """
        ),
        new(
            "transfers have an account",
            "transfers",
            """
            SELECT t.client_id, t.currency, t.transfers || ' transfers without an account'
            FROM (
                SELECT client_id, currency, COUNT(*) AS transfers FROM transfers GROUP BY client_id, currency
            ) t
            LEFT JOIN accounts a ON a.client_id = t.client_id AND a.currency = t.currency
            WHERE a.currency IS NULL
            """
        ),
        new(
            "balances equal their transfers and are within their bounds",
            "accounts",
            $"""
            SELECT a.client_id, a.currency,
                'the balance is ' || a.balance || ', the transfers sum to ' || COALESCE(t.total, 0)
            FROM accounts a
            LEFT JOIN (
                SELECT client_id, currency,
                    {Sum("CASE credit WHEN 'MERCHANT' THEN minor_units ELSE -minor_units END")} AS total
                FROM transfers
                GROUP BY client_id, currency
            ) t ON t.client_id = a.client_id AND t.currency = a.currency
            WHERE {NotWhole("a.balance")} OR a.balance <> COALESCE(t.total, 0)
                OR a.balance NOT BETWEEN 0 AND {Money.MaxBalance}
            """
        ),
        new(
            "histories moved the money that they say",
            "payment_history",
            $"""
            SELECT h.client_id, h.payment_id,
                'version ' || h.version || ', ' || h.action || ' of ' || COALESCE(h.minor_units, 0) || ' '
                    || COALESCE(h.currency, 'nothing') || ', has ' || COALESCE(t.transfers, 0) || ' transfers, of '
                    || COALESCE(t.total, 0) || ' ' || COALESCE(t.currency, 'nothing') || ' to '
                    || COALESCE(t.credit, 'nobody')
            FROM payment_history h
            LEFT JOIN (
                SELECT client_id, payment_id, payment_version, COUNT(*) AS transfers, {Sum("minor_units")} AS total,
                    MIN(currency) AS currency, MIN(credit) AS credit
                FROM transfers
                WHERE payment_id IS NOT NULL
                GROUP BY client_id, payment_id, payment_version
            ) t ON t.client_id = h.client_id AND t.payment_id = h.payment_id AND t.payment_version = h.version
            WHERE CASE WHEN {Moves}
                THEN t.transfers IS DISTINCT FROM 1 OR t.total IS DISTINCT FROM h.minor_units
                    OR t.currency IS DISTINCT FROM h.currency
                    OR t.credit <> CASE WHEN h.action IN ('REFUND', 'CANCEL') THEN 'PAYERS' ELSE 'MERCHANT' END
                ELSE t.transfers IS NOT NULL
            END
            """
        ),
        new(
            "transfers of payments have the line that caused them",
            "transfers",
            """
            SELECT t.client_id, t.payment_id,
                'moved ' || t.minor_units || ' ' || t.currency || ' by version '
                    || COALESCE(t.payment_version, 0) || ', which it does not have'
            FROM transfers t
            LEFT JOIN payment_history h
                ON h.client_id = t.client_id AND h.payment_id = t.payment_id AND h.version = t.payment_version
            WHERE t.payment_id IS NOT NULL AND h.payment_id IS NULL
            """
        ),
    ];

    // A sum that can't overflow on SQLite.
    private static string Sum(string value) => $"SUM(({value}) / 1000000) * 1000000 + SUM(({value}) % 1000000)";
}
