using System.Globalization;
using System.Text;
using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>
/// Explains to the byte why a request is refused, without guessing: RSA recovers the signed hash with the public key,
/// and the hash is compared with those of the texts that merchants sign by mistake.
/// </summary>
/// <remarks>Needs only public keys, does no I/O, and bounds its work (<see cref="Candidates.MaxTried"/>).</remarks>
public sealed class RequestDoctor(Practice practice)
{
    /// <summary>Examines a request, or an answer.</summary>
    /// <param name="request">The pasted request or answer.</param>
    /// <param name="client">The client of the request; null when it is unknown.</param>
    /// <param name="now">The time of the request or of the examination (UTC).</param>
    /// <param name="cameNow">
    /// Whether <paramref name="now"/> is the time of the request. Otherwise the age of the request is a cause only
    /// without others.
    /// </param>
    public Diagnosis Examine(PastedRequest request, ExaminedClient? client, DateTimeOffset now, bool cameNow) =>
        Examine(request, client, now, cameNow, Receiver.Silent);

    /// <summary>Examines a request, or an answer with the text and key of its receiver.</summary>
    public Diagnosis Examine(
        PastedRequest request,
        ExaminedClient? client,
        DateTimeOffset now,
        bool cameNow,
        Receiver receiver
    )
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(receiver);
        if (request.IsAnswer)
            return ExamineAnswer(request, client, receiver);
        var findings = new Findings(cameNow);
        var path = SignatureScheme.PathOf(request.Target);
        if (path.StartsWith('/'))
            path = practice.StrippedPrefix + path;
        var operation = Address(findings, request, path);
        var (clientId, time, header) = Headers(findings, request, now);
        Client(findings, clientId, client);
        var key = Key(findings, header, client, now);

        SignatureFinding? signature = null;
        TextFinding? text = null;
        Difference? difference = null;
        // A body over the limit is refused before its signature is verified.
        if (time is not null && request.Body.Length <= RequestBody.MaxBytes)
        {
            var host = request.Header("Host") is [var name, ..] ? name : "";
            var parts = new SignedParts(request.Method, request.Target, host, clientId ?? "", time, request.Body);
            var candidates = Candidates.Of(
                practice.StrippedPrefix.Length > 0 ? parts with { Target = path } : parts,
                practice
            );
            var right = candidates.Right();
            text = TextFinding.Of(right);
            if (header is not null)
                (signature, difference) = new SignatureStep(practice, findings, now).Look(
                    header,
                    client,
                    key,
                    candidates,
                    right
                );
        }
        Body(findings, request, operation);
        findings.Close();
        return new(findings.Code, findings.Causes, findings.Steps, signature, text, difference)
        {
            Answer = request.Answer is { } answer ? ExamineAnswer(answer, path, client, receiver) : null,
        };
    }

    private Diagnosis ExamineAnswer(PastedRequest answer, ExaminedClient? client, Receiver receiver)
    {
        // A pasted answer does not say to which path it belongs.
        Diagnosis? first = null;
        foreach (var path in practice.Paths)
        {
            var diagnosis = ExamineAnswer(answer, practice.StrippedPrefix + path, client, receiver);
            if (!diagnosis.Causes.Any(cause => cause.Id == AnswerExam.Changed))
                return diagnosis;
            first ??= diagnosis;
        }
        return first!;
    }

    private Diagnosis ExamineAnswer(PastedRequest answer, string path, ExaminedClient? client, Receiver receiver) =>
        new AnswerExam(practice).Examine(answer with { Target = path }, client, receiver);

    /// <summary>
    /// Describes a public key by length, fingerprint and known owner, or names the mistake in the text.
    /// </summary>
    public string NameKey(string text, ExaminedClient? client, DateTimeOffset now) =>
        Keys.Name(text, client, practice, now);

    // Codes 1 to 3.
    private ServedOperation Address(Findings findings, PastedRequest request, string path)
    {
        var query = path.IndexOf('?', StringComparison.Ordinal);
        // As in the server, an escaped slash stays escaped and separates nothing.
        var bare = Uri.UnescapeDataString(
            (query < 0 ? path : path[..query]).Replace("%2F", "%252F", StringComparison.OrdinalIgnoreCase)
        );
        if (practice.StrippedPrefix.Length > 0 && bare.StartsWith(practice.StrippedPrefix, StringComparison.Ordinal))
            bare = bare[practice.StrippedPrefix.Length..];
        findings.Look(
            ResultCode.InvalidApi,
            practice.Paths.Contains(bare, StringComparer.Ordinal) ? "" : "path-unknown",
            $"The path {Visible.Beginning(bare)} is served.",
            bare.StartsWith("//", StringComparison.Ordinal)
                ? $"The path begins with two slashes: the base URL ends with one. Served is {practice.Paths[0]}."
                : $"The path {Visible.Beginning(bare)} is not served. Served is {string.Join(" and ", practice.Paths)}."
        );
        findings.Look(
            ResultCode.MethodNotSupported,
            request.Method == "POST" ? "" : "method-not-post",
            "The method is POST.",
            $"The method is {Visible.Beginning(request.Method)}; it must be POST, in capitals."
        );
        findings.Look(
            ResultCode.MediaTypeNotAcceptable,
            MediaTypes.AcceptsJson(request.Header("Accept")) ? "" : "accept",
            "Accept admits JSON.",
            $"Accept is {Visible.Beginning(string.Join(", ", request.Header("Accept")))}, which admits no JSON. "
                + "Leave it out, or send application/json."
        );
        findings.Look(
            ResultCode.MediaTypeNotAcceptable,
            MediaTypes.IsJson(request.Header("Content-Type")) ? "" : "content-type",
            "Content-Type is JSON, or left out.",
            $"Content-Type is {Visible.Beginning(string.Join(", ", request.Header("Content-Type")))}. "
                + "Send application/json."
        );
        // A request to an unknown path most likely meant the main operation.
        return practice.Operations.FirstOrDefault(operation => operation.Paths.Contains(bare, StringComparer.Ordinal))
            ?? practice.Operations[0];
    }

    // Code 4.
    private (string? ClientId, string? Time, SignatureHeader? Header) Headers(
        Findings findings,
        PastedRequest request,
        DateTimeOffset now
    )
    {
        var clientId = Once(findings, request, "Client-Id");
        if (clientId is not null)
            findings.Look(
                ResultCode.ParamIllegal,
                WireIdentifier.IsClientId(clientId) ? "" : "client-malformed",
                $"Client-Id is {Visible.Of(Encoding.UTF8.GetBytes(clientId))}.",
                $"Client-Id is {Visible.Beginning(clientId)}, and {WireIdentifier.ClientIdRule}."
            );
        var time = Once(findings, request, "Request-Time");
        if (time is not null)
        {
            var illegal = RequestTime.Check(time, now, practice.Tolerance) as RequestTime.Illegal;
            var (id, why) = illegal is null ? ("", "") : Clock(time, now);
            var at = RequestTime.Read(time) as RequestTime.At;
            findings.LookAtTime(
                id,
                $"Request-Time is {Visible.Beginning(time)}, {Seconds((at?.Time ?? now) - now)} s from our clock.",
                $"The header Request-Time {illegal?.Problem}{why}",
                mayBeOld: at?.Time < now && id is "clock" or "clock-zone"
            );
        }
        var value = Once(findings, request, "Signature");
        if (value is null)
            return (clientId, time, null);
        var isHeader = SignatureHeader.TryParse(value, out var header);
        findings.Look(
            ResultCode.ParamIllegal,
            isHeader ? "" : "signature-header",
            "The header Signature has its members.",
            "The header Signature must be algorithm=RSA256, keyVersion=<version>, signature=<text>."
        );
        return (clientId, time, header);
    }

    private static string? Once(Findings findings, PastedRequest request, string name)
    {
        var values = request.Header(name);
        if (values is [var one])
            return one;
        findings.Look(
            ResultCode.ParamIllegal,
            values.Count == 0 ? "header-missing" : "header-twice",
            "",
            values.Count == 0
                ? $"The header {name} is missing."
                : $"The header {name} came more than once; give it once."
        );
        return values.Count == 0 ? null : values[0];
    }

    // Names the mistake in a time: a difference of whole hours is a wrong zone, and so is a missing offset.
    private static (string Id, string Why) Clock(string time, DateTimeOffset now)
    {
        if (RequestTime.Read(time) is not RequestTime.At { Time: var at })
            return (
                time.Length > 10 && time.Contains('T', StringComparison.Ordinal) ? "time-offset" : "time-malformed",
                ""
            );
        if (time.Length is 9 or 10 && time.All(char.IsAsciiDigit))
            return ("time-seconds", "");
        var skew = at - now;
        var quarters = Math.Round(skew / TimeSpan.FromMinutes(15));
        var isZone =
            quarters != 0
            && Math.Abs(quarters) <= 14 * 4
            && (skew - (quarters * TimeSpan.FromMinutes(15))).Duration() <= TimeSpan.FromSeconds(60)
            && quarters % 2 == 0;
        if (!isZone)
            return ("clock", $" It differs by {Seconds(skew)} s: set the clock by NTP.");
        var hours = (quarters / 4).ToString("+0.##;-0.##", CultureInfo.InvariantCulture);
        return (
            "clock-zone",
            $" It differs by {hours} hours: a local time was sent with the offset of another zone"
                + (Math.Abs(quarters) == 4 ? ", or daylight saving is not heeded." : ".")
        );
    }

    // Code 5.
    private static void Client(Findings findings, string? clientId, ExaminedClient? client) =>
        findings.Look(
            ResultCode.ClientInvalid,
            client is null || client.Id != clientId ? "client-unknown"
                : client.Enabled ? ""
                : "client-disabled",
            "The client is known.",
            client is null ? $"There is no client {Visible.Beginning(clientId ?? "")}."
                : client.Enabled ? $"Client-Id is {Visible.Beginning(clientId ?? "")}; yours is {client.Id}."
                : "The client is disabled."
        );

    // Code 6.
    private static ExaminedKey? Key(
        Findings findings,
        SignatureHeader? header,
        ExaminedClient? client,
        DateTimeOffset now
    )
    {
        if (header is null || client is null)
            return null;
        var key = client.FindKey(header.KeyVersionNumber, now);
        var named = client.Keys.FirstOrDefault(k => k.Version == header.KeyVersionNumber);
        findings.Look(
            ResultCode.KeyNotFound,
            key is not null ? ""
                : named is null ? "key-version-unknown"
                : "key-not-active",
            $"The key of version {key?.Version} is active.",
            named is null
                ? $"There is no key of version {Visible.Beginning(header.KeyVersion ?? "(none given)")}. "
                    + $"There are: {string.Join(", ", client.Keys.Select(k => k.Version))}."
                : $"The key of version {named.Version} is {SignatureStep.State(named, now)}."
        );
        return key;
    }

    // Code 9.
    private static void Body(Findings findings, PastedRequest request, ServedOperation operation)
    {
        if (request.Body.Length > RequestBody.MaxBytes)
        {
            findings.Look(
                ResultCode.ParamIllegal,
                "body",
                "",
                $"The body must be at most {RequestBody.MaxBytes} bytes."
            );
            return;
        }
        var body = new RequestBody.Whole(request.Body, string.Join(", ", request.Header("Content-Encoding")));
        var members = StringMembers.Read(body, operation.Members);
        var problem = members switch
        {
            StringMembers.Illegal illegal => illegal.Problem,
            StringMembers.Given { Values: var values } => operation.Problem(values),
            _ => "",
        };
        findings.Look(
            ResultCode.ParamIllegal,
            problem.Length == 0 ? "" : "body",
            $"The body has the members of the operation {operation.Name}.",
            problem
        );
    }

    private static string Seconds(TimeSpan time) =>
        time.TotalSeconds.ToString("+0.#;-0.#;0", CultureInfo.InvariantCulture);
}
