using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace CancelService.Simulation;

/// <summary>
/// Executes a plan for a client of its own. It sends the operations of a round concurrently, repeats an operation until
/// its outcome is known, and audits every round.
/// </summary>
internal sealed class World(Stage stage, Plan plan, string client, long start, CancellationToken cancellationToken)
{
    /// <summary>The extendInfo of a cancel that only checks an earlier answer.</summary>
    public const string Again = "again";

    private const string Path = "/v2/payments/cancel";

    private static readonly KeyPair[] Keys = [.. Enumerable.Range(0, 5).Select(_ => KeyPair.Generate())];
    private static readonly AuthenticationHeaderValue Token = new("Bearer", Bearer.All);

    // A generous bound: in a container on a busy machine PostgreSQL needs most of a minute to recover after a kill.
    private static readonly TimeSpan GivesUpAfter = TimeSpan.FromMinutes(3);

    private readonly ConcurrentQueue<Attempt> _attempts = [];
    private readonly ConcurrentDictionary<
        (int, int, string, int, Flaw),
        (string Time, long At, string Signature)
    > _signatures = [];
    private readonly Auditor _auditor = new(plan.Payments, start, Stage.CacheTime);
    private long _sent;
    private long _finished;

    public string Client => client;

    public Plan Plan => plan;

    /// <summary>The answers to cancelled payments by the number of the payment.</summary>
    public IReadOnlyDictionary<int, string> Answers => _auditor.Answers;

    /// <inheritdoc cref="Auditor.IsInconclusive"/>
    public bool IsInconclusive => _auditor.IsInconclusive;

    /// <summary>The possible summaries of the client in the database after the last round.</summary>
    public IReadOnlySet<string> Summaries { get; private set; } = new HashSet<string>(StringComparer.Ordinal);

    /// <summary>The start of each round as a timestamp of the driver.</summary>
    public List<long> RoundStarts { get; } = [];

    /// <summary>All attempts in the order of their sends.</summary>
    public IReadOnlyList<Attempt> History => [.. _attempts.OrderBy(attempt => attempt.Sent)];

    /// <exception cref="ViolationException">An answer can't be true.</exception>
    public async Task Run(Func<int, Task>? beforeRound = null)
    {
        for (var number = 0; number < plan.Rounds.Count; number++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            RoundStarts.Add(Stopwatch.GetTimestamp());
            var fault = beforeRound?.Invoke(number) ?? Task.CompletedTask;
            var round = await Task.WhenAll(plan.Rounds[number].Select(Perform));
            await fault;
            _auditor.Audit([.. round.SelectMany(attempts => attempts)]);
        }
        Summaries = _auditor.Summaries();
        _finished = Stopwatch.GetTimestamp();
    }

    /// <summary>Repeats the cancel of every cancelled payment and compares the answers.</summary>
    public async Task AskAgain(CancellationToken stop)
    {
        // The last terms are in force once no cache has older ones.
        var wait = Stage.CacheTime - Stopwatch.GetElapsedTime(_finished);
        if (wait > TimeSpan.Zero)
            await Task.Delay(wait, stop);
        foreach (var (payment, answer) in _auditor.Answers)
        {
            stop.ThrowIfCancellationRequested();
            var op = new Op(Act.Cancel)
            {
                Payment = payment,
                Key = HighestKey,
                Id = Again,
                Instance = payment % 2,
            };
            var attempt = (await Perform(op))[^1];
            if (attempt.Code != "PARAM_ILLEGAL" && attempt.Text != answer)
                throw new ViolationException(
                    $"p{payment} of {client} had the answer\n    {answer}\n  and now has\n    {attempt.Code} {attempt.Text}",
                    attempt
                );
        }
    }

    private int HighestKey => 31 - int.LeadingZeroCount(_auditor.Terms.Keys);

    // Repeats the operation until its outcome is known, because a repeat resolves every U.
    private async Task<IReadOnlyList<Attempt>> Perform(Op op)
    {
        if (op.Act is Act.Pause)
        {
            await Task.Delay((int)op.Amount, cancellationToken);
            return [];
        }
        var began = Stopwatch.GetTimestamp();
        var attempts = new List<Attempt>();
        if (NewTerms(op) is { } terms)
            _auditor.Agreeing(terms, began);
        for (var tries = 0; ; tries++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var attempt = new Attempt(op, (op.Instance + tries) % 2);
            if (await Send(attempt))
            {
                attempts.Add(attempt);
                _attempts.Enqueue(attempt);
                stage.Count(attempt);
                if (attempt.IsKnown)
                    break;
            }
            if (Stopwatch.GetElapsedTime(began) > GivesUpAfter)
                throw new ViolationException(
                    $"{op} has no known outcome after {GivesUpAfter.TotalSeconds} s: {attempt.Text}",
                    attempt
                );
            // Backs off as merchants do; immediate retries would take CPU time from recovering processes.
            await Task.Delay(Math.Min(1000, 40 * tries * tries), cancellationToken);
        }
        if (op.Act <= Act.RevokeKey)
            _auditor.Agreed(Stopwatch.GetTimestamp(), atOnce: attempts.Count == 1);
        return attempts;
    }

    private Terms? NewTerms(Op op) =>
        op.Act switch
        {
            Act.PutClient => op.Terms! with { Keys = _auditor.Terms.Keys },
            Act.PutKey => _auditor.Terms with { Keys = _auditor.Terms.Keys | (1 << op.Key) },
            Act.RevokeKey => _auditor.Terms with { Keys = _auditor.Terms.Keys & ~(1 << op.Key) },
            _ => null,
        };

    /// <summary>Sends one request. Returns false when the connection was refused, so that nothing was sent.</summary>
    private async Task<bool> Send(Attempt attempt)
    {
        using var request = attempt.Op.Act is Act.Cancel ? CancelRequest(attempt) : InternalRequest(attempt);
        attempt.SentClock = stage.Clock.Of(attempt.Instance);
        attempt.Sent = Stopwatch.GetTimestamp();
        try
        {
            using var response = await stage.Http.SendAsync(request, cancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            attempt.Received = Stopwatch.GetTimestamp();
            var clock = stage.Clock.Of(attempt.Instance);
            Read(attempt, response, body);
            if (attempt.IsKnown)
                attempt.ReceivedClock = clock;
            // The clock of the instance was set back at an unknown time during the exchange. So the decision may be as
            // early as the answer's time minus the duration of the exchange, or as late as the request's time plus it.
            var took = Stopwatch.GetElapsedTime(attempt.Sent, attempt.Received).Ticks;
            if (clock < attempt.SentClock + took - TimeSpan.TicksPerMillisecond)
                (attempt.SentClock, attempt.ReceivedClock) = (
                    clock - took,
                    attempt.IsKnown ? attempt.SentClock + took : long.MaxValue
                );
        }
        catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.ConnectionError)
        {
            attempt.Text = e.Message;
            return false;
        }
        catch (Exception e)
            when (e is HttpRequestException or IOException
                || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            )
        {
            attempt.Received = Stopwatch.GetTimestamp();
            attempt.Text = e.GetType().Name;
        }
        return true;
    }

    private HttpRequestMessage CancelRequest(Attempt attempt)
    {
        var op = attempt.Op;
        var members = new List<string>();
        if (op.Payment >= 0)
            members.Add($"\"paymentId\":\"p{op.Payment}\"");
        if (op.Request >= 0)
            members.Add($"\"paymentRequestId\":\"r{op.Request}\"");
        if (op.Id.Length > 0)
            members.Add($"\"extendInfo\":\"{op.Id}\"");
        var body = $"{{{string.Join(',', members)}}}";

        // Equal requests within a minute share their bytes and signature.
        var same = (op.Payment, op.Request, op.Id, op.Key, op.Flaw);
        var now = stage.Clock.UtcTicks;
        if (!_signatures.TryGetValue(same, out var signed) || now - signed.At > TimeSpan.TicksPerMinute)
        {
            var at = new DateTimeOffset(now, TimeSpan.Zero);
            if (op.Flaw is Flaw.OldTime)
                at = at.AddMinutes(-6);
            var time = at.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            var data = StringToSign.Of("POST", Path, client, time, body);
            var key = Keys[op.Flaw is Flaw.WrongSignature ? 0 : op.Key % Keys.Length];
            signed = (time, at.UtcTicks, Uri.EscapeDataString(Convert.ToBase64String(key.Sign(data))));
            _signatures[same] = signed;
        }
        attempt.RequestTime = signed.At;

        var request = new HttpRequestMessage(HttpMethod.Post, $"{stage.Public(attempt.Instance)}{Path}")
        {
            Content = Json(body),
        };
        request.Headers.TryAddWithoutValidation("Client-Id", client);
        request.Headers.TryAddWithoutValidation("Request-Time", signed.Time);
        request.Headers.TryAddWithoutValidation(
            "Signature",
            $"algorithm=RSA256, keyVersion={op.Key}, signature={signed.Signature}"
        );
        return request;
    }

    private HttpRequestMessage InternalRequest(Attempt attempt)
    {
        var op = attempt.Op;
        var payment = $"/payments/p{op.Payment}";
        var account = $"/accounts/{Plan.Currencies[op.Currency]}";
        var (method, path, body) = op.Act switch
        {
            Act.PutClient => (HttpMethod.Put, "", TermsBody(op.Terms!)),
            Act.PutKey => (
                HttpMethod.Put,
                Key(),
                JsonSerializer.Serialize(new { publicKey = Keys[op.Key % Keys.Length].PublicKey.Pem })
            ),
            Act.RevokeKey => (HttpMethod.Delete, Key(), null),
            Act.Register => (HttpMethod.Put, payment, RegisterBody(op)),
            Act.Authorize or Act.Succeed or Act.Capture or Act.Refund or Act.Fail => (
                HttpMethod.Post,
                $"{payment}/{op.Act.ToString().ToLowerInvariant()}",
                op.Amount > 0
                    ? $"{{\"eventId\":\"{op.Id}\",\"amount\":{{\"minorUnits\":{op.Amount},\"currency\":\"{Plan.Currencies[op.Currency]}\"}}}}"
                    : $$"""{"eventId":"{{op.Id}}"}"""
            ),
            Act.Deposit => (
                HttpMethod.Post,
                $"{account}/deposits",
                $$"""{"id":"{{op.Id}}","minorUnits":{{op.Amount}}}"""
            ),
            Act.Payout => (
                HttpMethod.Post,
                $"{account}/payouts",
                $$"""{"id":"{{op.Id}}","minorUnits":{{op.Amount}}}"""
            ),
            Act.ReadPayment => (HttpMethod.Get, payment, null),
            Act.ReadByRequest => (HttpMethod.Get, $"/payments?paymentRequestId=r{op.Request}", null),
            Act.ReadAccount => (HttpMethod.Get, account, null),
            Act.ReadCancellations => (HttpMethod.Get, "/cancellations", null),
            Act.ReadLateReports => (HttpMethod.Get, "/late-reports", (string?)null),
            _ => throw new UnreachableException(),
        };
        var request = new HttpRequestMessage(
            method,
            $"{stage.Internal(attempt.Instance)}/internal/v1/clients/{client}{path}"
        );
        request.Headers.Authorization = Token;
        if (body is not null)
            request.Content = Json(body);
        return request;

        string Key() => string.Create(CultureInfo.InvariantCulture, $"/keys/{op.Key}");
    }

    private static string TermsBody(Terms terms) =>
        JsonSerializer.Serialize(
            new
            {
                name = "A world",
                enabled = terms.Enabled,
                contract = new
                {
                    mayCancel = terms.MayCancel,
                    window = terms.Window.Text,
                    requestsPerSecond = terms.Rate,
                    burst = Math.Max(5, terms.Rate / 4),
                    rememberUnknown = terms.Remember,
                },
            }
        );

    private string RegisterBody(Op op) =>
        JsonSerializer.Serialize(
            new
            {
                paymentRequestId = $"r{op.Request}",
                kind = op.IsAuthorization ? "AUTHORIZATION" : "PAYMENT",
                amount = new { minorUnits = op.Amount, currency = Plan.Currencies[op.Currency] },
                initiatedAt = new DateTimeOffset(start - op.Ago.Ticks, TimeSpan.Zero),
            }
        );

    private static ByteArrayContent Json(string body)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", "application/json; charset=UTF-8");
        return content;
    }

    private void Read(Attempt attempt, HttpResponseMessage response, byte[] body)
    {
        var status = (int)response.StatusCode;
        if (status is 503)
        {
            attempt.Text = "503";
            return;
        }
        if (body.Length == 0)
        {
            attempt.Code = status.ToString(CultureInfo.InvariantCulture);
            return;
        }
        using var document = JsonDocument.Parse(body);
        var json = document.RootElement;
        if (attempt.Op.Act is Act.Cancel)
            ReadCancel(attempt, response, body, json);
        else if (status >= 400)
            ReadProblem(attempt, status, json);
        else
        {
            attempt.Code = status.ToString(CultureInfo.InvariantCulture);
            ReadView(attempt, json);
        }
    }

    private void ReadCancel(Attempt attempt, HttpResponseMessage response, byte[] body, JsonElement json)
    {
        attempt.Text = Encoding.UTF8.GetString(body);
        var result = json.GetProperty("result");
        var (code, status) = (
            result.GetProperty("resultCode").GetString()!,
            result.GetProperty("resultStatus").GetString()
        );
        if (
            response.StatusCode is not HttpStatusCode.OK
            || status
                != code switch
                {
                    "SUCCESS" => "S",
                    "UNKNOWN_EXCEPTION" => "U",
                    _ => "F",
                }
        )
            throw new ViolationException($"{(int)response.StatusCode} {attempt.Text}", attempt);
        // Verifies every twentieth signature, because each costs CPU time.
        if (Interlocked.Increment(ref _sent) % 20 == 0 && !IsSigned(response, body))
            throw new ViolationException($"The signature of this answer does not verify: {attempt.Text}", attempt);
        if (code == "UNKNOWN_EXCEPTION")
            return;
        attempt.Code = code;
        if (code != "SUCCESS")
        {
            attempt.Text = "";
            return;
        }
        attempt.Detail =
            $"{Text(json, "paymentId")} {Text(json, "paymentRequestId")} '{(json.TryGetProperty("extendInfo", out var info) ? info.GetString() : "")}'";
        attempt.CancelTime = json.GetProperty("cancelTime").GetDateTimeOffset();
    }

    private bool IsSigned(HttpResponseMessage response, byte[] body)
    {
        var time = response.Headers.GetValues("response-time").Single();
        var signature = response.Headers.GetValues("signature").Single().Split("signature=")[1];
        var signed = StringToSign.Of("POST", Path, client, time, body);
        return KeyPair.Wallet.PublicKey.Verifies(
            SHA256.HashData(signed),
            Convert.FromBase64String(Uri.UnescapeDataString(signature))
        );
    }

    private static void ReadProblem(Attempt attempt, int status, JsonElement json)
    {
        var type = Text(json, "type") ?? "";
        var isOurs = type.StartsWith("urn:", StringComparison.Ordinal);
        attempt.Text = isOurs ? "" : json.GetRawText();
        attempt.Code = isOurs ? type[(type.LastIndexOf(':') + 1)..] : status.ToString(CultureInfo.InvariantCulture);
        attempt.Detail =
            attempt.Code switch
            {
                "transition-refused" => Text(json, "paymentStatus"),
                "payment-cancelled" => Text(json, "remedy"),
                _ => "",
            } ?? "";
        if (json.TryGetProperty("cancelTime", out var time))
            attempt.CancelTime = time.GetDateTimeOffset();
    }

    private static void ReadView(Attempt attempt, JsonElement json)
    {
        switch (attempt.Op.Act)
        {
            case Act.ReadAccount:
                attempt.Detail = json.GetProperty("balance").GetRawText();
                break;
            case Act.ReadCancellations:
                attempt.Text = Items(json, item => Text(item, "paymentId")!);
                break;
            case Act.ReadLateReports:
                attempt.Text = Items(json, item => $"{Text(item, "paymentId")} {Text(item, "eventId")}");
                break;
            case Act.ReadPayment or Act.ReadByRequest:
                var history = json.GetProperty("history")
                    .EnumerateArray()
                    .Select(line =>
                        Pay.Line(
                            Text(line, "action")!,
                            Text(line, "eventId") ?? "",
                            line.GetProperty("amount") is { ValueKind: JsonValueKind.Object } amount
                                ? amount.GetProperty("minorUnits").GetInt64()
                                : null,
                            Text(line, "remedy") ?? ""
                        )
                    );
                var net = json.GetProperty("transfers")
                    .EnumerateArray()
                    .Sum(transfer =>
                        (Text(transfer, "credit") == "MERCHANT" ? 1 : -1)
                        * transfer.GetProperty("amount").GetProperty("minorUnits").GetInt64()
                    );
                attempt.Detail = string.Create(
                    CultureInfo.InvariantCulture,
                    $"{View(attempt, json.GetProperty("payment"))} [{string.Join('|', history)}] net {net}"
                );
                break;
            case >= Act.Register and <= Act.Fail:
                attempt.Detail = View(attempt, json);
                break;
        }
    }

    private static string View(Attempt attempt, JsonElement json)
    {
        var effect = "";
        if (json.GetProperty("cancellation") is { ValueKind: JsonValueKind.Object } cancellation)
        {
            effect = Text(cancellation, "effect");
            if (attempt.Op.Payment >= 0)
                attempt.CancelTime = cancellation.GetProperty("cancelTime").GetDateTimeOffset();
        }
        var amount = json.GetProperty("amount");
        return $"{Text(json, "paymentRequestId")} {Text(json, "kind")} {amount.GetProperty("minorUnits").GetRawText()} {Text(amount, "currency")} {Text(json, "status")} "
            + $"captured {json.GetProperty("captured").GetRawText()} refunded {json.GetProperty("refunded").GetRawText()} v{json.GetProperty("version").GetRawText()} {effect}";
    }

    private static string Items(JsonElement json, Func<JsonElement, string> item) =>
        JsonSerializer.Serialize(json.GetProperty("items").EnumerateArray().Select(item).ToArray());

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
