using Microsoft.AspNetCore.Http.HttpResults;

namespace CancelService.Api.Internal;

/// <summary>A stand-in until the internal API is merged.</summary>
public static class Problems
{
    /// <summary>400: the request is malformed; the detail names the field.</summary>
    public static ProblemHttpResult Invalid(string? detail) =>
        Of(StatusCodes.Status400BadRequest, "invalid-request", "The request is malformed", detail);

    /// <summary>404: there is no such thing.</summary>
    public static ProblemHttpResult NotFound(string what) =>
        Of(StatusCodes.Status404NotFound, "not-found", $"There is no such {what}", $"Check the {what} in the path.");

    /// <summary>A problem.</summary>
    public static ProblemHttpResult Of(int status, string type, string title, string? detail) =>
        TypedResults.Problem(detail, statusCode: status, title: title, type: $"urn:cancelservice:{type}");
}

/// <summary>A stand-in until the internal API is merged.</summary>
public static class Scopes
{
    /// <summary>Read payments, feeds and notifications.</summary>
    public const string PaymentsRead = "payments:read";

    /// <summary>Register payments, report events, queue notifications again.</summary>
    public const string PaymentsWrite = "payments:write";
}

internal static class Paging
{
    public static int? Size(int? limit) =>
        limit is null ? 100
        : limit is > 0 and <= 500 ? limit
        : null;

    public static ProblemHttpResult BadLimit() => Problems.Invalid("limit must be 1 to 500.");
}
