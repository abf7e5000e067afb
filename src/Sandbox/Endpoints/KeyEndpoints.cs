using System.Globalization;
using CancelService.Api.Operations.Cancel;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Pages;
using CancelService.Sandbox.Pages;
using MediatR;

namespace CancelService.Sandbox.Endpoints;

/// <summary>
/// Registers a key pair of the browser as a new version of the demo's client. The private key never leaves the browser,
/// as a merchant's must not.
/// </summary>
internal static class KeyEndpoints
{
    /// <summary>Maps the page and its form.</summary>
    public static void MapKeys(this RouteGroupBuilder pages)
    {
        pages.MapGet("/keys", (TestClock clock) => Page(clock, "", ""));
        pages.MapPost("/keys", Register);
    }

    private static async Task<IResult> Register(
        HttpContext http,
        IMediator mediator,
        IClients clients,
        TimeProvider time,
        TestClock clock
    )
    {
        var client = await clients.Find(new ClientId(DemoMerchant.ClientId), http.RequestAborted);
        var version = client is null ? 1 : client.Keys.Select(key => key.Version).DefaultIfEmpty().Max() + 1;
        var result = await mediator.Send(
            new PutClientKeyCommand(
                DemoMerchant.ClientId,
                version,
                http.Field("publicKey"),
                null,
                null,
                new ChangeAuthor("sandbox", "a key that a browser has made", time.GetUtcNow())
            ),
            http.RequestAborted
        );
        var text = version.ToString(CultureInfo.InvariantCulture);
        return result switch
        {
            ClientResult.Done => Page(
                clock,
                $"The public key is registered as {DemoMerchant.ClientId}'s of version {text}.",
                text
            ),
            ClientResult.Malformed(var problem) => Page(clock, problem, ""),
            ClientResult.KeyNotAccepted(var problem) => Page(clock, problem, ""),
            _ => Page(
                clock,
                "The key was not registered: another came first, or the demo's client is gone. Try again.",
                ""
            ),
        };
    }

    private static IResult Page(TestClock clock, string said, string version) =>
        PageResult.Of<KeysPage>(
            new
            {
                Said = said,
                Version = version,
                Path = CancelOperation.Route,
                clock.Ahead,
            }
        );
}
