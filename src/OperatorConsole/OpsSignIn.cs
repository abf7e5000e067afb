using System.Security.Claims;
using CancelService.Infrastructure.Operators;
using CancelService.OperatorConsole.Components;
using CancelService.Pages;
using Microsoft.AspNetCore.Authentication;

namespace CancelService.OperatorConsole;

/// <summary>The pages on which an operator signs in and out.</summary>
internal static class OpsSignIn
{
    private const string BadLink =
        "The link was not made by this service, is older than five minutes, or was used before. "
        + "Run the command ops-link for another.";

    private const string OpenIdFailed =
        "Signing in failed: the provider refused it, or the internal API does not accept the provider's token.";

    /// <summary>Maps the pages.</summary>
    public static void MapOpsSignIn(this WebApplication app)
    {
        var pages = app.MapGroup("/ops").ExcludeFromDescription().AddPageSecurity();
        pages.MapGet("/sign-in", SignInPage);
        pages.MapPost("/sign-in", SignIn);
        pages.MapGet("/sign-in/openid", OpenId);
        pages.MapPost("/sign-out", SignOut).RequireAuthorization(OpsSession.IsSignedIn);
    }

    /// <summary>Tells a signed-in operator that a scope is missing.</summary>
    public static Task Denied(HttpContext http)
    {
        PageSecurity.SetHeaders(http);
        return PageResult.Of<DeniedPage>(status: StatusCodes.Status403Forbidden).ExecuteAsync(http);
    }

    /// <summary>Tells that a session can't be checked, because the database does not answer.</summary>
    public static Task Unavailable(HttpContext http, string problem)
    {
        PageSecurity.SetHeaders(http);
        return NoAnswer($"Your session can't be checked: {problem}. Load the page again.").ExecuteAsync(http);
    }

    private static async Task<IResult> SignInPage(string? link, bool? failed, IAuthenticationSchemeProvider schemes) =>
        link is not null
            ? PageResult.Of<LinkPage>(new { Link = link })
            : await Page(schemes, failed is true ? OpenIdFailed : null);

    private static async Task<IResult> SignIn(
        HttpContext http,
        OpsLinks links,
        IAuthenticationSchemeProvider schemes,
        ConsoleHost host
    )
    {
        ClaimsIdentity? session;
        try
        {
            session = await links.Use(http.Field("link"), http.RequestAborted).WaitAsync(host.Timeout);
        }
        catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
        {
            return NoAnswer($"The link can't be checked: {host.Explain(e, host.Timeout)}. Open it again.");
        }
        if (session is null)
            return await Page(schemes, BadLink, StatusCodes.Status400BadRequest);
        await http.SignInAsync(OpsSession.Cookie, new ClaimsPrincipal(session));
        return Results.Redirect("/ops");
    }

    private static async Task<IResult> OpenId(IAuthenticationSchemeProvider schemes) =>
        await schemes.GetSchemeAsync(OpsSession.OpenId) is null
            ? Results.Redirect(OpsSession.SignInPath)
            : Results.Challenge(new AuthenticationProperties { RedirectUri = "/ops" }, [OpsSession.OpenId]);

    private static async Task<IResult> SignOut(HttpContext http, OperatorSessions sessions, ConsoleHost host)
    {
        try
        {
            await OpsSession.End(http, sessions).WaitAsync(host.Timeout);
            return Results.Redirect(OpsSession.SignInPath);
        }
        catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
        {
            return NoAnswer($"You are still signed in: {host.Explain(e, host.Timeout)}. Sign out again.");
        }
    }

    private static IResult NoAnswer(string text) =>
        PageResult.Of<MessagePage>(
            new
            {
                Title = "No answer",
                Text = text,
                IsWrong = true,
            },
            StatusCodes.Status503ServiceUnavailable
        );

    private static async Task<IResult> Page(
        IAuthenticationSchemeProvider schemes,
        string? problem,
        int status = StatusCodes.Status200OK
    ) =>
        PageResult.Of<SignInPage>(
            new { HasOpenId = await schemes.GetSchemeAsync(OpsSession.OpenId) is not null, Problem = problem },
            status
        );
}
