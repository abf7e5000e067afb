using System.Globalization;
using CancelService.Application.Reading;
using CancelService.OperatorConsole.Pages;
using static CancelService.OperatorConsole.OpsViews;

namespace CancelService.OperatorConsole;

/// <summary>What happened to a payment, in one line of time: its history, money, refused cancels and notification.</summary>
internal static class OpsTimeline
{
    /// <summary>The page of a payment.</summary>
    public static Html Of(PaymentDetailView detail)
    {
        var payment = detail.Payment;
        var entries = detail
            .History.Select(Entry)
            .Concat(detail.Transfers.Select(Entry))
            .Concat(detail.RefusedCancels.Select(Entry))
            .Concat(Entries(detail.Notification))
            .OrderBy(entry => entry.At);
        return Html.Of(
            $"""
            <h2>Payment {payment.PaymentId}</h2>
            <p>Of {ClientLink(
                payment.ClientId
            )}, paymentRequestId {payment.PaymentRequestId}: {Name(payment.Kind)} of {Money(
                payment.Amount
            )}, <strong>{Name(payment.Status)}</strong>, captured {Number(payment.Captured)}, refunded {Number(
                payment.Refunded
            )}, initiated {Time(payment.InitiatedAt)}.</p>
            {Table(["When", "What", "Who", "Detail", "Trace"], entries.Select(Line))}
            """
        );
    }

    private static Line Entry(HistoryView line) =>
        new(
            line.At,
            line.Remedy is { } remedy ? $"late {Name(line.Action)}, remedy {Name(remedy)}" : Name(line.Action),
            line.KeyVersion is { } version
                ? string.Create(CultureInfo.InvariantCulture, $"{line.Actor}, key {version}")
                : line.Actor,
            string.Join(
                ", ",
                new[]
                {
                    line.From is { } from && from != line.To ? $"{Name(from)} to {Name(line.To)}" : Name(line.To),
                    line.Amount is { } amount ? Money(amount) : "",
                    line.EventId is { } id ? $"event {id}" : "",
                }.Where(part => part.Length > 0)
            ),
            line.TraceId ?? ""
        );

    private static Line Entry(TransferView transfer) =>
        new(
            transfer.At,
            "money moved",
            "",
            $"{Money(transfer.Amount)} from {Name(transfer.Debit)} to {Name(transfer.Credit)}",
            ""
        );

    private static Line Entry(RefusedCancelView refused) =>
        new(
            refused.LastAt,
            $"cancel answered {refused.Code}",
            string.Create(CultureInfo.InvariantCulture, $"merchant, key {refused.KeyVersion}"),
            refused.Times == 1
                ? Named(refused)
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Named(refused)}; {refused.Times} times since {Time(refused.FirstAt)}"
                ),
            refused.TraceId
        );

    private static string Named(RefusedCancelView refused) =>
        refused.PaymentRequestId.Length == 0 ? $"by paymentId {refused.PaymentId}"
        : refused.PaymentId.Length == 0 ? $"by paymentRequestId {refused.PaymentRequestId}"
        : $"by paymentId {refused.PaymentId} and paymentRequestId {refused.PaymentRequestId}";

    private static IEnumerable<Line> Entries(NotificationView? notification)
    {
        if (notification is not { } sent)
            yield break;
        yield return new(sent.CreatedAt, "event written", "", $"event {sent.EventId}", "");
        var attempts = string.Create(CultureInfo.InvariantCulture, $"{sent.Attempts} attempts. {sent.LastError}");
        if (sent.DeliveredAt is { } delivered)
            yield return new(delivered, "core told", "", attempts, "");
        if (sent.ParkedAt is { } parked)
            yield return new(parked, "event parked", "", attempts, "");
        if (sent.DueAt is { } due)
            yield return new(due, "event due", "", attempts, "");
    }

    private static Html Line(Line line) =>
        Row(
            Text(Time(line.At)),
            Text(line.What),
            Text(line.Who),
            Text(line.Detail),
            Html.Of($"<code>{line.Trace}</code>")
        );
}

/// <summary>A line of a payment's time.</summary>
internal sealed record Line(DateTimeOffset At, string What, string Who, string Detail, string Trace);
