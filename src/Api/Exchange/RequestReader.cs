using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using CancelService.Domain;
using CancelService.Protocol;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Exchange;

/// <summary>The facts of any request that sign and log its answer.</summary>
/// <param name="Method">The method as received.</param>
/// <param name="Path">The path as the merchant sent it, with escapes, query and stripped prefix.</param>
/// <param name="ClientId">
/// The Client-Id if it is well-formed, otherwise empty. It is not verified yet, and a dot ends it in the string to
/// sign. Another text would let an unverified request move the boundaries between client, time and body, and so borrow
/// the wallet's signature.
/// </param>
/// <param name="TraceId">The request's identifier in the log.</param>
/// <param name="Operation">
/// The name of the operation at the path, for metrics and the log; otherwise <c>none</c>.
/// </param>
public sealed record Envelope(string Method, string Path, string ClientId, string TraceId, string Operation);

/// <summary>A request whose path, method and headers are well-formed.</summary>
public sealed record IncomingRequest(
    Envelope Envelope,
    IOperation Operation,
    string Time,
    SignatureHeader Signature,
    RequestBody Body
)
{
    /// <summary>The claimed, unverified client.</summary>
    public ClientId ClientId { get; } = new(Envelope.ClientId);

    /// <summary>Hashes the request's string to sign.</summary>
    public byte[] Hash(RequestBody.Whole body)
    {
        ArgumentNullException.ThrowIfNull(body);
        return SignatureScheme.Hash(Envelope.Method, Envelope.Path, ClientId.Value, Time, body.Bytes);
    }
}

/// <summary>The first step of the exchange: reads a request, and decides the codes 1 to 4.</summary>
public sealed class RequestReader(
    IEnumerable<IOperation> operations,
    IOptions<ApiOptions> api,
    ApiMetrics metrics,
    TimeProvider time
)
{
    private readonly Dictionary<string, IOperation> _operations = operations
        .SelectMany(operation => api.Value.Paths(operation.Path).Select(path => (path, operation)))
        .ToDictionary(pair => pair.path, pair => pair.operation, StringComparer.Ordinal);

    private readonly string _strippedPrefix = api.Value.StrippedPrefix;
    private readonly TimeSpan _tolerance = api.Value.RequestTimeTolerance;

    /// <summary>Reads the facts that an answer needs. It never refuses, so every request gets an answer.</summary>
    public Envelope Address(HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        var clientId = http.Request.Headers["Client-Id"] is [{ } id] && ClientId.IsWellFormed(id) ? id : "";
        var traceId = Activity.Current?.TraceId.ToString() ?? http.TraceIdentifier;
        var operation = _operations.GetValueOrDefault(http.Request.Path.Value ?? "")?.Name ?? "none";
        return new(http.Request.Method, SignedPath(http), clientId, traceId, operation);
    }

    /// <summary>Reads and checks path, method, headers and body: codes 1 to 4.</summary>
    /// <exception cref="BadHttpRequestException">The body is not valid HTTP; the server answers 400.</exception>
    public async Task<Step<IncomingRequest>> Read(HttpContext http, Envelope envelope)
    {
        ArgumentNullException.ThrowIfNull(http);
        ArgumentNullException.ThrowIfNull(envelope);
        var request = http.Request;
        if (!_operations.TryGetValue(request.Path.Value ?? "", out var operation))
            return Refused(Answer.Of(ResultCode.InvalidApi));
        if (request.Method != "POST")
            return Refused(Answer.Of(ResultCode.MethodNotSupported));
        if (!MediaTypes.AcceptsJson(request.Headers.Accept))
            return Refused(Answer.Of(ResultCode.MediaTypeNotAcceptable) with { Reason = "Accept" });
        if (!MediaTypes.IsJson(request.Headers.ContentType))
            return Refused(Answer.Of(ResultCode.MediaTypeNotAcceptable) with { Reason = "Content-Type" });

        if (!Once("Client-Id").GoesOn(out _, out var end))
            return new Step<IncomingRequest>.End(end);
        if (envelope.ClientId == "")
            return Refused(Answer.Illegal($"The header Client-Id {ClientId.Rule}."));
        if (!Once("Request-Time").GoesOn(out var requestTime, out end))
            return new Step<IncomingRequest>.End(end);
        if (
            RequestTime.Check(requestTime, time.GetUtcNow(), _tolerance) is RequestTime.Illegal { Problem: var problem }
        )
        {
            metrics.RefusedTime();
            return Refused(Answer.Illegal($"The header Request-Time {problem}"));
        }
        if (!Once("Signature").GoesOn(out var header, out end))
            return new Step<IncomingRequest>.End(end);
        if (!SignatureHeader.TryParse(header, out var signature))
            return Refused(
                Answer.Illegal("The header Signature must be algorithm=RSA256, keyVersion=<version>, signature=<text>.")
            );

        var body = await ReadBody(request, http.RequestAborted);
        if (body is RequestBody.TooLong)
            http.Response.Headers.Connection = "close"; // Otherwise the connection could go on sending such bodies.
        return new Step<IncomingRequest>.Next(new(envelope, operation, requestTime, signature, body));

        Step<string> Once(string name) =>
            request.Headers[name] switch
            {
                [{ } value] => new Step<string>.Next(value),
                { Count: 0 } => new Step<string>.End(Unverified($"The header {name} is missing.")),
                _ => new Step<string>.End(Unverified($"The header {name} came more than once; give it once.")),
            };
    }

    private static Step<IncomingRequest> Refused(Answer answer) =>
        new Step<IncomingRequest>.End(new Reply.Answered(answer, IsVerified: false));

    private static Reply.Answered Unverified(string problem) => new(Answer.Illegal(problem), IsVerified: false);

    // The path as the merchant signed it: raw, with escapes, query and the prefix that a proxy has stripped.
    private string SignedPath(HttpContext http)
    {
        var target = SignatureScheme.PathOf(http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
        return target.StartsWith('/') ? _strippedPrefix + target : target;
    }

    private static async Task<RequestBody> ReadBody(HttpRequest request, CancellationToken cancellationToken)
    {
        if (request.ContentLength > RequestBody.MaxBytes)
            return new RequestBody.TooLong();
        while (true)
        {
            var read = await Read(request, cancellationToken);
            var buffer = read.Buffer;
            if (buffer.Length > RequestBody.MaxBytes || read.IsCompleted)
            {
                RequestBody body =
                    buffer.Length > RequestBody.MaxBytes
                        ? new RequestBody.TooLong()
                        : new RequestBody.Whole(buffer.ToArray(), request.Headers.ContentEncoding.ToString());
                request.BodyReader.AdvanceTo(buffer.End);
                return body;
            }
            request.BodyReader.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    // Kestrel reports a chunk of an impossible size as a disk failure, and a NUL in a trailer as a server error. Both
    // are client errors.
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
}
