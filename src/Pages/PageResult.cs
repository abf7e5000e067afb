using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Pages;

/// <summary>Returns components as pages, rendered on the server once.</summary>
public static class PageResult
{
    /// <summary>Returns a component as a page.</summary>
    /// <typeparam name="TPage">The component, which renders a whole document.</typeparam>
    /// <param name="parameters">An object with the component's parameters as properties; none by default.</param>
    /// <param name="status">The HTTP status.</param>
    public static IResult Of<TPage>(object? parameters = null, int status = StatusCodes.Status200OK)
        where TPage : IComponent =>
        new RazorComponentResult<TPage>(parameters ?? new { })
        {
            StatusCode = status,
            PreventStreamingRendering = true, // Streaming would add a script.
        };
}
