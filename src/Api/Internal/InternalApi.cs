using System.Globalization;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Sql;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Internal;

/// <summary>The internal API: <c>/internal/v1</c> on the internal port, for JWTs with the right scope.</summary>
public static class InternalApi
{
    /// <summary>Adds authentication, a policy for each scope, JSON and problem details.</summary>
    public static IServiceCollection AddInternalApi(this IServiceCollection services)
    {
        // The framework reads authority, audience and static keys from its section Authentication:Schemes:Bearer.
        services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(BearerTokens.Configure);
        services.AddSingleton<CallLog>();
        var authorization = services.AddAuthorizationBuilder();
        foreach (var scope in Scopes.All)
            authorization.AddPolicy(scope, policy => policy.RequireAssertion(context => context.User.HasScope(scope)));

        services.ConfigureHttpJsonOptions(json => Binding.Configure(json.SerializerOptions));
        // The exception handler needs the cause in every environment.
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        // Server and routing refuse some requests themselves: a body that is too large, too slow or of another content
        // type.
        return services.AddProblemDetails(problems =>
            problems.CustomizeProblemDetails = context =>
            {
                if (
                    context.ProblemDetails is { Status: (400 or 408 or 413 or 415) and { } status, Type: var type }
                    && type?.StartsWith(Problems.TypePrefix, StringComparison.Ordinal) is not true
                )
                    context.ProblemDetails = Problems
                        .Invalid(Binding.Problem(context.HttpContext, status), status)
                        .ProblemDetails;
            }
        );
    }

    /// <summary>Maps every endpoint of the internal API.</summary>
    public static void MapInternalApi(this WebApplication app)
    {
        // The framework would log a stack trace for each call; CallLog throttles.
        app.UseExceptionHandler(
            new ExceptionHandlerOptions { ExceptionHandler = Unknown, SuppressDiagnosticsCallback = _ => true }
        );
        app.UseStatusCodePages();
        app.UseAuthentication();
        app.UseAuthorization();

        var internalApi = app.MapGroup("/internal/v1").AddEndpointFilter(Bounded);
        foreach (var status in new[] { 400, 401, 403, 404, 409, 422, 503 })
            internalApi.ProducesProblem(status);
        internalApi.MapPayments();
        internalApi.MapCancellations();
        internalApi.MapClients();
        internalApi.MapChanges();
        internalApi.MapAccounts();
        internalApi.MapNotifications();
        internalApi.MapDiagnose();
    }

    // As on the public port, a caller gets an answer within Database:Timeout, and repeats the request.
    private static async ValueTask<object?> Bounded(
        EndpointFilterInvocationContext context,
        EndpointFilterDelegate next
    )
    {
        var timeout = context.HttpContext.RequestServices.GetRequiredService<IOptions<DatabaseOptions>>().Value.Timeout;
        try
        {
            return await next(context).AsTask().WaitAsync(timeout);
        }
        catch (TimeoutException e)
        {
            context
                .HttpContext.RequestServices.GetRequiredService<CallLog>()
                .OutcomeUnknown(e, context.HttpContext.GetEndpoint(), context.HttpContext);
            return Problems.OutcomeUnknown();
        }
    }

    private static Task Unknown(HttpContext http)
    {
        var failure = http.Features.Get<IExceptionHandlerFeature>();
        if (failure?.Error is BadHttpRequestException bad)
            return Problems.Invalid(Binding.Problem(bad, failure.Endpoint), bad.StatusCode).ExecuteAsync(http);
        if (failure is not null)
            http.RequestServices.GetRequiredService<CallLog>().OutcomeUnknown(failure.Error, failure.Endpoint, http);
        return Problems.OutcomeUnknown().ExecuteAsync(http);
    }
}

/// <summary>Checks the parameters of lists.</summary>
internal static class Paging
{
    private const int MaxSize = 500;

    public static int? Size(int? limit) =>
        limit is null ? 100
        : limit is > 0 and <= MaxSize ? limit
        : null;

    public static ProblemHttpResult BadLimit() =>
        Problems.Invalid(string.Create(CultureInfo.InvariantCulture, $"limit must be 1 to {MaxSize}."));

    /// <summary>400: no page gave this cursor.</summary>
    public static ProblemHttpResult BadCursor() => Problems.Invalid("after must be the next of an earlier page.");
}
