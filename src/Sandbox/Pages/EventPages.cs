using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using CancelService.Infrastructure.Notifications;
using CancelService.OperatorConsole.Pages;
using CancelService.Sandbox.Demo;

namespace CancelService.Sandbox.Pages;

/// <summary>
/// The page for who writes a receiver of events (docs/notifications.md): it sends good and bad ones to an address, and says which
/// of them the receiver took rightly.
/// </summary>
internal static class EventPages
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // A redirect is a failed attempt, as for the relay.
    private static readonly HttpClient Http = new(
        new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(1) }
    )
    {
        Timeout = Patience,
        MaxResponseContentBufferSize = 64 * 1024,
    };

    /// <summary>Maps the page.</summary>
    public static void MapEvents(this RouteGroupBuilder pages)
    {
        pages.MapGet("/events", (DemoKeys keys) => Page(Form("http://localhost:5000/", keys.WebhookSecret), default));
        pages.MapPost("/events", Try).DisableAntiforgery();
    }

    private static async Task<IResult> Try(HttpContext http, TimeProvider time)
    {
        var form = await PageLayout.Form(http);
        var (url, secret) = (SandboxPages.Field(form, "url"), SandboxPages.Field(form, "secret"));
        var problem =
            !Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")
                ? "The URL must begin with http:// or https://."
            : !EventSignature.IsSecret(secret) ? "The secret is whsec_ and the base64 of 24 to 64 bytes."
            : "";
        if (problem.Length > 0)
            return Page(Form(url, secret), Html.Of($"<p class=\"wrong\">{problem}</p>"));

        var results = new List<(Trial Trial, string Answer, bool IsRight)>();
        foreach (var trial in Trials(secret, time.GetUtcNow()))
        {
            var (answer, isRight) = await Send(address!, trial, http.RequestAborted);
            results.Add((trial, answer, isRight));
        }
        var rows = results.Select(result =>
            Html.Of(
                $"<tr><td>{result.Trial.Name}</td><td>{(result.Trial.IsToBeTaken ? "2xx" : "anything else")}</td><td>{result.Answer}</td><td>{(result.IsRight ? Html.Of($"<span class=\"good\">right</span>") : Html.Of($"<span class=\"wrong\">wrong</span>: {result.Trial.Why}"))}</td></tr>"
            )
        );
        return Page(
            Form(url, secret),
            Html.Of(
                $"""
                <h2>{results.Count(result => result.IsRight)} of {results.Count} right</h2>
                <div class="wide" tabindex="0" role="group" aria-label="Events"><table><thead><tr><th scope="col">Event</th><th scope="col">Wanted</th><th scope="col">Answered</th><th scope="col">Verdict</th></tr></thead><tbody>{Html.Join(
                    rows
                )}</tbody></table></div>
                """
            )
        );
    }

    // In this order: the repeat needs the good one before it.
    private static IEnumerable<Trial> Trials(string secret, DateTimeOffset now)
    {
        var (id, otherId, other) = (Guid.CreateVersion7(now), Guid.CreateVersion7(now), EventSignature.NewSecret());
        var good = new Trial(
            "a good one",
            true,
            "it is what the core is told of every cancellation",
            id,
            Body(id, 1000)
        )
        {
            Headers = Signed([secret], id, now, Body(id, 1000)),
        };
        yield return good;
        yield return good with
        {
            Name = "the same again",
            Why = "an event may come twice: tell it by its id, and confirm it",
        };
        yield return new(
            "two signatures, yours the second",
            true,
            "while the secret is changed there are two: one that verifies is enough",
            otherId,
            Body(otherId, 1000)
        )
        {
            Headers = Signed([other, secret], otherId, now, Body(otherId, 1000)),
        };
        var imagined = good.Body.Replace("payment.cancelled", "payment.imagined", StringComparison.Ordinal);
        yield return good with
        {
            Name = "a type that nobody knows",
            Why = "new types may come: confirm what you don't know, and ignore it",
            Body = imagined,
            Headers = Signed([secret], id, now, imagined),
        };
        yield return Bad("another amount than was signed", "verify the signature over the bytes that came") with
        {
            Body = Body(id, 9000),
        };
        yield return Bad("signed with another secret", "verify the signature: anybody can send to your URL") with
        {
            Headers = Signed([other], id, now, good.Body),
        };
        yield return Bad("not signed", "refuse what has no signature") with
        {
            Headers = good.Headers[..2],
        };
        yield return Bad(
            "signed ten minutes ago",
            "refuse a webhook-timestamp that is more than five minutes away: somebody may have recorded it"
        ) with
        {
            Headers = Signed([secret], id, now.AddMinutes(-10), good.Body),
        };
        yield return Bad("under another webhook-id than was signed", "webhook-id is signed too") with
        {
            Id = otherId,
        };

        Trial Bad(string name, string why) => good with { Name = name, IsToBeTaken = false, Why = why };
    }

    // webhook-signature is the last.
    private static (string Name, string Value)[] Signed(string[] secrets, Guid id, DateTimeOffset at, string body) =>
        [.. new EventSignature(secrets).Headers(id, at, Encoding.UTF8.GetBytes(body))];

    private static string Body(Guid id, int minorUnits) =>
        $$"""{"id":"{{id}}","type":"payment.cancelled","clientId":"DEMO_CLIENT","paymentId":"demo-success","paymentRequestId":"req-demo-success","amount":{"minorUnits":{{minorUnits}},"currency":"USD"},"effect":"REFUNDED","cancelTime":"2026-11-23T20:00:01+08:00"}""";

    private static async Task<(string Answer, bool IsRight)> Send(Uri address, Trial trial, CancellationToken token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = new StringContent(trial.Body, new MediaTypeHeaderValue("application/json")),
        };
        foreach (var (name, value) in trial.Headers)
            request.Headers.Add(name, name == "webhook-id" ? trial.Id.ToString() : value);
        try
        {
            using var response = await Http.SendAsync(request, token);
            return (
                ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture),
                response.IsSuccessStatusCode == trial.IsToBeTaken
            );
        }
        // A receiver that does not answer is wrong, also where the event is to be refused.
        catch (HttpRequestException e)
        {
            return ($"none: {e.HttpRequestError}", false);
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            return ($"none within {Patience.TotalSeconds:0} s", false);
        }
    }

    private static Html Form(string url, string secret) =>
        Html.Of(
            $"""
            <h2>Try a receiver of events</h2>
            <p>Sends nine events, good and bad, one after the other, and says which your receiver took rightly. <a href="/docs/notifications.md">What a receiver has to do</a></p>
            <form method="post" action="/sandbox/events">
            <label for="url">The receiver's URL</label><input id="url" name="url" type="url" value="{url}" required maxlength="2000">
            <label for="secret">The secret that it verifies with; the demo's is filled in</label><input id="secret" name="secret" value="{secret}" required maxlength="200">
            <button>Send them</button>
            </form>
            """
        );

    private static IResult Page(Html form, Html results) => SandboxPages.Page("Events", Html.Of($"{results}{form}"));

    /// <summary>An event that is sent, and what a receiver has to do with it.</summary>
    private sealed record Trial(string Name, bool IsToBeTaken, string Why, Guid Id, string Body)
    {
        public required (string Name, string Value)[] Headers { get; init; }
    }
}
