using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.Pages;

/// <summary>
/// The security of pages: headers that keep other sites out, and forms that are accepted from the site's own pages
/// only.
/// </summary>
public static class PageSecurity
{
    /// <summary>Adds what pages need: components, and the antiforgery token of forms.</summary>
    public static IServiceCollection AddPages(this IServiceCollection services)
    {
        services.AddRazorComponents();
        return services.AddAntiforgery(antiforgery =>
        {
            antiforgery.Cookie.Name = "cancelservice-form";
            antiforgery.Cookie.Path = "/"; // Every site of the port has forms.
            antiforgery.Cookie.HttpOnly = true;
            antiforgery.Cookie.SameSite = SameSiteMode.Strict;
            antiforgery.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
            antiforgery.SuppressXFrameOptionsHeader = true; // The policy has frame-ancestors.
        });
    }

    /// <summary>Secures the pages of a group.</summary>
    /// <param name="pages">The group.</param>
    /// <param name="allowsScript">True for pages with scripts, which are <see cref="PageAsset"/>s.</param>
    public static RouteGroupBuilder AddPageSecurity(this RouteGroupBuilder pages, bool allowsScript = false) =>
        pages.AddEndpointFilter((context, next) => Secure(context, next, allowsScript));

    /// <summary>Sets the headers of a page.</summary>
    public static void SetHeaders(HttpContext http, bool allowsScript = false)
    {
        ArgumentNullException.ThrowIfNull(http);
        var headers = http.Response.Headers;
        headers.ContentSecurityPolicy =
            $"default-src 'none'; style-src 'self'; {(allowsScript ? "script-src 'self'; " : "")}"
            + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        // Not no-referrer: with it, browsers send "Origin: null" with the site's own forms.
        headers["Referrer-Policy"] = "same-origin";
        headers.CacheControl = "no-cache, no-store";
    }

    private static async ValueTask<object?> Secure(
        EndpointFilterInvocationContext context,
        EndpointFilterDelegate next,
        bool allowsScript
    )
    {
        var http = context.HttpContext;
        SetHeaders(http, allowsScript);
        if (http.RequestServices.GetService<PageHosts>()?.Problem(http.Request.Host) is { } host)
            return Refuse(host, StatusCodes.Status400BadRequest);
        if (HttpMethods.IsPost(http.Request.Method) && await FormProblem(http) is var (problem, status))
            return Refuse(problem, status);
        return await next(context);
    }

    private static IResult Refuse(string problem, int status) =>
        PageResult.Of<RefusalPage>(new { Text = problem }, status);

    private static async Task<(string Problem, int Status)?> FormProblem(HttpContext http)
    {
        // Browsers never add a bearer token by themselves, so no other site can send one.
        var isTokenCall = HasBearerToken(http.Request);
        if (!isTokenCall && !IsSameOrigin(http.Request))
            return (
                "The form was not sent by a page of this address. Open the page at the address that you post to; "
                    + "behind a proxy, configure ForwardedHeaders.",
                StatusCodes.Status403Forbidden
            );
        if (await PageForms.Read(http) is { } problem)
            return problem;
        var antiforgery = http.RequestServices.GetRequiredService<IAntiforgery>();
        return isTokenCall || await antiforgery.IsRequestValidAsync(http)
            ? null
            : (
                "The form is out of date. Load its page again, and send it from there.",
                StatusCodes.Status400BadRequest
            );
    }

    /// <summary>True when the request carries a bearer token, so that no cookie counts.</summary>
    public static bool HasBearerToken(HttpRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.Headers.Authorization is [{ } value]
            && value.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase);
    }

    // Over plain http, browsers send Sec-Fetch-Site to localhost only; they send Origin with every form.
    private static bool IsSameOrigin(HttpRequest request) =>
        request.Headers["Sec-Fetch-Site"] switch
        {
            [] => request.Headers.Origin is [{ } origin] && IsOwn(origin, request),
            ["same-origin" or "none"] => true,
            _ => false,
        };

    private static bool IsOwn(string origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var from)
        && Uri.TryCreate($"{request.Scheme}://{request.Host}", UriKind.Absolute, out var here)
        && from.Scheme == here.Scheme
        && from.Port == here.Port
        && from.IdnHost.Equals(here.IdnHost, StringComparison.OrdinalIgnoreCase);
}
