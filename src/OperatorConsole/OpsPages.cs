using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.OperatorConsole.Pages;
using CancelService.Pages;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CancelService.OperatorConsole;

/// <summary>
/// The operations page, on the internal port: what an operator looks at without Grafana. It shows what the internal API shows, and
/// queues events again. Made on the server, for a phone as well; it needs no script.
/// </summary>
public static class OpsPages
{
    private const int PageSize = 50;

    /// <summary>Maps the pages.</summary>
    public static void MapOps(this WebApplication app)
    {
        PageAsset.Style.Map(app);
        app.MapOpsSignIn();
        var pages = app.MapGroup("/ops")
            .ExcludeFromDescription()
            .RequireAuthorization(OpsSession.MayRead)
            .AddEndpointFilter(PageLayout.FromHere)
            .AddEndpointFilter(Bounded);
        pages.MapGet("/", Overview);
        pages.MapGet("/payments", Payments);
        pages.MapGet("/payments/{clientId}/{paymentId}", Payment);
        pages.MapGet("/events", Events);
        pages.MapGet("/clients", Clients);
        pages.MapGet("/clients/{clientId}", Client);
        pages.MapGet("/changes", Changes);
        pages.MapPost("/requeue", Requeue).RequireAuthorization(OpsSession.MayRequeue).DisableAntiforgery();
    }

    private static async Task<IResult> Overview(
        HttpContext http,
        HealthCheckService health,
        AnswersOfTheHour answers,
        INotifications notifications,
        IClientQueries clients,
        IChangeQueries changes,
        TimeProvider time,
        ConsoleHost host
    )
    {
        var report = await health.CheckHealthAsync(http.RequestAborted);
        var state =
            report.Status is HealthStatus.Healthy
                ? Html.Of($"<span class=\"good\">Ready</span>")
                : Html.Of(
                    $"<span class=\"wrong\">Not ready</span>: {string.Join(' ', report.Entries.Values.Select(entry => entry.Description))}"
                );
        // Each part by itself: what does not rest on the database is shown while that is away.
        var outbox = await Part(async () =>
            OpsViews.Outbox(await notifications.Depth(http.RequestAborted), time.GetUtcNow())
        );
        var keys = await Part(async () =>
            OpsViews.EndingKeys(await clients.KeysEnding(time.GetUtcNow(), PageSize, http.RequestAborted))
        );
        var recent = await Part(async () => OpsViews.Changes(await changes.Newest(10, http.RequestAborted)));
        return Page(
            http,
            "Overview",
            Html.Of(
                $"""
                <h2>This instance</h2><p>{state}. CancelService {host.Version}, {host.Database}.</p>
                {SearchForm("")}
                <h2>Answers of the last hour, of this instance</h2>{AnswersChart.Of(answers.Read())}
                <h2>Outbox</h2>{outbox}
                <h2>Keys that end within 14 days</h2>{keys}
                <h2>Last changes</h2>{recent}
                """
            )
        );

        async Task<Html> Part(Func<Task<Html>> part)
        {
            try
            {
                return await part().WaitAsync(host.Timeout);
            }
            catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
            {
                return Html.Of($"<p class=\"wrong\">{host.Explain(e, host.Timeout)}.</p>");
            }
        }
    }

    private static async Task<IResult> Payments(string? id, HttpContext http, IPaymentQueries queries)
    {
        if (!Identifier.IsWellFormed(id))
            return Page(http, "Payments", Html.Of($"<h2>Find a payment</h2>{SearchForm(id ?? "")}"));
        var found = await queries.Payments(id!, http.RequestAborted);
        if (found is [var only])
            return Results.Redirect($"/ops/payments/{only.ClientId}/{only.PaymentId}");
        return Page(
            http,
            "Payments",
            Html.Of($"<h2>Payments with the identifier {id!}</h2>{SearchForm(id!)}{OpsViews.Payments(found)}")
        );
    }

    private static async Task<IResult> Payment(
        string clientId,
        string paymentId,
        HttpContext http,
        IPaymentQueries queries
    )
    {
        var detail =
            ClientId.IsWellFormed(clientId) && Identifier.IsWellFormed(paymentId)
                ? await queries.Payment(new ClientId(clientId), new PaymentId(paymentId), http.RequestAborted)
                : null;
        return detail is null
            ? NotFound(http, "There is no such payment.")
            : Page(http, $"Payment {paymentId}", OpsTimeline.Of(detail));
    }

    private static async Task<IResult> Events(
        string? state,
        string? after,
        HttpContext http,
        INotifications notifications
    )
    {
        NotificationState? wanted =
            Enum.TryParse<NotificationState>(state ?? "parked", ignoreCase: true, out var known)
            && Enum.IsDefined(known)
                ? known
                : null;
        if (await notifications.List(wanted, after, PageSize, http.RequestAborted) is not { } page)
            return NotFound(http, "There is no such page of events.");
        return Page(
            http,
            "Events",
            OpsViews.Events(page, wanted, mayRequeue: http.User.HasScope(Scopes.PaymentsWrite))
        );
    }

    private static async Task<IResult> Clients(string? after, HttpContext http, IClientQueries queries)
    {
        if (after is not null && !ClientId.IsWellFormed(after))
            return NotFound(http, "There is no such page of clients.");
        var page = await queries.Clients(after, PageSize, http.RequestAborted);
        return Page(http, "Clients", OpsViews.Clients(page));
    }

    private static async Task<IResult> Client(
        string clientId,
        HttpContext http,
        IClientQueries queries,
        IAccountQueries accounts,
        IChangeQueries changes
    )
    {
        if (
            !ClientId.IsWellFormed(clientId)
            || await queries.Client(new ClientId(clientId), http.RequestAborted) is not { } client
        )
            return NotFound(http, "There is no such client.");
        var id = new ClientId(clientId);
        var keys = await queries.Keys(id, 0, PageSize, http.RequestAborted);
        var balances = await accounts.Accounts(id, http.RequestAborted);
        var recent = await changes.Newest(PageSize, http.RequestAborted, id);
        return Page(http, $"Client {clientId}", OpsViews.Client(client, keys.Items, balances, recent));
    }

    private static async Task<IResult> Changes(HttpContext http, IChangeQueries changes) =>
        Page(
            http,
            "Changes",
            Html.Of(
                $"<h2>The last 200 changes</h2>{OpsViews.Changes(await changes.Newest(200, http.RequestAborted))}<p>GET /internal/v1/changes lists all of them, by client, subject, kind and time.</p>"
            )
        );

    // One event, or all that are parked.
    private static async Task<IResult> Requeue(
        HttpContext http,
        INotifications notifications,
        ILoggerFactory logs,
        TimeProvider time
    )
    {
        var form = await PageLayout.Form(http);
        var (clientId, paymentId) = (form["clientId"].ToString(), form["paymentId"].ToString());
        var reason = form["reason"].ToString();
        if (reason.Length > ChangeAuthor.MaxReason || reason.Any(char.IsControl))
            return Page(
                http,
                "Events",
                Html.Of(
                    $"<p class=\"wrong\">The reason must be at most {ChangeAuthor.MaxReason} characters of text.</p>"
                )
            );
        var author = new ChangeAuthor(http.User.Actor(), reason, time.GetUtcNow());
        // Only a form that names no event means all of them.
        if (clientId.Length == 0 && paymentId.Length == 0)
            await notifications.Requeue(
                new RequeueOrder(
                    NotificationState.Parked,
                    null,
                    DateTimeOffset.MinValue,
                    DateTimeOffset.MaxValue,
                    INotifications.MaxRequeued
                ),
                author,
                http.RequestAborted
            );
        else if (
            !ClientId.IsWellFormed(clientId)
            || !Identifier.IsWellFormed(paymentId)
            || await notifications.Requeue(
                new ClientId(clientId),
                new PaymentId(paymentId),
                author,
                http.RequestAborted
            )
                is null
        )
            return NotFound(http, "There is no such event.");
        logs.CreateLogger(typeof(OpsPages)).Changed(author.Actor, ChangeKind.Requeue, paymentId, clientId, reason);
        return Results.Redirect("/ops/events");
    }

    private static Html SearchForm(string id) =>
        Html.Of(
            $"""
            <form method="get" action="/ops/payments" role="search"><label for="id">What happened to the payment (paymentId or paymentRequestId)</label>
            <input id="id" name="id" value="{id}" maxlength="64" required><button>Find</button></form>
            """
        );

    private static IResult NotFound(HttpContext http, string text) =>
        Page(http, "Not found", Html.Of($"<p>{text}</p>"), StatusCodes.Status404NotFound);

    private static IResult Page(HttpContext http, string title, Html content, int status = StatusCodes.Status200OK)
    {
        var navigation = Html.Of(
            $"""<a href="/ops">Overview</a> <a href="/ops/events">Events</a> <a href="/ops/clients">Clients</a> <a href="/ops/changes">Changes</a>"""
        );
        var who =
            http.Request.Headers.Authorization.Count > 0
                ? default
                : Html.Of($"<p>Signed in as {http.User.Actor()}.</p>{OpsSignIn.SignOutForm}");
        return PageLayout.Answer(
            PageLayout.Of("CancelService operations", title, navigation, Html.Of($"{content}{who}")),
            status
        );
    }

    // While the database is away, a page says so in time.
    private static async ValueTask<object?> Bounded(
        EndpointFilterInvocationContext context,
        EndpointFilterDelegate next
    )
    {
        var http = context.HttpContext;
        // The overview's parts are bounded each by itself.
        var host = http.RequestServices.GetRequiredService<ConsoleHost>();
        var timeout = host.Timeout * 5;
        try
        {
            return await next(context).AsTask().WaitAsync(timeout);
        }
        catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
        {
            return Page(
                http,
                "No answer",
                Html.Of($"<p class=\"wrong\">{host.Explain(e, timeout)}. Load the page again.</p>"),
                StatusCodes.Status503ServiceUnavailable
            );
        }
    }
}
