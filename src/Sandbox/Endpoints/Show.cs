using CancelService.Sandbox.Layout;
using CancelService.Sandbox.Pages;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Sandbox.Endpoints;

/// <summary>Answers with pages, and guards and reads their forms.</summary>
internal static class Show
{
    /// <summary>Renders a page on the server.</summary>
    /// <typeparam name="T">The page.</typeparam>
    /// <param name="parameters">Its parameters, by name.</param>
    /// <param name="status">The HTTP status.</param>
    public static IResult Page<T>(object parameters, int status = StatusCodes.Status200OK)
        where T : IComponent => new RazorComponentResult<T>(parameters) { StatusCode = status };

    /// <summary>Keeps pages to themselves, and refuses forms from elsewhere and forms that can't be read.</summary>
    public static async ValueTask<object?> Guard(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var headers = http.Response.Headers;
        headers.ContentSecurityPolicy = PageAssets.Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-store";
        return HttpMethods.IsPost(http.Request.Method) && await Problem(http) is { } refused
            ? refused
            : await next(context);
    }

    /// <summary>The form of a request that <see cref="Guard"/> has let through.</summary>
    public static Task<IFormCollection> Form(HttpContext http) => http.Request.ReadFormAsync(http.RequestAborted);

    /// <summary>A field of a form; empty when it was not sent.</summary>
    public static string Field(IFormCollection form, string name) => form[name].ToString();

    private static async Task<IResult?> Problem(HttpContext http)
    {
        // A browser names the site that sends a form. The token is for browsers that don't.
        if (http.Request.Headers["Sec-Fetch-Site"] is [{ } site] && site is not ("same-origin" or "none"))
            return Refused("Another site has sent this form.", StatusCodes.Status403Forbidden);
        try
        {
            await http.Request.ReadFormAsync(http.RequestAborted);
            await http.RequestServices.GetRequiredService<IAntiforgery>().ValidateRequestAsync(http);
            return null;
        }
        catch (AntiforgeryValidationException)
        {
            return Refused("The form is too old. Load its page again.", StatusCodes.Status400BadRequest);
        }
        catch (BadHttpRequestException e)
        {
            return Refused("The form can't be read.", e.StatusCode);
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException)
        {
            return Refused("The form can't be read.", StatusCodes.Status400BadRequest);
        }
    }

    private static IResult Refused(string text, int status) =>
        Page<MessagePage>(new { Title = "A form", Text = text }, status);
}
