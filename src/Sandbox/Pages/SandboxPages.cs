using System.Text;
using System.Text.Json;
using CancelService.Api.Internal;
using CancelService.Api.Operations.Cancel;
using CancelService.Application.Clients;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.OperatorConsole.Pages;
using CancelService.Sandbox.Demo;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

namespace CancelService.Sandbox.Pages;

/// <summary>
/// The pages for a merchant's developer, in Development, or where <c>Sandbox:Enabled</c> says so, and on the internal port alone. This one cancels a payment of the demo
/// wallet, rightly or with a mistake that the developer chooses, and shows the answer and the diagnosis. It works without script.
/// </summary>
internal static class SandboxPages
{
    /// <summary>Maps the pages, and says in the log where they are.</summary>
    /// <param name="app">The host.</param>
    /// <param name="isFilled">Whether the demo wallet is there.</param>
    public static void MapSandbox(this WebApplication app, Func<bool> isFilled)
    {
        var all = app.MapGroup("").ExcludeFromDescription().AddEndpointFilter(PageLayout.FromHere);
        all.MapSandboxFiles();
        var pages = all.MapGroup("/sandbox")
            .AddEndpointFilter(SandboxScript.Allow)
            .AddEndpointFilter(
                // The ports are open a second before the demo wallet is filled.
                async (context, next) =>
                    isFilled()
                        ? await next(context)
                        : Page(
                            "Sandbox",
                            Html.Of($"<p>The demo wallet is being filled. Load the page again in a second.</p>"),
                            StatusCodes.Status503ServiceUnavailable
                        )
            );
        pages.MapGet("/", Start);
        pages.MapPost("/payments", AddPayments).DisableAntiforgery();
        pages.MapPost("/cancel", Cancel).DisableAntiforgery();
        pages.MapPost("/send", (Delegate)Send).DisableAntiforgery();
        pages.MapKeys();
        pages.MapCore();
        pages.MapScenarios();
        pages.MapDoctor();
        pages.MapEvents();
        app.Lifetime.ApplicationStarted.Register(() =>
            app.Logger.SandboxIsAt(new Uri(Address(app.Services, 0), "/sandbox"))
        );
    }

    private static IResult Start(string id = "demo-success", string set = DemoWallet.FirstPrefix) =>
        Page("Sandbox", Html.Of($"{CancelForm(id, "", "")}{PaymentsOf(set)}{DoctorPages.PasteForm(new())}"));

    // Each payment can be cancelled once, and only for a day or two: so there are more.
    private static async Task<IResult> AddPayments(DemoWallet wallet, CancellationToken cancellationToken)
    {
        var set = await wallet.AddPayments(cancellationToken);
        return Results.LocalRedirect($"/sandbox?id={set}success&set={set}");
    }

    private static async Task<IResult> Cancel(HttpContext http, DemoMerchant merchant)
    {
        var form = await PageLayout.Form(http);
        var (id, extendInfo, mistake) = (Field(form, "id"), Field(form, "extendInfo"), Field(form, "mistake"));
        var member = id.StartsWith("req-", StringComparison.Ordinal) ? "paymentRequestId" : "paymentId";
        var json = JsonSerializer.Serialize(
            extendInfo.Length == 0
                ? new Dictionary<string, string>(StringComparer.Ordinal) { [member] = id }
                : new Dictionary<string, string>(StringComparer.Ordinal) { [member] = id, ["extendInfo"] = extendInfo }
        );
        var address = Address(http.RequestServices, 1);
        var request = merchant.Request(json, address.Authority, mistake);
        return await Sent(http, request, id, CancelForm(id, extendInfo, mistake));
    }

    // What the browser has signed, with a key of its own.
    private static async Task<IResult> Send(HttpContext http)
    {
        var form = await PageLayout.Form(http);
        var (time, version, signature) = (Field(form, "time"), Field(form, "version"), Field(form, "signature"));
        if ($"{time}{version}{signature}".Any(char.IsControl))
            return Page("A cancel", Html.Of($"<p class=\"wrong\">A header holds no line break.</p>"));
        var request = DemoMerchant.Request(
            Field(form, "body"),
            Address(http.RequestServices, 1).Authority,
            time,
            version,
            signature
        );
        return await Sent(http, request, Field(form, "id"), Html.Of($"<p><a href=\"/sandbox/keys\">Another</a></p>"));
    }

    private static async Task<IResult> Sent(HttpContext http, byte[] request, string id, Html again)
    {
        var services = http.RequestServices;
        var address = Address(services, 1);
        var answer = await DemoMerchant.Send(request, address, http.RequestAborted);
        var client = await services
            .GetRequiredService<IClients>()
            .Find(new ClientId(DemoMerchant.ClientId), http.RequestAborted);
        var diagnosis = services
            .GetRequiredService<RequestDoctor>()
            .Examine(
                PastedRequest.Read(request, out _)!,
                client is null ? null : DiagnoseApi.Examined(client),
                services.GetRequiredService<TimeProvider>().GetUtcNow(),
                cameNow: true
            );
        return Page(
            "A cancel",
            Html.Of(
                $"""
                <h2>The answer</h2><pre>{answer}</pre><p>{services.GetRequiredService<DemoMerchant>().Verify(
                    answer,
                    request
                )}</p>
                {DoctorPages.Report(diagnosis)}
                <h2>The request, as it went over the wire</h2><pre>{Encoding.UTF8.GetString(request)}</pre>
                {ReadyCode(services.GetRequiredService<DemoKeys>(), address, id)}
                {again}
                """
            )
        );
    }

    private static Html CancelForm(string id, string extendInfo, string mistake) =>
        Html.Of(
            $"""
            <h2>Cancel a payment</h2>
            <form method="post" action="/sandbox/cancel">
            <label for="id">paymentId, or a paymentRequestId that begins with req-</label>
            <input id="id" name="id" value="{id}" required maxlength="200">
            <label for="extendInfo">extendInfo</label><input id="extendInfo" name="extendInfo" value="{extendInfo}" maxlength="5000">
            <label for="mistake">Mistake to make</label>
            <select id="mistake" name="mistake">{Html.Join(
                DemoMerchant.Mistakes.Select(m =>
                    Html.Of(
                        $"<option value=\"{m.Name}\"{(m.Name == mistake ? Html.Of($" selected") : default)}>{m.Text}</option>"
                    )
                )
            )}</select>
            <button>Sign and send</button>
            </form>
            """
        );

    private static Html PaymentsOf(string set)
    {
        var rows = DemoWallet.Payments.Select(payment =>
            Html.Of(
                $"<tr><td><a href=\"/sandbox?id={Uri.EscapeDataString(set + payment.Name)}&amp;set={Uri.EscapeDataString(set)}\">{set}{payment.Name}</a></td><td>{payment.Code}</td><td>{payment.Why}</td></tr>"
            )
        );
        return Html.Of(
            $"""
            <h2>Payments to cancel</h2>
            <div class="wide" tabindex="0" role="group" aria-label="Payments"><table><thead><tr><th scope="col">Payment</th><th scope="col">A first cancel is answered</th><th scope="col">Because</th></tr></thead><tbody>{Html.Join(
                rows
            )}</tbody></table></div>
            <form method="post" action="/sandbox/payments"><button>Make new payments</button></form>
            """
        );
    }

    // One request as a command, and the clients that do all that a client must: sign, send, verify, repeat.
    private static Html ReadyCode(DemoKeys keys, Uri address, string id)
    {
        var environment =
            $"URL={new Uri(address, CancelOperation.Route)} MERCHANT_KEY={Quoted(Path.Combine(keys.Directory, "merchant-private.pem"))} WALLET_KEY={Quoted(Path.Combine(keys.Directory, "wallet-public.pem"))}";
        var clients = SandboxFiles.Clients.Select(client =>
            Html.Of(
                $"""
                <details><summary>{client.Language}</summary>
                <pre>{$"{environment} {client.Command} {Quoted(id)}"}</pre>
                <p><a href="/docs/examples/clients/{client.File}">{client.File}</a></p><pre>{SandboxFiles.Client(
                    client.File
                )}</pre></details>
                """
            )
        );
        return Html.Of(
            $"<h2>The same as code</h2><p>Each is a whole client, and takes a paymentId: it signs, sends, verifies the answer, and repeats until the answer is final.</p>{Html.Join(clients)}"
        );
    }

    private static string Quoted(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>A page of the sandbox.</summary>
    public static IResult Page(string title, Html content, int status = StatusCodes.Status200OK) =>
        PageLayout.Answer(
            PageLayout.Of(
                "CancelService sandbox",
                title,
                Html.Of(
                    $"<a href=\"/sandbox\">Start</a> <a href=\"/sandbox/requests\">Requests</a> <a href=\"/sandbox/core\">Core</a> <a href=\"/sandbox/scenarios\">Scenarios</a> <a href=\"/sandbox/events\">Events</a> <a href=\"/sandbox/keys\">Keys</a> <a href=\"/docs/api.md\">Documentation</a> <a href=\"/scalar\">API reference</a> <a href=\"/ops\">Operations</a>"
                ),
                Html.Of($"{content}<script>{SandboxScript.Text}</script>")
            ),
            status
        );

    // Kestrel binds its endpoints in the order of their names: Internal, Public.
    private static Uri Address(IServiceProvider services, int endpoint)
    {
        var addresses = services
            .GetRequiredService<IServer>()
            .Features.GetRequiredFeature<IServerAddressesFeature>()
            .Addresses;
        return new Uri(
            addresses
                .ElementAt(endpoint)
                .Replace("[::]", "localhost", StringComparison.Ordinal)
                .Replace("*", "localhost", StringComparison.Ordinal)
        );
    }

    /// <summary>A field of a form; empty when it was not sent.</summary>
    public static string Field(IFormCollection form, string name) => form[name].ToString();
}

/// <summary>The log's lines of the sandbox.</summary>
internal static partial class SandboxLog
{
    [LoggerMessage(
        LogLevel.Information,
        "Open {Address} in a browser: the sandbox cancels demo payments, and names the mistake in a request"
    )]
    public static partial void SandboxIsAt(this ILogger log, Uri address);
}
