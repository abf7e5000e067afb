using System.Globalization;
using System.Text.Json;
using CancelService.Application.Reading;
using CancelService.OperatorConsole.Pages;

namespace CancelService.OperatorConsole;

/// <summary>The tables of the operations page. Times are UTC, amounts minor units.</summary>
internal static class OpsViews
{
    private const int MaxOnPhone = 4;

    /// <summary>What the outbox holds.</summary>
    public static Html Outbox(OutboxDepth depth, DateTimeOffset now)
    {
        var age = depth.OldestDue is { } oldest
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, (now - oldest).TotalSeconds):0} s")
            : "none is due";
        return Html.Of(
            $"""
            <table><tbody><tr><th scope="row">Due</th><td class="number">{Number(depth.Due)}</td></tr>
            <tr><th scope="row">Age of the oldest</th><td class="number">{age}</td></tr>
            <tr><th scope="row"><a href="/ops/events">Parked</a></th><td class="number">{(
                depth.Parked > 0 ? Html.Of($"<span class=\"wrong\">{Number(depth.Parked)}</span>") : Html.Of($"0")
            )}</td></tr></tbody></table>
            """
        );
    }

    /// <summary>Clients that are about to be without a valid key.</summary>
    public static Html EndingKeys(IReadOnlyList<EndingKey> keys) =>
        keys.Count == 0
            ? Html.Of($"<p>None.</p>")
            : Table(
                ["Client", "Last valid key", "Ends"],
                keys.Select(key =>
                    Row(
                        ClientLink(key.ClientId),
                        Text(key.Version.ToString(CultureInfo.InvariantCulture)),
                        Text(Time(key.NotAfter))
                    )
                )
            );

    /// <summary>Who changed what.</summary>
    public static Html Changes(IReadOnlyList<Change> changes) =>
        changes.Count == 0
            ? Html.Of($"<p>None.</p>")
            : Table(
                ["When", "Who", "What", "Client", "Why", "State"],
                changes.Select(change =>
                    Row(
                        Text(Time(change.At)),
                        Text(change.Actor),
                        Text($"{Name(change.Kind)} {change.Subject}"),
                        ClientLink(change.ClientId),
                        Text(change.Reason),
                        Html.Of(
                            $"<details><summary>Before and after</summary><pre>{change.Before?.ToString() ?? "new"}</pre><pre>{change.After.ToString()}</pre></details>"
                        )
                    )
                )
            );

    /// <summary>Payments of one identifier.</summary>
    public static Html Payments(IReadOnlyList<PaymentView> payments) =>
        payments.Count == 0
            ? Html.Of($"<p>No client has a payment with this identifier.</p>")
            : Table(
                ["Payment", "Client", "Request", "Status", "Amount"],
                payments.Select(payment =>
                    Row(
                        PaymentLink(payment.ClientId, payment.PaymentId),
                        ClientLink(payment.ClientId),
                        Text(payment.PaymentRequestId),
                        Text(Name(payment.Status)),
                        Text(Money(payment.Amount))
                    )
                )
            );

    /// <summary>Events in a state, with the buttons that queue parked ones again.</summary>
    public static Html Events(Page<NotificationView> page, NotificationState? state, bool mayRequeue)
    {
        var isParked = state is NotificationState.Parked;
        var name = state?.ToString().ToLowerInvariant() ?? "all";
        var states = Html.Join(
            ((string[])["parked", "due", "delivered"]).Select(other =>
                Html.Of($"<a href=\"/ops/events?state={other}\">{other}</a> ")
            )
        );
        var table =
            page.Items.Count == 0
                ? Html.Of($"<p>None.</p>")
                : Table(
                    isParked && mayRequeue
                        ? ["Payment", "Client", "Written", "Attempts", "Last error", "Parked", "Again"]
                        : ["Payment", "Client", "Written", "Attempts", "Last error", "Since"],
                    page.Items.Select(item => EventRow(item, isParked && mayRequeue))
                );
        var all =
            isParked && mayRequeue && page.Items.Count > 0
                ? Html.Of(
                    $"""
                    <h3>Queue all parked events again</h3><form method="post" action="/ops/requeue"><label for="reason">Reason</label>
                    <input id="reason" name="reason" maxlength="512" required><button>Queue all again</button></form>
                    """
                )
                : default;
        var next = page.Next is { } cursor
            ? Html.Of(
                $"<p><a href=\"/ops/events?state={name}&amp;after={Uri.EscapeDataString(cursor)}\">Next page</a></p>"
            )
            : default;
        return Html.Of($"<h2>Events: {name}</h2><p>{states}</p>{table}{next}{all}");
    }

    /// <summary>The clients.</summary>
    public static Html Clients(Page<ClientView> page)
    {
        var next = page.Next is { } cursor
            ? Html.Of($"<p><a href=\"/ops/clients?after={Uri.EscapeDataString(cursor)}\">Next page</a></p>")
            : default;
        var table = Table(
            ["Client", "Name", "State", "Window", "May cancel"],
            page.Items.Select(client =>
                Row(
                    ClientLink(client.ClientId),
                    Text(client.Name),
                    client.Enabled ? Text("enabled") : Html.Of($"<span class=\"wrong\">disabled</span>"),
                    Text(client.Contract.Window),
                    Text(client.Contract.MayCancel ? "yes" : "no")
                )
            )
        );
        return Html.Of($"<h2>Clients</h2>{(page.Items.Count == 0 ? Html.Of($"<p>None.</p>") : table)}{next}");
    }

    /// <summary>A client with its keys, accounts and last changes.</summary>
    public static Html Client(
        ClientView client,
        IReadOnlyList<ClientKeyView> keys,
        IReadOnlyList<BalanceView> balances,
        IReadOnlyList<Change> changes
    )
    {
        var contract = client.Contract;
        var keyTable = Table(
            ["Version", "Valid from", "Until", "Revoked"],
            keys.Select(key =>
                Row(
                    Text(key.Version.ToString(CultureInfo.InvariantCulture)),
                    Text(key.NotBefore is { } from ? Time(from) : "always"),
                    Text(key.NotAfter is { } until ? Time(until) : "for ever"),
                    key.RevokedAt is { } at ? Html.Of($"<span class=\"wrong\">{Time(at)}</span>") : Text("no")
                )
            )
        );
        var accounts = Table(
            ["Currency", "Balance"],
            balances.Select(balance => Row(Text(balance.Currency), Text(Number(balance.Balance))))
        );
        return Html.Of(
            $"""
            <h2>Client {client.ClientId}</h2><p>{client.Name}, {(client.Enabled ? "enabled" : "disabled")}; cancels {(
                contract.MayCancel ? "within" : "not allowed; window"
            )} {contract.Window}; {contract.RequestsPerSecond} requests a second, burst {contract.Burst}; early cancels are {(
                contract.RememberUnknown ? "remembered" : "not remembered"
            )}.</p>
            <h3>Keys</h3>{(keys.Count == 0 ? Html.Of($"<p>None: the client can't sign.</p>") : keyTable)}
            <h3>Accounts</h3>{(balances.Count == 0 ? Html.Of($"<p>None.</p>") : accounts)}
            <h3>Last changes</h3>{Changes(changes)}
            """
        );
    }

    /// <summary>A table; one of many columns can be scrolled on a narrow screen, also by the keyboard.</summary>
    public static Html Table(IReadOnlyList<string> columns, IEnumerable<Html> rows)
    {
        var head = Html.Join(columns.Select(column => Html.Of($"<th scope=\"col\">{column}</th>")));
        var table = Html.Of($"<table><thead><tr>{head}</tr></thead><tbody>{Html.Join(rows)}</tbody></table>");
        return columns.Count <= MaxOnPhone
            ? table
            : Html.Of(
                $"<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{string.Join(", ", columns)}\">{table}</div>"
            );
    }

    public static Html Row(params Html[] cells) =>
        Html.Of($"<tr>{Html.Join(cells.Select(cell => Html.Of($"<td>{cell}</td>")))}</tr>");

    public static Html Text(string text) => Html.Of($"{text}");

    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>A member of an enum as the internal API writes it.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseUpper.ConvertName(value.ToString());

    public static string Money(MoneyView amount) => $"{Number(amount.MinorUnits)} {amount.Currency}";

    public static Html ClientLink(string clientId) => Html.Of($"<a href=\"/ops/clients/{clientId}\">{clientId}</a>");

    private static Html PaymentLink(string clientId, string paymentId) =>
        Html.Of($"<a href=\"/ops/payments/{clientId}/{paymentId}\">{paymentId}</a>");

    private static Html EventRow(NotificationView item, bool mayRequeue)
    {
        var cells = new List<Html>
        {
            PaymentLink(item.ClientId, item.PaymentId),
            ClientLink(item.ClientId),
            Text(Time(item.CreatedAt)),
            Text(item.Attempts.ToString(CultureInfo.InvariantCulture)),
            Text(item.LastError ?? ""),
            Text((item.ParkedAt ?? item.DeliveredAt ?? item.DueAt) is { } since ? Time(since) : ""),
        };
        if (mayRequeue)
            cells.Add(
                Html.Of(
                    $"""
                    <form method="post" action="/ops/requeue"><input type="hidden" name="clientId" value="{item.ClientId}"><input type="hidden" name="paymentId" value="{item.PaymentId}"><button aria-label="Queue again the event of {item.PaymentId}">Queue again</button></form>
                    """
                )
            );
        return Row([.. cells]);
    }

    public static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
