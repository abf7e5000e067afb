using System.Globalization;
using CancelService.Application.Reading;
using static CancelService.OperatorConsole.Display;

namespace CancelService.OperatorConsole;

/// <summary>An entry of a payment's timeline. Texts that it lacks are empty.</summary>
public sealed record TimelineEntry(DateTimeOffset At, string What, string Actor, string Detail, string TraceId);

/// <summary>Orders a payment's history, transfers, refused cancels and notification by time.</summary>
public static class PaymentTimeline
{
    /// <summary>Returns the timeline of a payment, the oldest entry first.</summary>
    public static IReadOnlyList<TimelineEntry> Of(PaymentDetailView detail)
    {
        ArgumentNullException.ThrowIfNull(detail);
        return
        [
            .. detail
                .History.Select(Entry)
                .Concat(detail.Transfers.Select(Entry))
                .Concat(detail.RefusedCancels.Select(Entry))
                .Concat(Entries(detail.Notification))
                .OrderBy(entry => entry.At),
        ];
    }

    private static TimelineEntry Entry(HistoryView change) =>
        new(
            change.At,
            change.Remedy is { } remedy ? $"late {Name(change.Action)}, remedy {Name(remedy)}" : Name(change.Action),
            change.KeyVersion is { } version
                ? string.Create(CultureInfo.InvariantCulture, $"{change.Actor}, key {version}")
                : change.Actor,
            string.Join(
                ", ",
                new[]
                {
                    change.From is { } from && from != change.To
                        ? $"{Name(from)} to {Name(change.To)}"
                        : Name(change.To),
                    change.Amount is { } amount ? Money(amount) : "",
                    change.EventId is { } id ? $"event {id}" : "",
                }.Where(part => part.Length > 0)
            ),
            change.TraceId ?? ""
        );

    private static TimelineEntry Entry(TransferView transfer) =>
        new(
            transfer.At,
            "money moved",
            "",
            $"{Money(transfer.Amount)} from {Name(transfer.Debit)} to {Name(transfer.Credit)}",
            ""
        );

    private static TimelineEntry Entry(RefusedCancelView refused) =>
        new(
            refused.LastAt,
            $"cancel answered {refused.Code}",
            string.Create(CultureInfo.InvariantCulture, $"merchant, key {refused.KeyVersion}"),
            refused.Times == 1
                ? Identifiers(refused)
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Identifiers(refused)}; {refused.Times} times since {Time(refused.FirstAt)}"
                ),
            refused.TraceId
        );

    private static string Identifiers(RefusedCancelView refused) =>
        refused.PaymentRequestId.Length == 0 ? $"by paymentId {refused.PaymentId}"
        : refused.PaymentId.Length == 0 ? $"by paymentRequestId {refused.PaymentRequestId}"
        : $"by paymentId {refused.PaymentId} and paymentRequestId {refused.PaymentRequestId}";

    private static IEnumerable<TimelineEntry> Entries(NotificationView? notification)
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
}
