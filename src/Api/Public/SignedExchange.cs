using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using CancelService.Api.Public.Cancelling;
using CancelService.Application.Clients;
using CancelService.Domain;
using CancelService.Infrastructure.Persistence;
using CancelService.Infrastructure.Signing;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace CancelService.Api.Public;

/// <summary>
/// An exchange on the public port: decides the codes that come before the operation, in their order, hands a verified
/// request to the operation, and signs whatever the answer is. Every answer is HTTP 200.
/// </summary>
public sealed partial class SignedExchange
{
    /// <summary>The largest body that is read, in bytes.</summary>
    public const int MaxBodyBytes = 64 * 1024;

    private readonly HashSet<string> _cancelPaths;
    private readonly CancelEndpoint _cancel;
    private readonly IClients _clients;
    private readonly Admission _admission;
    private readonly WalletKey _walletKey;
    private readonly TimeProvider _time;
    private readonly TimeZoneInfo _zone;
    private readonly TimeSpan _tolerance;
    private readonly TimeSpan _timeout;
    private readonly ApiMetrics _metrics;
    private readonly ILogger<SignedExchange> _log;

    /// <summary>Sets the exchange up; the settings have been validated.</summary>
    public SignedExchange(
        CancelEndpoint cancel,
        IClients clients,
        Admission admission,
        WalletKey walletKey,
        IOptions<ApiOptions> api,
        IOptions<WalletOptions> wallet,
        IOptions<DatabaseOptions> database,
        TimeProvider time,
        ApiMetrics metrics,
        ILogger<SignedExchange> log
    )
    {
        _cancelPaths = api.Value.Paths(CancelEndpoint.Path).ToHashSet(StringComparer.Ordinal);
        _cancel = cancel;
        (_clients, _admission, _walletKey, _time, _metrics, _log) = (clients, admission, walletKey, time, metrics, log);
        _zone = wallet.Value.Zone;
        _tolerance = api.Value.RequestTimeTolerance;
        _timeout = database.Value.Timeout;
    }

    /// <summary>Answers one request, or turns it away with a plain 503 when there is too much to do.</summary>
    public async Task Respond(HttpContext http)
    {
        if (HttpMethods.IsConnect(http.Request.Method)) // HTTP 200 would mean that a tunnel is open.
        {
            http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }

        var started = _time.GetTimestamp();
        var clientId = Echo(http.Request.Headers["Client-Id"]);
        var path = RawPath(http);
        var answer = await Decide(http, clientId, path);
        if (answer is { IsVerified: false } || answer?.Code == ResultCode.RequestTrafficExceedLimit)
            await _admission.HoldBack(http.RequestAborted);
        if (answer is null || (!answer.IsVerified && !_admission.HasTimeForStranger()))
        {
            _metrics.Answered("none", _time.GetElapsedTime(started));
            http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            http.Response.Headers.RetryAfter = "1";
            return;
        }

        var responseTime = Iso8601(_time.GetUtcNow());
        var hash = SignatureScheme.Hash(http.Request.Method, path, clientId, responseTime, answer.Body);
        var response = http.Response;
        // Lower case, literally: two SDKs look these names up as they are spelt here.
        response.Headers["client-id"] = clientId;
        response.Headers["response-time"] = responseTime;
        response.Headers["signature"] = _walletKey.Sign(hash);
        response.ContentType = "application/json; charset=UTF-8";
        response.ContentLength = answer.Body.Length;

        var duration = _time.GetElapsedTime(started);
        _metrics.Answered(answer.Code.Code, duration);
        Answered(
            answer.Code.Code,
            clientId,
            answer.PaymentId,
            answer.PaymentRequestId,
            duration.TotalMilliseconds,
            Activity.Current?.TraceId.ToString() ?? http.TraceIdentifier
        );
        await response.Body.WriteAsync(answer.Body);
    }

    // Null: over capacity.
    private async Task<Answer?> Decide(HttpContext http, string clientId, string path)
    {
        var request = http.Request;
        if (!_cancelPaths.Contains(request.Path.Value ?? ""))
            return Answer.Of(ResultCode.InvalidApi);
        if (request.Method != "POST")
            return Answer.Of(ResultCode.MethodNotSupported);
        if (!MediaTypes.AcceptsJson(request.Headers.Accept) || !MediaTypes.IsJson(request.Headers.ContentType))
            return Answer.Of(ResultCode.MediaTypeNotAcceptable);

        if (request.Headers["Client-Id"].Count == 0)
            return Illegal("The header Client-Id is missing.");
        if (clientId == "")
            return Illegal($"The header Client-Id {ClientId.Rule}.");
        if (request.Headers["Request-Time"] is not [{ } requestTime])
            return Illegal("The header Request-Time must be given, once.");
        if (!RequestTime.TryParse(requestTime, out var sentAt))
            return Illegal(
                "The header Request-Time must be ISO 8601 with an offset, such as 2019-04-04T12:08:56+05:30."
            );
        if ((sentAt - _time.GetUtcNow()).Duration() > _tolerance)
            return Illegal($"The header Request-Time is more than {_tolerance.TotalSeconds} s away from our clock.");
        if (request.Headers["Signature"] is not [{ } header] || !SignatureHeader.TryParse(header, out var signature))
            return Illegal("The header Signature must be algorithm=RSA256, keyVersion=<version>, signature=<text>.");

        var body = await ReadBody(request, http.RequestAborted);
        if (body is null)
            http.Response.Headers.Connection = "close"; // Or the connection could go on pouring in such bodies.
        var signed = body is null ? null : SignatureScheme.Hash(request.Method, path, clientId, requestTime, body);

        if (!_clients.IsKnown(new ClientId(clientId)) && !_admission.MayBeIntroduced())
        {
            await _admission.HoldBack(http.RequestAborted);
            return null;
        }
        using var place = await _admission.Enter();
        if (place is null)
            return null;

        // From here on the database may be asked. An answer that it does not allow in time is U, and the outcome of
        // whatever is still under way is unknown.
        using var timeout = new CancellationTokenSource(_timeout);
        try
        {
            return await Verified(new ClientId(clientId), signature, signed, body, timeout.Token)
                .WaitAsync(timeout.Token);
        }
        catch (Exception e)
        {
            OutcomeUnknown(e, clientId);
            return Answer.Of(ResultCode.UnknownException);
        }
    }

    private async Task<Answer> Verified(
        ClientId clientId,
        SignatureHeader signature,
        byte[]? signed,
        byte[]? body,
        CancellationToken cancellationToken
    )
    {
        var client = await _clients.Find(clientId, cancellationToken);
        if (client is not { Enabled: true })
            return Answer.Of(ResultCode.ClientInvalid);
        if (client.FindKey(signature.KeyVersionNumber, _time.GetUtcNow()) is not { } key)
            return Answer.Of(ResultCode.KeyNotFound);

        // Of a body over the limit nothing is known that could be verified.
        if (signed is null || body is null)
            return Illegal($"The body must be at most {MaxBodyBytes} bytes.");
        if (!signature.IsRsa256 || !signature.TryDecode(out var bytes) || !key.PublicKey.Verifies(signed, bytes))
            return Answer.Of(ResultCode.InvalidSignature);

        var answer = _admission.IsWithinRate(client)
            ? await _cancel.Cancel(client, body, cancellationToken)
            : Answer.Of(ResultCode.RequestTrafficExceedLimit);
        return answer with { IsVerified = true };
    }

    private static Answer Illegal(string message) => Answer.Of(ResultCode.ParamIllegal.Because(message));

    // Nobody has verified the client yet, and the string to sign ends it with a dot: any other text would let a stranger
    // move the boundaries between client, time and body, and so borrow the wallet's signature.
    private static string Echo(StringValues clientId) => clientId is [{ } id] && ClientId.IsWellFormed(id) ? id : "";

    // The path as it was signed: raw, with its escapes and its query. Of an absolute-form target only the path counts.
    private static string RawPath(HttpContext http)
    {
        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (target.StartsWith('/') || target.IndexOf("://", StringComparison.Ordinal) is not (> 0 and var scheme))
            return target;
        var authority = target.AsSpan(scheme + 3).IndexOfAny('/', '?', '#');
        var path = authority < 0 ? "" : target[(scheme + 3 + authority)..];
        return path.StartsWith('/') ? path : $"/{path}";
    }

    // Null: over the limit.
    private static async Task<byte[]?> ReadBody(HttpRequest request, CancellationToken cancellationToken)
    {
        if (request.ContentLength > MaxBodyBytes)
            return null;
        while (true)
        {
            var read = await Read(request, cancellationToken);
            var buffer = read.Buffer;
            if (buffer.Length > MaxBodyBytes || read.IsCompleted)
            {
                var body = buffer.Length > MaxBodyBytes ? null : buffer.ToArray();
                request.BodyReader.AdvanceTo(buffer.End);
                return body;
            }
            request.BodyReader.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    // Kestrel reports a chunk of an impossible size as if the disk had failed, and a NUL in a trailer as if we had; both
    // are the client's mistake.
    private static async ValueTask<ReadResult> Read(HttpRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await request.BodyReader.ReadAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException and not BadHttpRequestException or InvalidOperationException)
        {
            throw new BadHttpRequestException("The body cannot be read.", e);
        }
    }

    private string Iso8601(DateTimeOffset time) =>
        TimeZoneInfo.ConvertTime(time, _zone).ToString("yyyy-MM-dd'T'HH:mm:ss.fffzzz", CultureInfo.InvariantCulture);

    [LoggerMessage(
        LogLevel.Information,
        "Answered {Code} to {ClientId}, payment {PaymentId}, request {PaymentRequestId}, in {DurationMs:0.0} ms, trace {TraceId}"
    )]
    private partial void Answered(
        string code,
        string? clientId,
        string? paymentId,
        string? paymentRequestId,
        double durationMs,
        string traceId
    );

    [LoggerMessage(LogLevel.Error, "The outcome of a request of {ClientId} is unknown")]
    private partial void OutcomeUnknown(Exception exception, string clientId);
}
