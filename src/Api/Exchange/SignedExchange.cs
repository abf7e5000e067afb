using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Protocol;

namespace CancelService.Api.Exchange;

/// <summary>
/// Answers every request on the public port. An answer is HTTP 200 and signed; only a request over a limit gets a plain
/// 503.
/// </summary>
public sealed class SignedExchange(
    RequestReader reader,
    IClients clients,
    Admission admission,
    DatabaseWatch database,
    AnswerSigner signer,
    TimeProvider time,
    ApiMetrics metrics,
    ExchangeLog log
)
{
    // merchant                     exchange                   cache of clients           database
    //    |------- request ------->  1. read                          |                       |
    //    |                          2. admit  <--- maybe stale ----- |                       |
    //    |                             not verified: look up ------------------------------> |
    //    |                          3. verify <--- current --------- |                       |
    //    |                             stale: look up -------------------------------------> |
    //    |                          4. operate ------------------------------------------->  |
    //    |<------ answer ---------  5. sign and write
    //
    // 1. Read: path, method, media types, headers. Codes 1 to 4.
    // 2. Admit: take a slot in the client's share. Only the client's key may draw on it, so the request is first
    //    verified with the cached client, however stale. If that fails, the client is looked up, within the limits for
    //    unverified requests; if the request still does not verify, it is refused: codes 5 to 7.
    // 3. Verify: codes 5 to 7 again, with a client not older than Clients:CacheTime, then the rate: code 8. A stale
    //    client never decides: during an outage the answer is UNKNOWN_EXCEPTION.
    // 4. Operate: the operation decides the codes from 9 on.
    // 5. Sign and write the answer. A verified client always gets a signature; unverified requests share a limit.

    /// <summary>The codes that the exchange decides for every operation, in their order.</summary>
    public static readonly IReadOnlyList<ResultCode> Order =
    [
        ResultCode.InvalidApi,
        ResultCode.MethodNotSupported,
        ResultCode.MediaTypeNotAcceptable,
        ResultCode.ParamIllegal,
        ResultCode.ClientInvalid,
        ResultCode.KeyNotFound,
        ResultCode.InvalidSignature,
        ResultCode.RequestTrafficExceedLimit,
    ];

    /// <summary>Answers one request.</summary>
    public async Task Respond(HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        if (HttpMethods.IsConnect(http.Request.Method)) // HTTP 200 would open a tunnel.
        {
            http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }

        var started = time.GetTimestamp();
        var envelope = reader.Address(http);
        var reply = await Decide(http, envelope);
        http.Features.Set(new ExchangeOutcome(reply.IsVerified));
        if (
            !reply.IsVerified
            || reply is Reply.Answered { Answer.Code: var code } && code == ResultCode.RequestTrafficExceedLimit
        )
            await admission.DelayRefusal(http.RequestAborted);
        await SignAndWrite(http, envelope, reply, started); // Step 5
    }

    private async Task<Reply> Decide(HttpContext http, Envelope envelope)
    {
        using var deadline = database.NewDeadline();

        // Step 1
        if (!(await reader.Read(http, envelope)).GoesOn(out var request, out var end))
            return end;

        var span = Telemetry.Spans.StartActivity("verify");
        try
        {
            // Step 2
            if (!(await Admit(request, deadline)).GoesOn(out var admitted, out end))
                return end;
            using var slot = admitted.Slot;

            // Step 3
            if (!(await Verify(request, admitted.Known, deadline)).GoesOn(out var verified, out end))
                return end;

            // Step 4
            span?.Dispose();
            span = Telemetry.Spans.StartActivity("decide");
            return await Operate(request, verified, deadline);
        }
        finally
        {
            span?.Dispose();
        }
    }

    private async Task<Step<Admitted>> Admit(IncomingRequest request, DatabaseWatch.Deadline deadline)
    {
        var memory = clients.Recall(request.ClientId);
        var verification = Verification.Verify(memory.Client, request, time.GetUtcNow());
        if (!verification.GoesOn(out var known, out var end))
        {
            if (memory.IsCurrent)
                return new Step<Admitted>.End(end);
            verification = await LookUpClient(request, isNew: memory.Client is null, deadline);
            if (!verification.GoesOn(out known, out end))
                return new Step<Admitted>.End(end);
        }

        var entrance = await admission.Enter(known.Client, mayWait: !database.IsAway);
        if (entrance.GoesOn(out var slot, out end))
            return new Step<Admitted>.Next(new(known, slot));
        return new Step<Admitted>.End(
            database.IsAway
                ? DatabaseWatch.Unknown(request, isVerified: true, "no place while the database is away")
                : end
        );
    }

    private async Task<Step<VerifiedRequest>> LookUpClient(
        IncomingRequest request,
        bool isNew,
        DatabaseWatch.Deadline deadline
    )
    {
        if (!(await admission.LookUp(isNew)).GoesOn(out var lookUp, out var end))
            return new Step<VerifiedRequest>.End(end);
        using (lookUp)
            return await Verified(request, isVerified: false, deadline);
    }

    private async Task<Step<VerifiedRequest>> Verify(
        IncomingRequest request,
        VerifiedRequest known,
        DatabaseWatch.Deadline deadline
    )
    {
        var verified = known;
        var memory = clients.Recall(request.ClientId);
        if (!memory.IsCurrent || memory.Client != known.Client)
        {
            if (!(await Verified(request, isVerified: true, deadline)).GoesOn(out verified, out var end))
                return new Step<VerifiedRequest>.End(end);
        }
        if (admission.IsWithinRate(verified.Client, request.Operation))
            return new Step<VerifiedRequest>.Next(verified);
        var tooFast = Answer.Of(ResultCode.RequestTrafficExceedLimit) with { KeyVersion = verified.KeyVersion };
        return new Step<VerifiedRequest>.End(new Reply.Answered(tooFast, IsVerified: true));
    }

    // Verifies with the client from the database, unless the cache is current.
    private async Task<Step<VerifiedRequest>> Verified(
        IncomingRequest request,
        bool isVerified,
        DatabaseWatch.Deadline deadline
    )
    {
        var found = await database.Ask(
            deadline,
            request,
            isVerified,
            async token => Verification.Verify(await clients.Find(request.ClientId, token), request, time.GetUtcNow())
        );
        if (!found.GoesOn(out var verification, out var end))
            return new Step<VerifiedRequest>.End(end);
        database.HasAnswered();
        return verification;
    }

    private async Task<Reply> Operate(
        IncomingRequest request,
        VerifiedRequest verified,
        DatabaseWatch.Deadline deadline
    )
    {
        var operated = await database.Ask(
            deadline,
            request,
            isVerified: true,
            token => request.Operation.Execute(verified, token)
        );
        if (!operated.GoesOn(out var answer, out var end))
        {
            if (end is not Reply.Answered { Answer: var unknown })
                return end;
            answer = unknown;
        }
        else if (answer.IsFromDatabase)
        {
            database.HasAnswered();
        }
        answer = request.Operation.Conclude(answer with { KeyVersion = verified.KeyVersion }, verified);
        return new Reply.Answered(answer, IsVerified: true);
    }

    private async Task SignAndWrite(HttpContext http, Envelope envelope, Reply reply, long started)
    {
        if (reply is not Reply.Answered { Answer: var answer })
        {
            TurnAway(http, envelope, ((Reply.TurnedAway)reply).Limit, started);
            return;
        }
        var input = signer.Prepare(envelope, answer);
        if (!signer.TryFind(input, out var signature))
        {
            if (!reply.IsVerified && !admission.TryTakeUnverifiedPermit())
            {
                TurnAway(http, envelope, "Limits:UnverifiedAnswersPerSecond", started);
                return;
            }
            signature = signer.Sign(input);
        }

        var response = http.Response;
        // Lower case: two SDKs look these names up case-sensitively.
        response.Headers["client-id"] = envelope.ClientId;
        response.Headers["response-time"] = input.ResponseTime;
        response.Headers["signature"] = signature;
        response.ContentType = "application/json; charset=UTF-8";
        response.ContentLength = answer.Body.Length;
        var duration = time.GetElapsedTime(started);
        metrics.Answered(envelope.Operation, answer.Code.Code, duration);
        log.Answered(answer, envelope, duration);
        await response.Body.WriteAsync(answer.Body);
    }

    private void TurnAway(HttpContext http, Envelope envelope, string limit, long started)
    {
        metrics.Answered(envelope.Operation, "none", time.GetElapsedTime(started));
        metrics.TurnedAway(limit);
        log.TurnedAway(limit, envelope);
        http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        http.Response.Headers.RetryAfter = "1";
    }

    /// <summary>A request that the cached, maybe stale client verifies, with its slot.</summary>
    private sealed record Admitted(VerifiedRequest Known, Slot Slot);
}

/// <summary>A feature of an exchange that was decided, for hosts that extend the service.</summary>
/// <param name="IsVerified">True when the request's signature was verified.</param>
public sealed record ExchangeOutcome(bool IsVerified);
