using System.Text;
using System.Text.Json;
using CancelService.Api.Internal;
using CancelService.Api.Operations.Cancel;
using CancelService.Application.Clients;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.Pages;
using CancelService.Sandbox.Demo;
using CancelService.Sandbox.Pages;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

namespace CancelService.Sandbox.Endpoints;

/// <summary>
/// The pages for a merchant's developer, on the internal port alone. The first one cancels a payment of the demo
/// wallet, rightly or with a mistake that the developer chooses, and shows the answer and the diagnosis.
/// </summary>
internal static class SandboxEndpoints
{
    /// <summary>Maps the pages, and says in the log where they are.</summary>
    /// <param name="app">The host.</param>
    /// <param name="isFilled">True once the demo wallet is there.</param>
    public static void MapSandbox(this WebApplication app, Func<bool> isFilled)
    {
        var all = app.MapGroup("").ExcludeFromDescription().AddPageSecurity(allowsScript: true);
        all.MapSandboxFiles();
        SandboxPage.Script.Map(app);
        var pages = all.MapGroup("/sandbox")
            .AddEndpointFilter(
                // The ports are open a second before the demo wallet is filled.
                async (context, next) =>
                    isFilled()
                        ? await next(context)
                        : PageResult.Of<MessagePage>(
                            new { Text = "The demo wallet is being filled. Load the page again in a second." },
                            StatusCodes.Status503ServiceUnavailable
                        )
            )
            .AddEndpointFilter(KeepToOwnDatabase);
        pages.MapGet("/", Start);
        pages.MapPost("/payments", AddPayments);
        pages.MapPost("/cancel", Cancel);
        pages.MapPost("/send", (Delegate)Send);
        pages.MapKeys();
        pages.MapCore();
        pages.MapScenarios();
        pages.MapDoctor();
        pages.MapEvents();
        app.Lifetime.ApplicationStarted.Register(() =>
        {
            var address = Address(app.Services, 0);
            app.Logger.SandboxIsAt(new Uri(address, "/sandbox"));
            var visitors = app.Services.GetRequiredService<Visitors>();
            app.Logger.RequestsAreAt(DemoMerchant.ClientId, new Uri(address, visitors.LinkTo(DemoMerchant.ClientId)));
        });
    }

    // Writes check the mark in their own transaction; this says it before, and to scenarios that write nothing.
    private static async ValueTask<object?> KeepToOwnDatabase(
        EndpointFilterInvocationContext context,
        EndpointFilterDelegate next
    )
    {
        var http = context.HttpContext;
        return
            !HttpMethods.IsPost(http.Request.Method)
            || await http.RequestServices.GetRequiredService<SandboxDatabase>().IsOwn(http.RequestAborted)
            ? await next(context)
            : PageResult.Of<MessagePage>(new { Text = SandboxDatabase.Refusal }, StatusCodes.Status409Conflict);
    }

    private static IResult Start(string id = "demo-success", string set = DemoWallet.FirstPrefix) =>
        PageResult.Of<StartPage>(new { Id = id, Set = set });

    // Each payment can be cancelled once, and only for a day or two: so there are more.
    private static async Task<IResult> AddPayments(
        HttpContext http,
        DemoWallet wallet,
        CancellationToken cancellationToken
    )
    {
        var set = await wallet.AddPayments(cancellationToken);
        return Results.LocalRedirect($"/sandbox?id={set}success&set={set}");
    }

    private static async Task<IResult> Cancel(HttpContext http, DemoMerchant merchant)
    {
        var (id, extendInfo, mistake) = (http.Field("id"), http.Field("extendInfo"), http.Field("mistake"));
        var member = id.StartsWith("req-", StringComparison.Ordinal) ? "paymentRequestId" : "paymentId";
        var json = JsonSerializer.Serialize(
            extendInfo.Length == 0
                ? new Dictionary<string, string>(StringComparer.Ordinal) { [member] = id }
                : new Dictionary<string, string>(StringComparer.Ordinal) { [member] = id, ["extendInfo"] = extendInfo }
        );
        var request = merchant.Request(json, Address(http.RequestServices, 1).Authority, mistake);
        return await Sent(http, request, id, isOfBrowser: false, extendInfo, mistake);
    }

    // The browser has signed it with a key of its own.
    private static async Task<IResult> Send(HttpContext http)
    {
        var (time, version, signature) = (http.Field("time"), http.Field("version"), http.Field("signature"));
        if ($"{time}{version}{signature}".Any(char.IsControl))
            return PageResult.Of<MessagePage>(new { Title = "A cancel", Text = "A header holds no line break." });
        var request = DemoMerchant.Request(
            http.Field("body"),
            Address(http.RequestServices, 1).Authority,
            time,
            version,
            signature
        );
        return await Sent(http, request, http.Field("id"), isOfBrowser: true);
    }

    private static async Task<IResult> Sent(
        HttpContext http,
        byte[] request,
        string id,
        bool isOfBrowser,
        string extendInfo = "",
        string mistake = ""
    )
    {
        var services = http.RequestServices;
        var (merchant, keys) = (services.GetRequiredService<DemoMerchant>(), services.GetRequiredService<DemoKeys>());
        var address = Address(services, 1);
        var answer = await merchant.Send(request, address, Visitors.Of(http), http.RequestAborted);
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
        return PageResult.Of<SentPage>(
            new
            {
                Id = id,
                Request = Encoding.UTF8.GetString(request),
                Answer = answer,
                Verdict = merchant.Verify(answer, request),
                Diagnosis = diagnosis,
                Environment = $"URL={new Uri(address, CancelOperation.Route)}"
                    + $" MERCHANT_KEY={SentPage.Quoted(keys.MerchantPrivateKeyPath)}"
                    + $" WALLET_KEY={SentPage.Quoted(Path.Combine(keys.Directory, "wallet-public.pem"))}",
                IsOfBrowser = isOfBrowser,
                ExtendInfo = extendInfo,
                Mistake = mistake,
            }
        );
    }

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
}

/// <summary>The log's lines of the sandbox.</summary>
internal static partial class SandboxLog
{
    [LoggerMessage(
        LogLevel.Information,
        "Open {Address} in a browser: the sandbox cancels demo payments, and names the mistake in a request"
    )]
    public static partial void SandboxIsAt(this ILogger log, Uri address);

    [LoggerMessage(LogLevel.Information, "Recent requests of {ClientId}, for holders of this link: {Address}")]
    public static partial void RequestsAreAt(this ILogger log, string clientId, Uri address);
}
