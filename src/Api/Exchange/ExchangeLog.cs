using CancelService.Api.Failures;
using CancelService.Protocol;

namespace CancelService.Api.Exchange;

/// <summary>
/// The log of the public port: one line an answer. Floods (a cause of UNKNOWN_EXCEPTION, a limit that turns requests
/// away) are throttled to their first line, then one line with a count every ten seconds.
/// </summary>
public sealed partial class ExchangeLog(TimeProvider time, ILogger<ExchangeLog> log)
{
    private readonly Throttle _throttle = new(time);

    /// <summary>Logs an answer.</summary>
    public void Answered(Answer answer, Envelope envelope, TimeSpan duration)
    {
        ArgumentNullException.ThrowIfNull(answer);
        ArgumentNullException.ThrowIfNull(envelope);
        Answered(
            answer.Code == ResultCode.UnknownException ? LogLevel.Warning : LogLevel.Information,
            answer.Code.Code,
            envelope.ClientId,
            answer.KeyVersion,
            envelope.Operation,
            answer.PaymentId,
            answer.PaymentRequestId,
            duration.TotalMilliseconds,
            envelope.TraceId,
            answer.Reason
        );
    }

    /// <summary>Logs the cause of an unknown outcome, with the stack trace of a possible defect.</summary>
    public void OutcomeUnknown(UnknownCause cause, Exception failure, Envelope envelope)
    {
        ArgumentNullException.ThrowIfNull(cause);
        ArgumentNullException.ThrowIfNull(envelope);
        if (_throttle.IsDue(cause.Text, out var more))
            OutcomeUnknown(cause.NeedsTrace ? failure : null, cause.Text, more, envelope.ClientId, envelope.TraceId);
    }

    /// <summary>Logs a plain 503.</summary>
    public void TurnedAway(string limit, Envelope envelope)
    {
        ArgumentNullException.ThrowIfNull(envelope);
        if (_throttle.IsDue(limit, out var more))
            TurnedAway(limit, more, envelope.ClientId, envelope.TraceId);
    }

    [LoggerMessage(
        Message = "Answered {Code} to {ClientId}, key {KeyVersion}, {Operation} of payment {PaymentId}, "
            + "request {PaymentRequestId}, in {DurationMs:0.0} ms, trace {TraceId}. {Reason}"
    )]
    private partial void Answered(
        LogLevel level,
        string code,
        string clientId,
        int? keyVersion,
        string operation,
        string? paymentId,
        string? paymentRequestId,
        double durationMs,
        string traceId,
        string reason
    );

    [LoggerMessage(
        LogLevel.Error,
        "Outcomes are unknown: {Cause}. {More} more since the last such line; now client {ClientId}, trace {TraceId}"
    )]
    private partial void OutcomeUnknown(Exception? exception, string cause, int more, string clientId, string traceId);

    [LoggerMessage(
        LogLevel.Warning,
        "Turned away with 503: {Limit} is reached. {More} more since the last such line; now client "
            + "{ClientId}, trace {TraceId}"
    )]
    private partial void TurnedAway(string limit, int more, string clientId, string traceId);
}
