using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CancelService.Pages;

/// <summary>Reads forms. A form that is not wholly understood is refused, and never read as an empty one.</summary>
public static class PageForms
{
    /// <summary>The most fields of a form, the antiforgery token included.</summary>
    public const int MaxFields = 100;

    private const int MaxName = 100;
    private const int MaxValue = 512 * 1024;
    private const string MediaType = "application/x-www-form-urlencoded";

    private static readonly FormOptions Limits = new()
    {
        ValueCountLimit = MaxFields,
        KeyLengthLimit = MaxName,
        ValueLengthLimit = MaxValue,
    };

    /// <summary>A field of the form that <see cref="PageSecurity"/> has read; empty when it was not sent.</summary>
    public static string Field(this HttpContext http, string name)
    {
        ArgumentNullException.ThrowIfNull(http);
        return http.Request.Form[name].ToString();
    }

    /// <summary>Reads the form of a request.</summary>
    /// <returns>The problem and its status; null when the form was read.</returns>
    internal static async Task<(string Problem, int Status)?> Read(HttpContext http)
    {
        if (http.Request.ContentType?.Split(';')[0].Trim() is not { } type || !IsForm(type))
            return ($"The request is no form. Send it as {MediaType}.", StatusCodes.Status400BadRequest);
        http.Features.Set<IFormFeature>(new FormFeature(http.Request, Limits));
        try
        {
            var form = await http.Request.ReadFormAsync(http.RequestAborted);
            return Problem(form) is { } problem ? (problem, StatusCodes.Status400BadRequest) : null;
        }
        catch (BadHttpRequestException e)
        {
            return ("The form could not be received.", e.StatusCode);
        }
        // The reader reports bad escapes, a NUL and exceeded limits by these.
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException)
        {
            return (
                $"The form can't be read. It may have {MaxFields} fields of {MaxValue / 1024} KiB of text.",
                StatusCodes.Status400BadRequest
            );
        }
    }

    private static bool IsForm(string type) => type.Equals(MediaType, StringComparison.OrdinalIgnoreCase);

    private static string? Problem(IFormCollection form) =>
        form.Any(field => HasNul(field.Key) || field.Value.Any(HasNul))
            ? "A field contains the character NUL. Remove it."
        : form.FirstOrDefault(field => field.Value.Count > 1) is { Key: { } twice }
            ? $"The field '{twice}' was sent more than once. Send it once."
        : null;

    private static bool HasNul(string? text) => text?.Contains('\0', StringComparison.Ordinal) is true;
}
