using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.OperatorConsole.Components;
using CancelService.Pages;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CancelService.OperatorConsole;

/// <summary>
/// The operations pages on the internal port: the state of the service for operators without Grafana. They show what
/// the internal API shows, and queue events again. They are rendered on the server and need no script.
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
            .AddPageSecurity()
            .AddEndpointFilter(Bounded);
        pages.MapGet("/", Overview);
        pages.MapGet("/payments", Payments);
        pages.MapGet("/payments/{clientId}/{paymentId}", Payment);
        pages.MapGet("/events", Events);
        pages.MapGet("/clients", Clients);
        pages.MapGet("/clients/{clientId}", Client);
        pages.MapGet("/changes", Changes);
        pages.MapPost("/requeue", Requeue).RequireAuthorization(OpsSession.MayRequeue);
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
        var none = http.RequestAborted;
        var now = time.GetUtcNow();
        return PageResult.Of<OverviewPage>(
            new
            {
                Host = host,
                Health = await health.CheckHealthAsync(none),
                Answers = answers.Read(),
                Outbox = await Read(() => notifications.Depth(none)),
                EndingKeys = await Read(() => clients.KeysEnding(now, PageSize, none)),
                Changes = await Read(() => changes.Newest(10, none)),
                Now = now,
            }
        );

        // A part that the database does not answer must not hide the others.
        async Task<Part<T>> Read<T>(Func<Task<T>> read)
        {
            try
            {
                return new(await read().WaitAsync(host.Timeout), null);
            }
            catch (Exception e) when (!none.IsCancellationRequested)
            {
                return new(default, host.Explain(e, host.Timeout));
            }
        }
    }

    private static async Task<IResult> Payments(string? id, HttpContext http, IPaymentQueries queries)
    {
        if (!Identifier.IsWellFormed(id))
            return PageResult.Of<PaymentsPage>(new { Id = id ?? "" });
        var found = await queries.Payments(id!, http.RequestAborted);
        return found is [var only]
            ? Results.Redirect($"/ops/payments/{only.ClientId}/{only.PaymentId}")
            : PageResult.Of<PaymentsPage>(new { Id = id, Found = found });
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
            ? NotFound("There is no such payment.")
            : PageResult.Of<PaymentPage>(new { Detail = detail });
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
        return await notifications.List(wanted, after, PageSize, http.RequestAborted) is { } page
            ? PageResult.Of<EventsPage>(
                new
                {
                    Page = page,
                    State = wanted,
                    MayRequeue = http.User.HasScope(Scopes.PaymentsWrite),
                }
            )
            : NotFound("There is no such page of events.");
    }

    private static async Task<IResult> Clients(string? after, HttpContext http, IClientQueries queries) =>
        after is not null && !ClientId.IsWellFormed(after)
            ? NotFound("There is no such page of clients.")
            : PageResult.Of<ClientsPage>(new { Page = await queries.Clients(after, PageSize, http.RequestAborted) });

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
            return NotFound("There is no such client.");
        var id = new ClientId(clientId);
        return PageResult.Of<ClientPage>(
            new
            {
                Client = client,
                Keys = (await queries.Keys(id, 0, PageSize, http.RequestAborted)).Items,
                Balances = await accounts.Accounts(id, http.RequestAborted),
                Changes = await changes.Newest(PageSize, http.RequestAborted, id),
            }
        );
    }

    private static async Task<IResult> Changes(HttpContext http, IChangeQueries changes) =>
        PageResult.Of<ChangesPage>(new { Changes = await changes.Newest(200, http.RequestAborted) });

    // The form names one event by clientId and paymentId, or every parked event by all=true.
    private static async Task<IResult> Requeue(
        HttpContext http,
        INotifications notifications,
        ILoggerFactory logs,
        TimeProvider time
    )
    {
        var (clientId, paymentId) = (http.Field("clientId"), http.Field("paymentId"));
        var (all, reason) = (http.Field("all"), http.Field("reason"));
        if (reason.Length > ChangeAuthor.MaxReason || reason.Any(char.IsControl))
            return BadRequest($"The reason must be at most {ChangeAuthor.MaxReason} characters of text.");
        var author = new ChangeAuthor(http.User.Actor(), reason, time.GetUtcNow());
        switch (all, clientId, paymentId)
        {
            case ("true", "", ""):
                await notifications.Requeue(EveryParked, author, http.RequestAborted);
                break;
            case ("", _, _) when ClientId.IsWellFormed(clientId) && Identifier.IsWellFormed(paymentId):
                var (client, payment) = (new ClientId(clientId), new PaymentId(paymentId));
                if (await notifications.Requeue(client, payment, author, http.RequestAborted) is null)
                    return NotFound("There is no such event.");
                break;
            default:
                return BadRequest("Name one event by clientId and paymentId, or every parked event by all=true.");
        }
        logs.CreateLogger(typeof(OpsPages)).Changed(author.Actor, ChangeKind.Requeue, paymentId, clientId, reason);
        return Results.Redirect("/ops/events");
    }

    private static RequeueOrder EveryParked { get; } =
        new(
            NotificationState.Parked,
            null,
            DateTimeOffset.MinValue,
            DateTimeOffset.MaxValue,
            INotifications.MaxRequeued
        );

    private static IResult NotFound(string text) =>
        PageResult.Of<MessagePage>(new { Title = "Not found", Text = text }, StatusCodes.Status404NotFound);

    private static IResult BadRequest(string text) =>
        PageResult.Of<MessagePage>(
            new
            {
                Title = "Refused",
                Text = text,
                IsWrong = true,
            },
            StatusCodes.Status400BadRequest
        );

    // While the database is away, a page says so in time. The parts of the overview have limits of their own.
    private static async ValueTask<object?> Bounded(
        EndpointFilterInvocationContext context,
        EndpointFilterDelegate next
    )
    {
        var http = context.HttpContext;
        var host = http.RequestServices.GetRequiredService<ConsoleHost>();
        var timeout = host.Timeout * 5;
        try
        {
            return await next(context).AsTask().WaitAsync(timeout);
        }
        catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
        {
            return PageResult.Of<MessagePage>(
                new
                {
                    Title = "No answer",
                    Text = $"{host.Explain(e, timeout)}. Load the page again.",
                    IsWrong = true,
                },
                StatusCodes.Status503ServiceUnavailable
            );
        }
    }
}
