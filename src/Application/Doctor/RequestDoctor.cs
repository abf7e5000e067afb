using System.Globalization;
using System.Text;
using CancelService.Application.Cancelling;
using CancelService.Application.Payments;
using CancelService.Application.Protocol;
using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.Application.Doctor;

/// <summary>A key that is not the client's own, which the signature may have been made with all the same.</summary>
/// <param name="Id">The cause when it was: <c>key-wallet</c>.</param>
/// <param name="Owner">Whose it is, for a reader: "the wallet's own key".</param>
/// <param name="Key">The key.</param>
public sealed record StrangeKey(string Id, string Owner, PublicKey Key);

/// <summary>What the doctor knows of the service.</summary>
/// <param name="Paths">The paths that are served.</param>
/// <param name="StrippedPrefix">What a proxy strips from them.</param>
/// <param name="Tolerance">How far Request-Time may be away from the clock.</param>
/// <param name="StrangeKeys">
/// Other keys than the client's, the wallet's own first. One client is told of another's in a sandbox alone.
/// </param>
public sealed record Practice(
    IReadOnlyList<string> Paths,
    string StrippedPrefix,
    TimeSpan Tolerance,
    IReadOnlyList<StrangeKey> StrangeKeys
);

/// <summary>
/// Says why a request is refused, to the byte. It does not guess: a signature of RSA gives back the hash that was signed, under the
/// key that has signed it, and the hash is compared with those of the texts that merchants sign by mistake.
/// </summary>
/// <remarks>It uses public keys alone, looks nothing up, and bounds its work (<see cref="Candidates.MaxTried"/>).</remarks>
public sealed class RequestDoctor(Practice practice)
{
    /// <summary>Examines a request, or an answer.</summary>
    /// <param name="request">What was pasted.</param>
    /// <param name="client">The client that has sent it; absent when none is known.</param>
    /// <param name="now">When it came, or is looked at (UTC).</param>
    /// <param name="cameNow">
    /// Whether it came at that moment. Otherwise it may be an old one, so that its age is a cause only when there is no other.
    /// </param>
    public Diagnosis Examine(PastedRequest request, Client? client, DateTimeOffset now, bool cameNow) =>
        Examine(request, client, now, cameNow, Receiver.Silent);

    /// <summary>The same, with what the receiver of an answer says of how it is verified.</summary>
    public Diagnosis Examine(PastedRequest request, Client? client, DateTimeOffset now, bool cameNow, Receiver receiver)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(receiver);
        if (request.IsAnswer)
            return ExamineAnswer(request, client, receiver);
        var chart = new Chart(cameNow);
        var path = SignatureScheme.PathOf(request.Target);
        if (path.StartsWith('/'))
            path = practice.StrippedPrefix + path;
        Address(chart, request, path);
        var (clientId, time, header) = Headers(chart, request, now);
        Client(chart, clientId, client);
        var key = Key(chart, header, client, now);

        SignatureFinding? signature = null;
        TextFinding? text = null;
        Difference? difference = null;
        // A body that is too long is refused without being verified.
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
                (signature, difference) = new SignatureStep(practice, chart, now).Look(
                    header,
                    client,
                    key,
                    candidates,
                    right
                );
        }
        Body(chart, request, client);
        chart.Close();
        return new(chart.Code, chart.Causes, chart.Steps, signature, text, difference)
        {
            Answer = request.Answer is { } answer ? ExamineAnswer(answer, client, receiver) : null,
        };
    }

    private Diagnosis ExamineAnswer(PastedRequest answer, Client? client, Receiver receiver)
    {
        var asSigned = answer with { Target = practice.StrippedPrefix + practice.Paths[0] };
        return new AnswerExam(practice).Examine(asSigned, client, receiver);
    }

    /// <summary>Names a public key: how long it is, its fingerprint, and whose it is, as far as that is known here.</summary>
    public string NameKey(string text, Client? client, DateTimeOffset now) => Keys.Name(text, client, practice, now);

    // Codes 1 to 3.
    private void Address(Chart chart, PastedRequest request, string path)
    {
        var query = path.IndexOf('?', StringComparison.Ordinal);
        // As the server does it: an escaped slash separates nothing, and stays escaped.
        var bare = Uri.UnescapeDataString(
            (query < 0 ? path : path[..query]).Replace("%2F", "%252F", StringComparison.OrdinalIgnoreCase)
        );
        if (practice.StrippedPrefix.Length > 0 && bare.StartsWith(practice.StrippedPrefix, StringComparison.Ordinal))
            bare = bare[practice.StrippedPrefix.Length..];
        chart.Look(
            ResultCode.InvalidApi,
            practice.Paths.Contains(bare, StringComparer.Ordinal) ? "" : "path-unknown",
            $"The path {Visible.Beginning(bare)} is served.",
            bare.StartsWith("//", StringComparison.Ordinal)
                ? $"The path begins with two slashes: the base URL ends with one. Served is {practice.Paths[0]}."
                : $"The path {Visible.Beginning(bare)} is not served. Served is {string.Join(" and ", practice.Paths)}."
        );
        chart.Look(
            ResultCode.MethodNotSupported,
            request.Method == "POST" ? "" : "method-not-post",
            "The method is POST.",
            $"The method is {Visible.Beginning(request.Method)}; it must be POST, in capitals."
        );
        chart.Look(
            ResultCode.MediaTypeNotAcceptable,
            MediaTypes.AcceptsJson(request.Header("Accept")) ? "" : "accept",
            "Accept admits JSON.",
            $"Accept is {Visible.Beginning(string.Join(", ", request.Header("Accept")))}, which admits no JSON. Leave it out, or send application/json."
        );
        chart.Look(
            ResultCode.MediaTypeNotAcceptable,
            MediaTypes.IsJson(request.Header("Content-Type")) ? "" : "content-type",
            "Content-Type is JSON, or left out.",
            $"Content-Type is {Visible.Beginning(string.Join(", ", request.Header("Content-Type")))}. Send application/json."
        );
    }

    // Code 4.
    private (string? ClientId, string? Time, SignatureHeader? Header) Headers(
        Chart chart,
        PastedRequest request,
        DateTimeOffset now
    )
    {
        var clientId = Once(chart, request, "Client-Id");
        if (clientId is not null)
            chart.Look(
                ResultCode.ParamIllegal,
                ClientId.IsWellFormed(clientId) ? "" : "client-malformed",
                $"Client-Id is {Visible.Of(Encoding.UTF8.GetBytes(clientId))}.",
                $"Client-Id is {Visible.Beginning(clientId)}, and {ClientId.Rule}."
            );
        var time = Once(chart, request, "Request-Time");
        if (time is not null)
        {
            var illegal = RequestTime.Check(time, now, practice.Tolerance) as RequestTime.Illegal;
            var (id, why) = illegal is null ? ("", "") : Clock(time, now);
            var at = RequestTime.Read(time) as RequestTime.At;
            chart.LookAtTime(
                id,
                $"Request-Time is {Visible.Beginning(time)}, {Seconds((at?.Time ?? now) - now)} s from our clock.",
                $"The header Request-Time {illegal?.Problem}{why}",
                mayBeOld: at?.Time < now && id is "clock" or "clock-zone"
            );
        }
        var value = Once(chart, request, "Signature");
        if (value is null)
            return (clientId, time, null);
        var isHeader = SignatureHeader.TryParse(value, out var header);
        chart.Look(
            ResultCode.ParamIllegal,
            isHeader ? "" : "signature-header",
            "The header Signature has its members.",
            "The header Signature must be algorithm=RSA256, keyVersion=<version>, signature=<text>."
        );
        return (clientId, time, header);
    }

    private static string? Once(Chart chart, PastedRequest request, string name)
    {
        var values = request.Header(name);
        if (values is [var one])
            return one;
        chart.Look(
            ResultCode.ParamIllegal,
            values.Count == 0 ? "header-missing" : "header-twice",
            "",
            values.Count == 0
                ? $"The header {name} is missing."
                : $"The header {name} came more than once; give it once."
        );
        return values.Count == 0 ? null : values[0];
    }

    // What a wrong time is: whole hours are a zone, an offset that was left out too.
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
    private static void Client(Chart chart, string? clientId, Client? client) =>
        chart.Look(
            ResultCode.ClientInvalid,
            client is null || client.Id.Value != clientId ? "client-unknown"
                : client.Enabled ? ""
                : "client-disabled",
            "The client is known.",
            client is null ? $"There is no client {Visible.Beginning(clientId ?? "")}."
                : client.Enabled ? $"Client-Id is {Visible.Beginning(clientId ?? "")}; yours is {client.Id}."
                : "The client is disabled."
        );

    // Code 6: the key that the service verifies with.
    private static ClientKey? Key(Chart chart, SignatureHeader? header, Client? client, DateTimeOffset now)
    {
        if (header is null || client is null)
            return null;
        var key = client.FindKey(header.KeyVersionNumber, now);
        var named = client.Keys.FirstOrDefault(k => k.Version == header.KeyVersionNumber);
        chart.Look(
            ResultCode.KeyNotFound,
            key is not null ? ""
                : named is null ? "key-version-unknown"
                : "key-not-active",
            $"The key of version {key?.Version} is active.",
            named is null
                ? $"There is no key of version {Visible.Beginning(header.KeyVersion ?? "(none given)")}. There are: {string.Join(", ", client.Keys.Select(k => k.Version))}."
                : $"The key of version {named.Version} is {SignatureStep.State(named, now)}."
        );
        return key;
    }

    // Code 9.
    private static void Body(Chart chart, PastedRequest request, Client? client)
    {
        if (request.Body.Length > RequestBody.MaxBytes)
        {
            chart.Look(ResultCode.ParamIllegal, "body", "", $"The body must be at most {RequestBody.MaxBytes} bytes.");
            return;
        }
        var body = new RequestBody.Whole(request.Body, string.Join(", ", request.Header("Content-Encoding")));
        var members = StringMembers.Read(body, ["paymentId", "paymentRequestId", "extendInfo"]);
        var problem = members switch
        {
            StringMembers.Illegal illegal => illegal.Problem,
            StringMembers.Given { Values: [var id, var requestId, var extendInfo] } => new CancelPaymentValidator()
                .Validate(new CancelPaymentCommand(client!, id, requestId, extendInfo, new Canceller(1, "")))
                .Errors.FirstOrDefault()
                ?.ErrorMessage,
            _ => null,
        };
        chart.Look(
            ResultCode.ParamIllegal,
            problem is null ? "" : "body",
            "The body is what a cancel needs.",
            problem ?? ""
        );
    }

    private static string Seconds(TimeSpan time) =>
        time.TotalSeconds.ToString("+0.#;-0.#;0", CultureInfo.InvariantCulture);
}
