using System.Data.Common;
using System.Globalization;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Pages;
using CancelService.Sandbox.Pages;
using MediatR;

namespace CancelService.Sandbox.Endpoints;

/// <summary>Has something go wrong on demand, and puts the clock ahead.</summary>
internal static class ScenarioEndpoints
{
    private const string WrongDuration = "Give between 1 and 60 seconds.";
    private const string Changed =
        "The contract was changed. This instance knows at once, others within Clients:CacheTime.";

    private static readonly TimeSpan BeforeCutOff = TimeSpan.FromSeconds(20);

    /// <summary>The ways to put the clock.</summary>
    public static readonly IReadOnlyList<(string Name, string Text)> Jumps =
    [
        ("before", "to 20 seconds before the cut-off of what is initiated now"),
        ("past", "to a second past the cut-off of what is initiated now"),
        ("hour", "an hour ahead"),
        ("day", "a day ahead"),
        ("back", "back to the machine's time"),
    ];

    /// <summary>The contracts to choose from.</summary>
    public static readonly IReadOnlyList<(string Name, string Text)> Contracts =
    [
        ("usual", "the usual one"),
        ("denied", "without cancelling: ACCESS_DENIED"),
        ("slow", "for one request a second: REQUEST_TRAFFIC_EXCEED_LIMIT for the second"),
        ("disabled", "with the client disabled: CLIENT_INVALID"),
    ];

    /// <summary>Maps the page and its forms.</summary>
    public static void MapScenarios(this RouteGroupBuilder pages)
    {
        pages.MapGet("/scenarios", (TestClock clock) => Page(clock, ""));
        pages.MapPost("/scenarios/stall", Stall);
        pages.MapPost("/scenarios/away", TurnAway);
        pages.MapPost("/scenarios/clock", PutClock);
        pages.MapPost("/scenarios/contract", PutContract);
        pages.MapPost("/scenarios/back", PutBack);
    }

    private static async Task<IResult> Stall(HttpContext http, Scenarios scenarios, TestClock clock)
    {
        if (Duration(http) is not { } duration)
            return Page(clock, WrongDuration);
        try
        {
            return Page(
                clock,
                await scenarios.Stall(duration, http.RequestAborted)
                    ? $"The database stalls for {duration.TotalSeconds} s. "
                        + "A cancel is answered UNKNOWN_EXCEPTION now; repeat it until it is final."
                    : "The database stalls already. Wait for its end."
            );
        }
        catch (DbException)
        {
            return Page(
                clock,
                "The database could not be stalled: it is away, or somebody else holds a lock. Try again."
            );
        }
    }

    private static async Task<IResult> TurnAway(HttpContext http, Scenarios scenarios, TestClock clock)
    {
        if (Duration(http) is not { } duration)
            return Page(clock, WrongDuration);
        scenarios.TurnAway(duration);
        return Page(
            clock,
            $"Every cancel is turned away for {duration.TotalSeconds} s, with 503 and Retry-After. "
                + "Nothing was done, so send the same request again later."
        );
    }

    private static async Task<IResult> PutClock(HttpContext http, TestClock clock)
    {
        var (now, jump) = (clock.GetUtcNow(), http.Field("jump"));
        var cutOff = CancelWindow.Usual.ClosesAt(now);
        clock.Put(
            jump switch
            {
                "before" => clock.Ahead + (cutOff - now - BeforeCutOff),
                "past" => clock.Ahead + (cutOff - now) + TimeSpan.FromSeconds(1),
                "hour" => clock.Ahead + TimeSpan.FromHours(1),
                "day" => clock.Ahead + TimeSpan.FromDays(1),
                _ => TimeSpan.Zero,
            }
        );
        return Page(clock, "The clock was put.");
    }

    private static async Task<IResult> PutContract(
        HttpContext http,
        IMediator mediator,
        IClientQueries clients,
        TestClock clock
    )
    {
        var terms = http.Field("terms");
        return Page(clock, await Change(terms, mediator, clients, clock, http.RequestAborted));
    }

    private static async Task<IResult> PutBack(
        HttpContext http,
        IMediator mediator,
        IClientQueries clients,
        TestClock clock,
        Scenarios scenarios
    )
    {
        scenarios.End();
        clock.Put(TimeSpan.Zero);
        var said = await Change("usual", mediator, clients, clock, http.RequestAborted);
        return Page(clock, said == Changed ? "Everything is as usual." : said);
    }

    private static async Task<string> Change(
        string terms,
        IMediator mediator,
        IClientQueries clients,
        TestClock clock,
        CancellationToken cancellationToken
    )
    {
        if (await clients.Client(new ClientId(DemoMerchant.ClientId), cancellationToken) is not { } client)
            return "The demo's client is gone.";
        int? rate = terms == "slow" ? 1 : null;
        var result = await mediator.Send(
            new PutClientCommand(
                client.ClientId,
                client.Name,
                Enabled: terms != "disabled",
                MayCancel: terms == "denied" ? false : null,
                Window: null,
                RequestsPerSecond: rate,
                Burst: rate,
                RememberUnknown: null,
                new ChangeAuthor("sandbox", "a scenario of the sandbox", clock.GetUtcNow())
            ),
            cancellationToken
        );
        return result is ClientResult.Done
            ? Changed
            : "The contract was not changed: another change came first, or the database stalls. Try again.";
    }

    private static TimeSpan? Duration(HttpContext http) =>
        int.TryParse(http.Field("seconds"), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
        && seconds >= 1
        && seconds <= Scenarios.Longest.TotalSeconds
            ? TimeSpan.FromSeconds(seconds)
            : null;

    private static IResult Page(TestClock clock, string said)
    {
        var now = clock.GetUtcNow();
        return PageResult.Of<ScenariosPage>(
            new
            {
                Said = said,
                Now = now,
                clock.Ahead,
                ClosesAt = CancelWindow.Usual.ClosesAt(now),
            }
        );
    }
}
