using System.Data.Common;
using System.Globalization;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.OperatorConsole.Pages;
using MediatR;

namespace CancelService.Sandbox.Pages;

/// <summary>The page on which a developer has something go wrong, and puts the clock ahead.</summary>
internal static class ScenarioPages
{
    private const string WrongDuration = "Give between 1 and 60 seconds.";

    private static readonly TimeSpan BeforeCutOff = TimeSpan.FromSeconds(20);

    private static readonly (string Name, string Text)[] Jumps =
    [
        ("before", "to 20 seconds before the cut-off of what is initiated now"),
        ("past", "to a second past the cut-off of what is initiated now"),
        ("hour", "an hour ahead"),
        ("day", "a day ahead"),
        ("back", "back to the machine's time"),
    ];

    private static readonly (string Name, string Text)[] Contracts =
    [
        ("usual", "the usual one"),
        ("denied", "without cancelling: ACCESS_DENIED"),
        ("slow", "for one request a second: REQUEST_TRAFFIC_EXCEED_LIMIT for the second"),
        ("disabled", "of a client that is disabled: CLIENT_INVALID"),
    ];

    /// <summary>Maps the page.</summary>
    public static void MapScenarios(this RouteGroupBuilder pages)
    {
        pages.MapGet("/scenarios", (TestClock clock) => Page(clock, ""));
        pages.MapPost("/scenarios/stall", Stall).DisableAntiforgery();
        pages.MapPost("/scenarios/away", TurnAway).DisableAntiforgery();
        pages.MapPost("/scenarios/clock", PutClock).DisableAntiforgery();
        pages.MapPost("/scenarios/contract", PutContract).DisableAntiforgery();
    }

    private static async Task<IResult> Stall(HttpContext http, Scenarios scenarios, TestClock clock)
    {
        if (Duration(await PageLayout.Form(http)) is not { } duration)
            return Page(clock, WrongDuration);
        try
        {
            return Page(
                clock,
                await scenarios.Stall(duration, http.RequestAborted)
                    ? $"The database stalls for {duration.TotalSeconds} s. A cancel is answered UNKNOWN_EXCEPTION now; repeat it until it is final."
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
        if (Duration(await PageLayout.Form(http)) is not { } duration)
            return Page(clock, WrongDuration);
        scenarios.TurnAway(duration);
        return Page(
            clock,
            $"Every cancel is turned away for {duration.TotalSeconds} s, with 503 and Retry-After: nothing was done, so send the same request again later."
        );
    }

    private static async Task<IResult> PutClock(HttpContext http, TestClock clock)
    {
        var (now, jump) = (clock.GetUtcNow(), SandboxPages.Field(await PageLayout.Form(http), "jump"));
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
        var terms = SandboxPages.Field(await PageLayout.Form(http), "terms");
        if (await clients.Client(new ClientId(DemoMerchant.ClientId), http.RequestAborted) is not { } client)
            return Page(clock, "The demo's client is gone.");
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
            http.RequestAborted
        );
        return Page(
            clock,
            result is ClientResult.Done
                ? "The contract was changed. This instance knows at once, others within Clients:CacheTime."
                : "The contract was not changed: somebody else changes it. Try again."
        );
    }

    private static TimeSpan? Duration(IFormCollection form) =>
        int.TryParse(
            SandboxPages.Field(form, "seconds"),
            NumberStyles.None,
            CultureInfo.InvariantCulture,
            out var seconds
        )
        && seconds >= 1
        && seconds <= Scenarios.Longest.TotalSeconds
            ? TimeSpan.FromSeconds(seconds)
            : null;

    private static IResult Page(TestClock clock, string said) =>
        SandboxPages.Page(
            "Scenarios",
            Html.Of(
                $"""
                <h2>Have something go wrong</h2><p role="status">{said}</p>
                {Seconds("stall", "The database stalls for so many seconds", "Stall it", 10)}
                <p>A cancel has no result in time: the answer is UNKNOWN_EXCEPTION, and the same request is SUCCESS afterwards. Repeats of what is cancelled already may succeed meanwhile.</p>
                {Seconds("away", "The service turns every cancel away for so many seconds", "Turn away", 10)}
                <p>The answer is a plain 503 with Retry-After, which is not signed.</p>
                <h2>The contract</h2>
                <form method="post" action="/sandbox/scenarios/contract"><label for="terms">{DemoMerchant.ClientId} has a contract</label>
                {Select("terms", Contracts)}<button>Change it</button></form>
                <h2>The clock</h2>
                <p>It is {Time(clock.GetUtcNow())} (UTC) here, {(clock.Ahead == TimeSpan.Zero ? "as on the machine" : $"{Text(clock.Ahead)} ahead of the machine")}. A payment that is initiated now can be cancelled until {Time(
                    CancelWindow.Usual.ClosesAt(clock.GetUtcNow())
                )}.</p>
                <form method="post" action="/sandbox/scenarios/clock"><label for="jump">Put it</label>
                {Select("jump", Jumps)}<button>Put the clock</button></form>
                <p>These pages sign by this clock. Your own client signs by its machine's: while the two are more than five minutes apart it is answered PARAM_ILLEGAL, which is worth trying too.</p>
                <h2>Others</h2>
                <ul>
                <li><a href="/sandbox">Every code that depends on the payment</a>, each with a payment that has it, and mistakes for the others.</li>
                <li><a href="/sandbox/core">A late success, a payment that arrives after its cancel, a refund in between</a>: what the core does.</li>
                <li><a href="/sandbox/events">Bad events</a> for a receiver.</li>
                <li>Start afresh: <a href="/sandbox">make new payments</a>, which nobody has cancelled yet.</li>
                </ul>
                """
            )
        );

    private static Html Select(string name, (string Name, string Text)[] choices) =>
        Html.Of(
            $"<select id=\"{name}\" name=\"{name}\">{Html.Join(choices.Select(choice => Html.Of($"<option value=\"{choice.Name}\">{choice.Text}</option>")))}</select>"
        );

    private static Html Seconds(string name, string label, string button, int seconds) =>
        Html.Of(
            $"""
            <form method="post" action="/sandbox/scenarios/{name}"><label for="{name}">{label}</label>
            <input id="{name}" name="seconds" type="number" min="1" max="60" value="{seconds}" required><button>{button}</button></form>
            """
        );

    private static string Time(DateTimeOffset at) =>
        at.ToUniversalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    private static string Text(TimeSpan ahead) => ahead.ToString(@"d\.hh\:mm\:ss", CultureInfo.InvariantCulture);
}
