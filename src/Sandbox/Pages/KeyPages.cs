using System.Globalization;
using CancelService.Api.Operations.Cancel;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.OperatorConsole.Pages;
using MediatR;

namespace CancelService.Sandbox.Pages;

/// <summary>
/// A key pair that the browser makes, registers as a new version of the demo's client, and signs with. The private key never
/// leaves the browser, which is how it should be with a merchant's.
/// </summary>
internal static class KeyPages
{
    /// <summary>Maps the pages.</summary>
    public static void MapKeys(this RouteGroupBuilder pages)
    {
        pages.MapGet("/keys", (TestClock clock) => Page(clock, "", ""));
        pages.MapPost("/keys", Register).DisableAntiforgery();
    }

    private static async Task<IResult> Register(
        HttpContext http,
        IMediator mediator,
        IClients clients,
        TimeProvider time,
        TestClock clock
    )
    {
        var form = await PageLayout.Form(http);
        var client = await clients.Find(new ClientId(DemoMerchant.ClientId), http.RequestAborted);
        var version = client is null ? 1 : client.Keys.Select(key => key.Version).DefaultIfEmpty().Max() + 1;
        var result = await mediator.Send(
            new PutClientKeyCommand(
                DemoMerchant.ClientId,
                version,
                SandboxPages.Field(form, "publicKey"),
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
        SandboxPages.Page(
            "Keys",
            Html.Of(
                $"""
                <h2>A key of this browser</h2><p role="status">{said}</p>
                <p>The browser makes an RSA key pair and registers the public key as a new version of {DemoMerchant.ClientId}. The private key stays in it, and can't be taken out.</p>
                <noscript><p>This page alone needs script: without, there is nothing to sign with.</p></noscript>
                <div id="keys" data-version="{version}">
                <form id="make" method="post" action="/sandbox/keys" hidden><input type="hidden" name="publicKey"><button>Make a key pair</button></form>
                <form id="send" method="post" action="/sandbox/send" data-path="{CancelOperation.Route}" data-client="{DemoMerchant.ClientId}" data-ahead="{clock.Ahead.TotalMilliseconds.ToString(
                    CultureInfo.InvariantCulture
                )}" hidden>
                <label for="signed">paymentId, or a paymentRequestId that begins with req-</label>
                <input id="signed" name="id" value="demo-success" required maxlength="200">
                <input type="hidden" name="body"><input type="hidden" name="time"><input type="hidden" name="version"><input type="hidden" name="signature">
                <button>Sign in this browser and send</button></form>
                </div>
                """
            )
        );
}
