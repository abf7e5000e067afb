using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using CancelService.Infrastructure.Notifications;
using CancelService.Pages;
using CancelService.Sandbox.Demo;
using CancelService.Sandbox.Pages;

namespace CancelService.Sandbox.Endpoints;

/// <summary>
/// Helps authors of a receiver of events (docs/notifications.md): sends good and bad events to it, and names its
/// mistakes.
/// </summary>
internal static class EventEndpoints
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>Maps the page and its form.</summary>
    public static void MapEvents(this RouteGroupBuilder pages)
    {
        pages.MapGet(
            "/events",
            (DemoKeys keys) =>
                PageResult.Of<EventsPage>(new { Url = "http://localhost:5000/", Secret = keys.WebhookSecret })
        );
        pages.MapPost("/events", Try);
    }

    private static async Task<IResult> Try(HttpContext http, Receivers receivers, TimeProvider time)
    {
        var (url, secret) = (http.Field("url"), http.Field("secret"));
        var problem =
            !Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")
                ? "The URL must begin with http:// or https://."
            : !EventSignature.IsSecret(secret) ? "The secret is whsec_ and the base64 of 24 to 64 bytes."
            : receivers.Problem(address) ?? "";
        if (problem.Length > 0)
            return PageResult.Of<EventsPage>(
                new
                {
                    Problem = problem,
                    Url = url,
                    Secret = secret,
                }
            );

        using var bound = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        bound.CancelAfter(Longest);
        var results = new List<EventsPage.Result>();
        foreach (var trial in Trials(secret, time.GetUtcNow()))
        {
            var (answer, isRight) = await Send(address!, trial, receivers, bound.Token);
            results.Add(new(trial.Name, trial.IsToBeTaken, trial.Why, answer, isRight));
        }
        return PageResult.Of<EventsPage>(
            new
            {
                Results = results,
                Url = url,
                Secret = secret,
            }
        );
    }

    // In this order: the repeat needs the good one before it.
    private static IEnumerable<Trial> Trials(string secret, DateTimeOffset now)
    {
        var (id, otherId, other) = (Guid.CreateVersion7(now), Guid.CreateVersion7(now), EventSignature.NewSecret());
        var good = new Trial("a good one", true, "the core gets it for every cancellation", id, Body(id, 1000))
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
            "while the secret is changed there are two: one valid signature is enough",
            otherId,
            Body(otherId, 1000)
        )
        {
            Headers = Signed([other, secret], otherId, now, Body(otherId, 1000)),
        };
        var imagined = good.Body.Replace("payment.cancelled", "payment.imagined", StringComparison.Ordinal);
        yield return good with
        {
            Name = "an unknown type",
            Why = "new types may come: confirm and ignore unknown ones",
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
        yield return Bad("not signed", "refuse events without a signature") with
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
        $$"""
            {"id":"{{id}}","type":"payment.cancelled","clientId":"DEMO_CLIENT","paymentId":"demo-success",
            "paymentRequestId":"req-demo-success","amount":{"minorUnits":{{minorUnits}},"currency":"USD"},
            "effect":"REFUNDED","cancelTime":"2026-11-23T20:00:01+08:00"}
            """.ReplaceLineEndings("");

    private static async Task<(string Answer, bool IsRight)> Send(
        Uri address,
        Trial trial,
        Receivers receivers,
        CancellationToken token
    )
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = new StringContent(trial.Body, new MediaTypeHeaderValue("application/json")),
        };
        foreach (var (name, value) in trial.Headers)
            request.Headers.Add(name, name == "webhook-id" ? trial.Id.ToString() : value);
        try
        {
            using var response = await receivers.Post(request, token);
            return (
                ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture),
                response.IsSuccessStatusCode == trial.IsToBeTaken
            );
        }
        // A receiver that does not answer is wrong, even where it has to refuse the event.
        catch (HttpRequestException e)
        {
            return ($"none: {e.HttpRequestError}", false);
        }
        catch (OperationCanceledException)
        {
            return ("none in time", false);
        }
    }

    /// <summary>An event, and the right treatment of it by a receiver.</summary>
    private sealed record Trial(string Name, bool IsToBeTaken, string Why, Guid Id, string Body)
    {
        public required (string Name, string Value)[] Headers { get; init; }
    }
}
