using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using CancelService.Api.Internal;
using CancelService.Application.Clients;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.OperatorConsole.Pages;

namespace CancelService.Sandbox.Pages;

/// <summary>The pages of the doctor. It examines what a developer pastes, and the requests that came lately.</summary>
internal static partial class DoctorPages
{
    private const string PrivateKeyWasSent =
        "That was a private key, and it was sent here, because this browser runs no script. It was not kept. Treat it as lost: make a new pair, register its public key, and revoke the old one.";

    /// <summary>Maps the pages.</summary>
    public static void MapDoctor(this RouteGroupBuilder pages)
    {
        pages.MapPost("/diagnose", Diagnose).DisableAntiforgery();
        pages.MapGet("/requests", List);
        pages.MapGet("/requests/{number:int}", Show);
    }

    private static async Task<IResult> Diagnose(
        HttpContext http,
        IClients clients,
        RequestDoctor doctor,
        TimeProvider time
    )
    {
        var form = await PageLayout.Form(http);
        // The line breaks that the receiver verifies are line feeds; a browser has sent CR LF for each.
        var asked = new Asked(
            SandboxPages.Field(form, "request"),
            SandboxPages.Field(form, "text").ReplaceLineEndings("\n"),
            SandboxPages.Field(form, "key")
        );
        if (IsPrivate(asked.Request) || IsPrivate(asked.Text) || IsPrivate(asked.Key))
            return SandboxPages.Page(
                "Diagnosis",
                Html.Of($"<p class=\"wrong\">{PrivateKeyWasSent}</p>{PasteForm(new())}")
            );
        var now = time.GetUtcNow();
        if (asked is { Request: "", Key.Length: > 0 })
        {
            var demo = await clients.Find(new ClientId(DemoMerchant.ClientId), http.RequestAborted);
            return SandboxPages.Page(
                "A key",
                Html.Of(
                    $"<h2>The key</h2><p>{doctor.NameKey(asked.Key, demo is null ? null : DiagnoseApi.Examined(demo), now)}</p>{PasteForm(asked)}"
                )
            );
        }
        if (Read(asked.Request, out var problem) is not { } request)
            return SandboxPages.Page("Diagnosis", Html.Of($"<p>{problem}</p>{PasteForm(asked)}"));
        var client = await Sender(request, clients, http.RequestAborted);
        var diagnosis = doctor.Examine(request, client, now, cameNow: false, new(asked.Text, asked.Key));
        var key =
            asked.Key.Length > 0 && !request.IsAnswer && request.Answer is null
                ? doctor.NameKey(asked.Key, client, now)
                : "";
        return SandboxPages.Page(
            "Diagnosis",
            Html.Of(
                $"<p>It was read as {request.Form}. {key}</p>{Report(diagnosis, request.IsAnswer)}{PasteForm(asked)}"
            )
        );
    }

    private static IResult List(RecentRequests recent, string client = "")
    {
        var rows = recent
            .Of(client)
            .Select(kept =>
                Html.Of(
                    $"<tr><td>{Time(kept.CameAt)}</td><td><a href=\"/sandbox/requests?client={Uri.EscapeDataString(kept.ClientId)}\">{kept.ClientId}</a></td><td>{kept.Code}</td><td><a href=\"/sandbox/requests/{kept.Number}\">Diagnosis of {kept.Number}</a></td></tr>"
                )
            );
        return SandboxPages.Page(
            "Requests",
            Html.Of(
                $"""
                <h2>What came lately{(client.Length > 0 ? $" from {client}" : "")}</h2>
                <p>The last {RecentRequests.PerClient} requests of each client since this process started, the newest first.</p>
                <div class="wide" tabindex="0" role="group" aria-label="Requests"><table><thead><tr><th scope="col">Came at (UTC)</th><th scope="col">Client</th><th scope="col">Answer</th><th scope="col">Doctor</th></tr></thead><tbody>{Html.Join(
                    rows
                )}</tbody></table></div>
                """
            )
        );
    }

    private static async Task<IResult> Show(
        int number,
        RecentRequests recent,
        IClients clients,
        RequestDoctor doctor,
        CancellationToken cancellationToken
    )
    {
        if (recent.Find(number) is not { } kept)
            return SandboxPages.Page(
                "A request",
                Html.Of($"<p>The request is no longer kept. <a href=\"/sandbox/requests\">Those that are</a></p>"),
                StatusCodes.Status404NotFound
            );
        var client = await Sender(kept.Request, clients, cancellationToken);
        var diagnosis = doctor.Examine(kept.Request, client, kept.CameAt, cameNow: true);
        var lines = kept.Request.Headers.Select(header => $"{header.Key}: {header.Value}\n");
        return SandboxPages.Page(
            "A request",
            Html.Of(
                $"""
                <p>It came at {Time(kept.CameAt)} (UTC), and was answered {kept.Code}.</p>
                {Report(diagnosis)}
                <h2>The request</h2>
                <pre>{$"{kept.Request.Method} {kept.Request.Target}\n{string.Concat(lines)}\n{Visible.Of(kept.Request.Body)}"}</pre>
                """
            )
        );
    }

    private static async Task<ExaminedClient?> Sender(
        PastedRequest request,
        IClients clients,
        CancellationToken token
    ) =>
        request.Header("Client-Id") is [var id, ..]
        && ClientId.IsWellFormed(id)
        && await clients.Find(new ClientId(id), token) is { } client
            ? DiagnoseApi.Examined(client)
            : null;

    private static string Time(DateTimeOffset at) =>
        at.ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture);

    // PEM, and the base64 of PKCS#8 and PKCS#1, which begin with a length, a version 0, and a sequence or a number.
    private static bool IsPrivate(string text) =>
        text.Contains("PRIVATE KEY", StringComparison.Ordinal) || PrivateKeyInBase64().IsMatch(text);

    [GeneratedRegex("MII.{3}IBA[AD]", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PrivateKeyInBase64();

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

    /// <summary>What the doctor found.</summary>
    public static Html Report(Diagnosis diagnosis, bool isAnswer = false)
    {
        var causes =
            diagnosis.Causes.Count == 0
                ? Html.Of(
                    $"<p>Nothing is wrong with the {(isAnswer ? "answer." : "request. What is left depends on the payment.")}</p>"
                )
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
                $"<h3>The string {(isAnswer ? "that the wallet signs" : "to sign")}: {ours.Length} bytes, SHA-256 {ours.Sha256}</h3><pre>{ours.Visible}</pre><pre>{ours.Command}</pre>"
            )
            : default;
        var difference = diagnosis.Difference is { } parts
            ? Html.Of(
                $"<h3>{(isAnswer ? "What you have in its place" : "What was signed")}</h3><pre>{parts.Text}</pre><p>They part at byte {parts.Offset}: {(isAnswer ? "the wallet's" : "to sign")} is <code>{parts.Ours}</code>, {(isAnswer ? "yours is" : "signed was")} <code>{parts.Yours}</code>.</p>"
            )
            : default;
        return Html.Of(
            $"""
            <h2>Diagnosis: {(isAnswer ? "an answer" : diagnosis.Code)}</h2>{causes}
            <div class="wide" tabindex="0" role="group" aria-label="Steps of the diagnosis"><table><thead><tr><th scope="col">Step</th><th scope="col">Code</th><th scope="col">Found</th></tr></thead><tbody>{steps}</tbody></table></div>
            {text}{difference}{(diagnosis.Answer is { } answer ? Report(answer, isAnswer: true) : default)}
            """
        );
    }

    /// <summary>The form in which the doctor is asked.</summary>
    public static Html PasteForm(Asked asked) =>
        Html.Of(
            $"""
            <h2>Ask the doctor</h2>
            <form method="post" action="/sandbox/diagnose">
            <label for="request">A request: raw HTTP, a curl command, an HAR entry, or the line of a log. Or an answer, as curl -i or curl -v prints it</label>
            <textarea id="request" name="request" rows="10">{asked.Request}</textarea>
            <label for="text">Of an answer: the text that you verify, or its SHA-256 (may be left out)</label>
            <textarea id="text" name="text" rows="3">{asked.Text}</textarea>
            <label for="key">A public key: the one that you verify an answer with, or, with nothing above, any to be named</label>
            <textarea id="key" name="key" rows="3">{asked.Key}</textarea>
            <p id="private" role="alert" class="wrong"></p>
            <button>Diagnose</button>
            </form>
            """
        );

    /// <summary>The fields of the doctor's form. A field that was left out is empty.</summary>
    internal sealed record Asked(string Request = "", string Text = "", string Key = "");
}
