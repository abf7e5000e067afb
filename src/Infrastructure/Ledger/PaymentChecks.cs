using System.Data.Common;
using System.Text;
using CancelService.Domain;
using static CancelService.Infrastructure.Ledger.AuditChecks;

namespace CancelService.Infrastructure.Ledger;

/// <summary>The audit of the payments, with their histories, identifiers, cancellations and events.</summary>
internal static class PaymentChecks
{
    /// <summary>The checks, in the order in which they run.</summary>
    public static readonly AuditCheck[] All =
    [
        new(
            "payments captured and refunded what their history says",
            "payments",
            $"""
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
            WHERE {NotWhole("p.amount_minor_units")} OR {NotWhole("p.captured")} OR {NotWhole("p.refunded")}
                OR p.amount_minor_units NOT BETWEEN 1 AND {Money.MaxMinorUnits}
                OR p.captured <> COALESCE(h.captured, 0) OR p.refunded <> COALESCE(h.refunded, 0)
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
                    COALESCE(from_status, 'nothing') || ' ' || action
                        || CASE WHEN remedy IS NULL THEN ' ' ELSE ' late ' END || to_status AS step
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
            $"""
            SELECT h.client_id, h.payment_id,
                CASE
                    WHEN p.payment_id IS NULL THEN 'version ' || h.version || ' is of a payment that does not exist'
                    ELSE 'version ' || h.version || ', ' || h.action || ', is about ' || COALESCE(h.minor_units, 0)
                        || ' ' || COALESCE(h.currency, 'nothing') || ' of ' || p.amount_minor_units
                        || ' ' || p.amount_currency
                END
            FROM payment_history h
            LEFT JOIN payments p ON p.client_id = h.client_id AND p.payment_id = h.payment_id
            WHERE p.payment_id IS NULL
                OR (h.minor_units IS NULL) <> (h.currency IS NULL)
                OR (h.minor_units IS NOT NULL AND {NotWhole("h.minor_units")})
                OR (h.remedy IS NULL AND h.currency <> p.amount_currency)
                OR (h.action IN ('REGISTER', 'AUTHORIZE', 'SUCCEED', 'CANCEL')
                    AND h.minor_units IS DISTINCT FROM p.amount_minor_units)
                OR (h.action IN ('CAPTURE', 'REFUND') AND h.remedy IS NULL
                    AND COALESCE(h.minor_units, 0) NOT BETWEEN 1 AND p.amount_minor_units)
            """
        ),
        new(
            "cancelled payments, and no others, have one cancellation",
            "payments",
            """
            SELECT p.client_id, p.payment_id,
                'is ' || p.status || ' and has ' || COALESCE(c.cancellations, 0) || ' cancellations'
            FROM payments p
            LEFT JOIN (
                SELECT client_id, payment_id, COUNT(*) AS cancellations FROM payment_history
                WHERE action = 'CANCEL'
                GROUP BY client_id, payment_id
            ) c ON c.client_id = p.client_id AND c.payment_id = p.payment_id
            WHERE COALESCE(c.cancellations, 0) <> CASE p.status WHEN 'CANCELLED' THEN 1 ELSE 0 END
            """
        ),
        new(
            "stored answers name both identifiers of the payment",
            "payment_history",
            """
            SELECT h.client_id, h.payment_id, COALESCE(r.payment_request_id, ''), h.answer, h.action
            FROM payment_history h
            LEFT JOIN payment_requests r ON r.client_id = h.client_id AND r.payment_id = h.payment_id
            WHERE h.action = 'CANCEL' OR h.answer IS NOT NULL
            """
        )
        {
            Problem = ProblemOfAnswer,
        },
        new(
            "payments have one paymentRequestId",
            "payments",
            """
            SELECT p.client_id, p.payment_id, 'has ' || COALESCE(r.requests, 0)
            FROM payments p
            LEFT JOIN (
                SELECT client_id, payment_id, COUNT(*) AS requests FROM payment_requests
                WHERE payment_id IS NOT NULL
                GROUP BY client_id, payment_id
            ) r ON r.client_id = p.client_id AND r.payment_id = p.payment_id
            WHERE COALESCE(r.requests, 0) <> 1
            """
        ),
        new(
            "paymentRequestIds have a payment or an early cancel",
            "payment_requests",
            """
            SELECT r.client_id, r.payment_request_id,
                CASE
                    WHEN r.payment_id IS NULL THEN 'has neither a payment nor an early cancel'
                    WHEN r.refused_at IS NOT NULL THEN 'has both payment ' || r.payment_id || ' and an early cancel'
                    ELSE 'belongs to payment ' || r.payment_id || ', which does not exist'
                END
            FROM payment_requests r
            LEFT JOIN payments p ON p.client_id = r.client_id AND p.payment_id = r.payment_id
            WHERE (r.payment_id IS NULL) = (r.refused_at IS NULL)
                OR (r.payment_id IS NOT NULL AND p.payment_id IS NULL)
            """
        ),
        new(
            "outbox events have a cancellation",
            "outbox",
            """
            SELECT o.client_id, o.payment_id, 'has an event and no cancellation'
            FROM outbox o
            LEFT JOIN payment_history c
                ON c.client_id = o.client_id AND c.payment_id = o.payment_id AND c.action = 'CANCEL'
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

    // Answers are stored as sent, in the format of their time. Each must hold both identifiers as JSON strings.
    private static string? ProblemOfAnswer(DbDataReader row)
    {
        if (row.GetString(4) != "CANCEL")
            return "a step that is no cancellation has an answer";
        if (row.IsDBNull(3) || row.GetFieldValue<byte[]>(3) is not { Length: > 0 } answer)
            return "the stored answer is empty";
        return Names(answer, row.GetString(1)) && Names(answer, row.GetString(2))
            ? null
            : "the stored answer does not name the payment";

        static bool Names(ReadOnlySpan<byte> answer, string id) =>
            answer.IndexOf(Encoding.UTF8.GetBytes($"\"{id}\"")) >= 0;
    }
}
