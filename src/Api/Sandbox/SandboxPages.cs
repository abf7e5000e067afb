using System.Globalization;
using System.Text;
using System.Text.Json;
using CancelService.Api.Pages;
using CancelService.Application.Clients;
using CancelService.Application.Doctor;
using CancelService.Domain;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

namespace CancelService.Api.Sandbox;

/// <summary>
/// The page for a merchant's developer, in Development and on the internal port alone. It cancels a payment of the demo wallet,
/// makes a mistake on purpose where that is asked for, and says what is wrong with a pasted request. It needs no script.
/// </summary>
internal static class SandboxPages
{
    private static readonly string[] Payments =
    [
        "demo-success",
        "demo-processing",
        "demo-authorized",
        "demo-failed",
        "demo-captured",
        "demo-refunded",
        "demo-late",
        "demo-poor",
        "no-such-payment",
    ];

    /// <summary>Maps the pages, and says in the log where they are.</summary>
    public static void MapSandbox(this WebApplication app)
    {
        var pages = app.MapGroup("/sandbox").ExcludeFromDescription().AddEndpointFilter(PageLayout.FromHere);
        pages.MapGet("/", () => Page("Sandbox", Html.Of($"{CancelForm("demo-success", "", "")}{PasteForm("")}")));
        pages.MapPost("/cancel", Cancel).DisableAntiforgery();
        pages.MapPost("/diagnose", Diagnose).DisableAntiforgery();
        app.Lifetime.ApplicationStarted.Register(() =>
            app.Logger.SandboxIsAt(new Uri(Address(app.Services, 0), "/sandbox"))
        );
    }

    private static async Task<IResult> Cancel(
        HttpContext http,
        DemoMerchant merchant,
        IClients clients,
        RequestDoctor doctor,
        TimeProvider time
    )
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
        var answer = await DemoMerchant.Send(request, address, http.RequestAborted);
        var client = await clients.Find(new ClientId(DemoMerchant.ClientId), http.RequestAborted);
        var diagnosis = doctor.Examine(PastedRequest.Read(request, out _)!, client, time.GetUtcNow(), cameNow: true);
        return Page(
            "A cancel",
            Html.Of(
                $"""
                <h2>The answer</h2><pre>{answer}</pre><p>{merchant.Verify(answer)}</p>
                {Report(diagnosis)}
                <h2>The request, as it went over the wire</h2><pre>{Encoding.UTF8.GetString(request)}</pre>
                {CancelForm(id, extendInfo, mistake)}
                """
            )
        );
    }

    private static async Task<IResult> Diagnose(
        HttpContext http,
        IClients clients,
        RequestDoctor doctor,
        TimeProvider time
    )
    {
        var form = await PageLayout.Form(http);
        var paste = Field(form, "request");
        if (Read(paste, out var problem) is not { } request)
            return Page("Diagnosis", Html.Of($"<p>{problem}</p>{PasteForm(paste)}"));
        var client =
            request.Header("Client-Id") is [var id, ..] && ClientId.IsWellFormed(id)
                ? await clients.Find(new ClientId(id), http.RequestAborted)
                : null;
        var diagnosis = doctor.Examine(request, client, time.GetUtcNow(), cameNow: false);
        return Page(
            "Diagnosis",
            Html.Of($"<p>It was read as {request.Form}.</p>{Report(diagnosis)}{PasteForm(paste)}")
        );
    }

    // A browser sends every line of a form with CR LF. The length of the body tells whether that is how it was.
    private static PastedRequest? Read(string paste, out string problem)
    {
        var request = PastedRequest.Read(Encoding.UTF8.GetBytes(paste.ReplaceLineEndings("\n")), out problem);
        var asSent = PastedRequest.Read(Encoding.UTF8.GetBytes(paste), out _);
        return
            request?.Header("Content-Length") is [var length]
            && int.TryParse(length, CultureInfo.InvariantCulture, out var bytes)
            && request.Body.Length < bytes
            ? asSent
            : request;
    }

    private static Html Report(Diagnosis diagnosis)
    {
        var causes =
            diagnosis.Causes.Count == 0
                ? Html.Of($"<p>Nothing is wrong with the request. What is left depends on the payment.</p>")
                : Html.Of(
                    $"<ul>{Html.Join(diagnosis.Causes.Select(cause => Html.Of($"<li><strong>{cause.Id}</strong>: {cause.Text}</li>")))}</ul>"
                );
        var steps = Html.Join(
            diagnosis.Steps.Select(step =>
                Html.Of(
                    $"<tr><td>{(step.Passed ? Html.Of($"ok") : Html.Of($"<span class=\"wrong\">wrong</span>"))}</td><td>{step.Code}</td><td>{step.Text}</td></tr>"
                )
            )
        );
        var text = diagnosis.StringToSign is { } ours
            ? Html.Of(
                $"<h3>The string to sign: {ours.Length} bytes, SHA-256 {ours.Sha256}</h3><pre>{ours.Visible}</pre><pre>{ours.Command}</pre>"
            )
            : default;
        var difference = diagnosis.Difference is { } parts
            ? Html.Of(
                $"<h3>What was signed</h3><pre>{parts.Text}</pre><p>They part at byte {parts.Offset}: to sign is <code>{parts.Ours}</code>, signed was <code>{parts.Yours}</code>.</p>"
            )
            : default;
        return Html.Of(
            $"""
            <h2>Diagnosis: {diagnosis.Code}</h2>{causes}
            <div class="wide" tabindex="0" role="group" aria-label="Steps of the diagnosis"><table><thead><tr><th scope="col">Step</th><th scope="col">Code</th><th scope="col">Found</th></tr></thead><tbody>{steps}</tbody></table></div>
            {text}{difference}
            """
        );
    }

    private static Html CancelForm(string id, string extendInfo, string mistake) =>
        Html.Of(
            $"""
            <h2>Cancel a payment</h2>
            <form method="post" action="/sandbox/cancel">
            <label for="id">paymentId, or a paymentRequestId that begins with req-</label>
            <input id="id" name="id" value="{id}" list="payments" required maxlength="200">
            <datalist id="payments">{Html.Join(
                Payments.Select(payment => Html.Of($"<option value=\"{payment}\">"))
            )}</datalist>
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

    private static Html PasteForm(string paste) =>
        Html.Of(
            $"""
            <h2>Ask the doctor</h2>
            <form method="post" action="/sandbox/diagnose">
            <label for="request">A request: raw HTTP, a curl command, an HAR entry, or the line of a log</label>
            <textarea id="request" name="request" rows="10" required>{paste}</textarea>
            <button>Diagnose</button>
            </form>
            """
        );

    private static IResult Page(string title, Html content) =>
        PageLayout.Answer(
            PageLayout.Of(
                "CancelService sandbox",
                title,
                Html.Of(
                    $"<a href=\"/sandbox\">Start</a> <a href=\"/scalar\">API reference</a> <a href=\"/ops\">Operations</a>"
                ),
                content
            )
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

    private static string Field(IFormCollection form, string name) => form[name].ToString();
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
