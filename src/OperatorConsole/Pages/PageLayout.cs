using System.Security.Cryptography;
using System.Text;

namespace CancelService.OperatorConsole.Pages;

/// <summary>
/// What the pages of the internal port have in common. They are made on the server, work without script, and load nothing: the
/// Content-Security-Policy allows their own style sheet and nothing else.
/// </summary>
internal static class PageLayout
{
    private const string Css = """
        :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --ink: #1b1b1f; --back: #fff; --line: #767680; --s: #1a7f4b; --f: #6b6b76; --u: #b3261e; --n: #8a5a00; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e8e8ee; --back: #17171b; --line: #8e8e99; --s: #5fd39a; --f: #a9a9b6; --u: #ff8f86; --n: #f0b34a; } a { color: #9cc4ff; } }
        body { max-width: 72rem; margin: 0 auto; padding: 1rem; color: var(--ink); background: var(--back); overflow-wrap: anywhere; }
        nav a { margin-right: .75rem; }
        label { display: block; margin-top: .75rem; font-weight: 600; }
        input, select, textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .4rem; }
        textarea, pre, code { font-family: ui-monospace, monospace; font-size: .875rem; }
        button { margin-top: .5rem; padding: .4rem 1.25rem; font: inherit; }
        pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: .25rem; white-space: pre-wrap; word-break: break-all; }
        .wide { overflow-x: auto; } .wide table { min-width: 44rem; } .wide td, .wide th { overflow-wrap: break-word; }
        table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
        td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
        .wrong { font-weight: 700; color: var(--u); } .good { font-weight: 700; color: var(--s); }
        svg { width: 100%; height: 8rem; } .axis { stroke: var(--line); } .swatch { display: inline-block; width: .75rem; height: .75rem; }
        .s { fill: var(--s); background: var(--s); } .f { fill: var(--f); background: var(--f); } .u { fill: var(--u); background: var(--u); } .n { fill: var(--n); background: var(--n); }
        """;

    private static readonly string Style =
        $"style-src 'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Css)))}'";

    /// <summary>A page of the sandbox or of operations.</summary>
    /// <param name="site">What the page belongs to; the heading of all its pages.</param>
    /// <param name="title">What the page is about.</param>
    /// <param name="navigation">The links to its other pages.</param>
    /// <param name="content">The page.</param>
    public static string Of(string site, string title, Html navigation, Html content) =>
        Html.Of(
            $"""
            <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{title} - {site}</title><style>{new Html(Css)}</style></head><body>
            <header><h1>{site}</h1><nav aria-label="Pages">{navigation}</nav></header>
            <main>{content}</main></body></html>
            """
        ).Text;

    /// <summary>The answer that holds a page.</summary>
    public static IResult Answer(string page, int status = StatusCodes.Status200OK) =>
        Results.Content(page, "text/html; charset=utf-8", statusCode: status);

    /// <summary>Another site's page can't send the forms in somebody's browser, and no page may frame or extend these.</summary>
    public static async ValueTask<object?> FromHere(
        EndpointFilterInvocationContext context,
        EndpointFilterDelegate next
    )
    {
        var http = context.HttpContext;
        var isForm = HttpMethods.IsPost(http.Request.Method); // A link from elsewhere is welcome.
        if (isForm && http.Request.Headers["Sec-Fetch-Site"] is [{ } site] && site is not ("same-origin" or "none"))
            return Results.StatusCode(StatusCodes.Status403Forbidden);
        Protect(http);
        return await next(context);
    }

    /// <summary>Sets the headers that keep a page to itself.</summary>
    public static void Protect(HttpContext http)
    {
        http.Response.Headers.ContentSecurityPolicy =
            $"default-src 'none'; {Style}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        http.Response.Headers["Referrer-Policy"] = "no-referrer";
        http.Response.Headers.CacheControl = "no-store";
    }

    /// <summary>A form as it was sent; one that can't be read (a NUL, too long a field) is an empty one.</summary>
    public static async Task<IFormCollection> Form(HttpContext http)
    {
        try
        {
            return await http.Request.ReadFormAsync(http.RequestAborted);
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException)
        {
            return FormCollection.Empty;
        }
    }
}
