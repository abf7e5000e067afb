using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Sandbox.Endpoints;

/// <summary>Answers with pages, and reads their forms.</summary>
internal static class Show
{
    /// <summary>Renders a page on the server.</summary>
    /// <typeparam name="T">The page.</typeparam>
    /// <param name="parameters">Its parameters, by name.</param>
    /// <param name="status">The HTTP status.</param>
    public static IResult Page<T>(object parameters, int status = StatusCodes.Status200OK)
        where T : IComponent => new RazorComponentResult<T>(parameters) { StatusCode = status };

    /// <summary>Reads a form.</summary>
    public static Task<IFormCollection> Form(HttpContext http) => http.Request.ReadFormAsync(http.RequestAborted);

    /// <summary>A field of a form; empty when it was not sent.</summary>
    public static string Field(IFormCollection form, string name) => form[name].ToString();
}
