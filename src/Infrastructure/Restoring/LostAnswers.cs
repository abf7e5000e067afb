using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Restoring;

/// <summary>
/// Finds answers and events that are no longer true after a restore, or after a failover that lost commits. It compares
/// the service's log, or the events that the core received, with the database.
/// </summary>
public sealed class LostAnswers(Database database)
{
    // The number of lines per comparison bounds the memory.
    private const int Chunk = 1000;

    private readonly HashSet<Told> _lost = [];

    /// <summary>
    /// Reads lines of JSON, from the service's log or with the bodies of events, in any order; it skips other lines.
    /// Writes a line for each answer or event that the database contradicts, then the numbers of compared and lost
    /// ones.
    /// </summary>
    /// <returns>The number of different payments and requests that were lost.</returns>
    /// <exception cref="DbException">The database does not answer: there is no verdict.</exception>
    public async Task<int> Find(TextReader input, TextWriter output, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(output);
        var (compared, chunk) = (0L, new HashSet<Told>());
        while (await input.ReadLineAsync(cancellationToken) is { } line)
        {
            if (Parse(line) is not { } told)
                continue;
            compared++;
            if (chunk.Add(told) && chunk.Count == Chunk)
            {
                await Compare(chunk, output, cancellationToken);
                chunk.Clear();
            }
        }
        await Compare(chunk, output, cancellationToken);
        await output.WriteLineAsync(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{compared:N0} answers and events compared, {_lost.Count:N0} lost"
            )
        );
        return _lost.Count;
    }

    // One client at a time, so that no statement spans two clients when PostgreSQL is distributed by client.
    private async Task Compare(HashSet<Told> chunk, TextWriter output, CancellationToken cancellationToken)
    {
        foreach (var client in chunk.GroupBy(told => told.ClientId))
        {
            await using var db = database.CreateContext();
            var clientId = client.Key;
            var payments = client.Select(told => told.PaymentId).OfType<PaymentId>().ToList();
            var cancelled = await db.Set<HistoryRow>()
                .Where(h =>
                    h.ClientId == clientId && h.Action == PaymentAction.Cancel && payments.Contains(h.PaymentId)
                )
                .Select(h => h.PaymentId)
                .ToHashSetAsync(cancellationToken);
            var statuses = await db.Set<PaymentRow>()
                .Where(p => p.ClientId == clientId && payments.Contains(p.PaymentId))
                .ToDictionaryAsync(p => p.PaymentId, p => p.Status, cancellationToken);
            var requests = client.Select(told => told.RequestId).OfType<PaymentRequestId>().ToList();
            var known = await db.Set<PaymentRequestRow>()
                .Where(r => r.ClientId == clientId && requests.Contains(r.PaymentRequestId))
                .Select(r => r.PaymentRequestId)
                .ToHashSetAsync(cancellationToken);
            foreach (var told in client)
            {
                var what = told switch
                {
                    { PaymentId: { } id } when !cancelled.Contains(id) => statuses.TryGetValue(id, out var status)
                        ? $"payment {id.Value}: told that it is cancelled, but it is {CancelDbContext.Stored(status)}"
                        : $"payment {id.Value}: told that it is cancelled, but there is no such payment",
                    { RequestId: { } id } when !known.Contains(id) =>
                        $"request {id.Value}: told that there is no such payment, but the note that keeps it out is "
                            + "gone",
                    _ => "",
                };
                if (what.Length > 0 && _lost.Add(told))
                    await output.WriteLineAsync($"LOST {clientId.Value} {what}");
            }
        }
    }

    private static Told? Parse(string line)
    {
        if (!line.StartsWith('{'))
            return null;
        try
        {
            using var document = JsonDocument.Parse(line);
            var json = document.RootElement;
            var isEvent = Text(json, "type") == "payment.cancelled";
            var (client, payment, request) = isEvent
                ? (Text(json, "clientId"), Text(json, "paymentId"), "")
                : (Text(json, "ClientId"), Text(json, "PaymentId"), Text(json, "PaymentRequestId"));
            if (!Domain.ClientId.IsWellFormed(client))
                return null;
            // An inquiry is answered with SUCCESS whatever the state. Lines of earlier releases name no operation.
            var isCancel = Text(json, "Operation") is "cancel" or "";
            var saysCancelled =
                isEvent
                || (isCancel && Text(json, "Code") == "SUCCESS")
                || Text(json, "@m").StartsWith("Notified of ", StringComparison.Ordinal);
            if (saysCancelled && Identifier.IsWellFormed(payment))
                return new(new(client), new PaymentId(payment), null);
            return isCancel && Text(json, "Code") == "ORDER_NOT_EXIST" && Identifier.IsWellFormed(request)
                ? new(new(client), null, new PaymentRequestId(request))
                : null;
        }
        // InvalidOperationException: a string is no valid text, such as half of a surrogate pair.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static string Text(JsonElement json, string member) =>
        json.TryGetProperty(member, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString()! : "";

    // Either a payment that was told to be cancelled, or a request that was told to have no payment.
    private sealed record Told(ClientId ClientId, PaymentId? PaymentId, PaymentRequestId? RequestId);
}
