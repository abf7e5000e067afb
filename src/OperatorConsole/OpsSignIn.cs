using System.Security.Claims;
using CancelService.Application.Pipeline;
using CancelService.OperatorConsole.Pages;
using Microsoft.AspNetCore.Authentication;

namespace CancelService.OperatorConsole;

/// <summary>The pages on which an operator signs in and out.</summary>
internal static class OpsSignIn
{
    /// <summary>Maps the pages.</summary>
    public static void MapOpsSignIn(this WebApplication app)
    {
        var pages = app.MapGroup("/ops").ExcludeFromDescription().AddEndpointFilter(PageLayout.FromHere);
        pages.MapGet("/sign-in", SignInPage);
        pages.MapPost("/sign-in", SignIn).DisableAntiforgery();
        pages.MapGet("/sign-in/openid", OpenId);
        pages.MapPost("/sign-out", (Delegate)SignOut).DisableAntiforgery();
    }

    /// <summary>Tells a caller who is signed in which scope is missing.</summary>
    public static Task Denied(HttpContext http)
    {
        PageLayout.Protect(http);
        return Page(
                "Not allowed",
                Html.Of(
                    $"<p>You are signed in as {http.User.Actor()}, without the scope that this needs. To see the pages takes {Scopes.PaymentsRead} and {Scopes.ClientsRead}, to queue events again {Scopes.PaymentsWrite}.</p>{SignOutForm}"
                ),
                StatusCodes.Status403Forbidden
            )
            .ExecuteAsync(http);
    }

    /// <summary>The button that signs out.</summary>
    public static Html SignOutForm =>
        Html.Of($"<form method=\"post\" action=\"/ops/sign-out\"><button>Sign out</button></form>");

    // Opening a link does nothing yet, so that a program that looks at links for its user does not use it up.
    private static async Task<IResult> SignInPage(string? link, bool? failed, IAuthenticationSchemeProvider schemes)
    {
        if (link is not null)
            return Page(
                "Sign in",
                Html.Of(
                    $"<form method=\"post\" action=\"/ops/sign-in\"><input type=\"hidden\" name=\"link\" value=\"{link}\"><button>Sign in</button></form>"
                )
            );
        var openId = await schemes.GetSchemeAsync(OpsSession.OpenId) is not null;
        return Page(
            "Sign in",
            Html.Of(
                $"""
                {(
                    failed is true
                        ? Html.Of(
                            $"<p class=\"wrong\">That did not work: the provider refused, or its token is not one of the internal API.</p>"
                        )
                        : default
                )}
                {(
                    openId
                        ? Html.Of($"<p><a href=\"/ops/sign-in/openid\">Sign in at the OpenID provider</a></p>")
                        : default
                )}
                <p>Beside an instance, this command prints a link that signs in once, within five minutes:</p>
                <pre>dotnet CancelService.Api.dll ops-link your-name</pre>
                """
            )
        );
    }

    private static async Task<IResult> SignIn(HttpContext http, OpsLinks links)
    {
        var form = await PageLayout.Form(http);
        if (links.Use(form["link"].ToString()) is not { } identity)
            return Page(
                "Sign in",
                Html.Of(
                    $"<p class=\"wrong\">The link is not one of this service, is older than five minutes, or was used before. The command ops-link prints another.</p>"
                ),
                StatusCodes.Status400BadRequest
            );
        await http.SignInAsync(OpsSession.Cookie, new ClaimsPrincipal(identity));
        return Results.Redirect("/ops");
    }

    private static async Task<IResult> OpenId(IAuthenticationSchemeProvider schemes) =>
        await schemes.GetSchemeAsync(OpsSession.OpenId) is null
            ? Results.Redirect(OpsSession.SignInPath)
            : Results.Challenge(new AuthenticationProperties { RedirectUri = "/ops" }, [OpsSession.OpenId]);

    private static async Task<IResult> SignOut(HttpContext http)
    {
        await http.SignOutAsync(OpsSession.Cookie);
        return Results.Redirect(OpsSession.SignInPath);
    }

    private static IResult Page(string title, Html content, int status = StatusCodes.Status200OK) =>
        PageLayout.Answer(
            PageLayout.Of("CancelService operations", title, default, Html.Of($"<h2>{title}</h2>{content}")),
            status
        );
}
