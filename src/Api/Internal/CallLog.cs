using CancelService.Api.Failures;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Internal;

/// <summary>Logs the causes of the internal API's 503, throttled to one line a cause in ten seconds.</summary>
public sealed partial class CallLog(IOptions<DatabaseOptions> options, TimeProvider time, ILogger<CallLog> log)
{
    private readonly Throttle _throttle = new(time);

    /// <summary>Logs the cause of an unknown outcome, with the stack trace of a possible defect.</summary>
    public void OutcomeUnknown(Exception failure, Endpoint? endpoint, HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        var cause = UnknownCause.Of(failure, options.Value.Timeout);
        if (_throttle.IsDue(cause.Text, out var more))
            OutcomeUnknown(
                cause.NeedsTrace ? failure : null,
                cause.Text,
                more,
                http.Request.Method,
                (endpoint as RouteEndpoint)?.RoutePattern.RawText ?? "",
                http.TraceIdentifier
            );
    }

    [LoggerMessage(
        LogLevel.Error,
        "The outcome of internal calls is unknown: {Cause}. {More} more since the last such line; now "
            + "{Method} {Route}, trace {TraceId}"
    )]
    private partial void OutcomeUnknown(
        Exception? exception,
        string cause,
        int more,
        string method,
        string route,
        string traceId
    );
}
