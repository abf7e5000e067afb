using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using CancelService.Api.Internal;
using CancelService.Application.Clients;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.Pages;
using CancelService.Sandbox.Pages;

namespace CancelService.Sandbox.Endpoints;

/// <summary>The doctor: examines pasted requests, answers and keys, and requests that came lately.</summary>
internal static partial class DoctorEndpoints
{
    private const string PrivateKeyWasSent =
        "A private key was sent here, because this browser runs no script. It was not kept. "
        + "Treat it as lost: make a new pair, register its public key, and revoke the old one.";

    /// <summary>Maps the form of the doctor, and the pages of recent requests.</summary>
    public static void MapDoctor(this RouteGroupBuilder pages)
    {
        pages.MapPost("/diagnose", Diagnose);
        pages.MapGet("/requests", List);
        pages.MapGet("/requests/open", Ask);
        pages.MapPost("/requests/open", Open);
        pages.MapGet("/requests/{number:int}", Find);
    }

    private static async Task<IResult> Diagnose(
        HttpContext http,
        IClients clients,
        RequestDoctor doctor,
        TimeProvider time
    )
    {
        // The receiver verifies line feeds; a browser has sent CR LF for each.
        var (paste, text, key) = (
            http.Field("request"),
            http.Field("text").ReplaceLineEndings("\n"),
            http.Field("key")
        );
        if (IsPrivate(paste) || IsPrivate(text) || IsPrivate(key))
            return PageResult.Of<DiagnosisPage>(new { Problem = PrivateKeyWasSent });
        var now = time.GetUtcNow();
        if (paste.Length == 0 && key.Length > 0)
        {
            var demo = await clients.Find(new ClientId(DemoMerchant.ClientId), http.RequestAborted);
            var named = doctor.NameKey(key, demo is null ? null : DiagnoseApi.Examined(demo), now);
            return PageResult.Of<DiagnosisPage>(
                new
                {
                    NamedKey = named,
                    Text = text,
                    Key = key,
                }
            );
        }
        if (Read(paste, out var problem) is not { } request)
            return PageResult.Of<DiagnosisPage>(
                new
                {
                    Problem = problem,
                    Request = paste,
                    Text = text,
                    Key = key,
                }
            );
        var client = await Sender(request, clients, http.RequestAborted);
        var diagnosis = doctor.Examine(request, client, now, cameNow: false, new(text, key));
        var isRequestWithKey = key.Length > 0 && !request.IsAnswer && request.Answer is null;
        return PageResult.Of<DiagnosisPage>(
            new
            {
                request.Form,
                NamedKey = isRequestWithKey ? doctor.NameKey(key, client, now) : "",
                Diagnosis = diagnosis,
                request.IsAnswer,
                Request = paste,
                Text = text,
                Key = key,
            }
        );
    }

    private static IResult List(
        HttpContext http,
        RecentRequests recent,
        Visitors visitors,
        string client = "",
        string? link = null
    )
    {
        if (client.Length == 0)
            return Own(http, recent);
        if (!visitors.Opens(client, link))
            return Own(http, recent, "The link does not open these requests; it ends when the sandbox stops.");
        return PageResult.Of<RequestsPage>(
            new
            {
                Client = client,
                Query = $"?client={Uri.EscapeDataString(client)}&link={link}",
                Verified = recent.OfClient(client, isVerified: true),
                Unverified = recent.OfClient(client, isVerified: false),
                // Nobody can prove to be their sender. The demo's link is in the log, so its holder runs the sandbox.
                Nameless = client == DemoMerchant.ClientId ? recent.OfClient("", isVerified: false) : null,
            }
        );
    }

    private static IResult Own(HttpContext http, RecentRequests recent, string said = "") =>
        PageResult.Of<RequestsPage>(
            new { Said = said, Own = recent.OfVisitor(Visitors.Of(http)) },
            said.Length == 0 ? StatusCodes.Status200OK : StatusCodes.Status403Forbidden
        );

    private static IResult Ask(HttpContext http, RecentRequests recent, Visitors visitors, string client = "") =>
        ClientId.IsWellFormed(client)
            ? PageResult.Of<RequestsPage>(
                new
                {
                    Own = recent.OfVisitor(Visitors.Of(http)),
                    Asked = client,
                    Challenge = visitors.Challenge(client),
                }
            )
            : Own(http, recent, "The text is no Client-Id.");

    private static async Task<IResult> Open(
        HttpContext http,
        RecentRequests recent,
        Visitors visitors,
        IClients clients,
        TimeProvider time
    )
    {
        var (clientId, signature) = (http.Field("client"), http.Field("signature"));
        return
            ClientId.IsWellFormed(clientId)
            && await clients.Find(new ClientId(clientId), http.RequestAborted) is { } client
            && visitors.IsSignedBy(client, signature, time.GetUtcNow())
            ? Results.LocalRedirect(visitors.LinkTo(clientId))
            : Own(http, recent, "No active key of the client has signed the text.");
    }

    private static async Task<IResult> Find(
        HttpContext http,
        int number,
        RecentRequests recent,
        Visitors visitors,
        IClients clients,
        RequestDoctor doctor,
        string client = "",
        string? link = null
    )
    {
        IEnumerable<RecentRequest> seen =
            client.Length == 0 ? recent.OfVisitor(Visitors.Of(http))
            : !visitors.Opens(client, link) ? []
            : recent
                .OfClient(client, isVerified: true)
                .Concat(recent.OfClient(client, isVerified: false))
                .Concat(client == DemoMerchant.ClientId ? recent.OfClient("", isVerified: false) : []);
        if (seen.FirstOrDefault(kept => kept.Number == number) is not { } kept)
            return PageResult.Of<RequestPage>(new { }, StatusCodes.Status404NotFound);
        var sender = await Sender(kept.Request, clients, http.RequestAborted);
        var diagnosis = doctor.Examine(kept.Request, sender, kept.CameAt, cameNow: true);
        return PageResult.Of<RequestPage>(new { Kept = kept, Diagnosis = diagnosis });
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
}
