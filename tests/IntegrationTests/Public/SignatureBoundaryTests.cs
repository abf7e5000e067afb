using System.Text;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using CsCheck;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: no answer of the public port verifies as an answer to another client, time, path or body, whatever the request
/// contains. The string to sign is joined by a space, a line feed and dots; this property splits every answer at each
/// of them, as a lenient verifier might, and finds exactly one reading.
/// </summary>
public sealed class SignatureBoundaryTests(PostgresServer postgres)
{
    private const string Forged =
        "DEMO_CLIENT.2026-11-25T11:00:00.000+08:00.{\"result\":{\"resultCode\":\"SUCCESS\","
        + "\"resultStatus\":\"S\"},\"paymentId\":\"p\"}";

    private static readonly Gen<string> Noise = Gen.String[Gen.Char["ab1_-.:+TZ{}\"/%\\ ,=\u00e9"], 0, 60];

    private static readonly Gen<string> ClientIds = Gen.OneOf(
        OneOf("DEMO_CLIENT", "A", "-", "2026-11-25T11-00-00", "1764039600000", "", Forged, "DEMO_CLIENT.1764039600000"),
        Gen.Select(OneOf("DEMO_CLIENT", "A"), OneOf(".", "\t", " ", "\u00b7", "%2E", "\\n"), Noise)
            .Select((id, separator, rest) => id + separator + rest),
        Noise
    );

    private static readonly Gen<string> Targets = Gen.OneOf(
        OneOf(
            CancelCall.Path,
            $"{CancelCall.Path}?{Uri.EscapeDataString(Forged)}",
            $"{CancelCall.Path}%0ADEMO_CLIENT.2026-11-25T11:00:00.000%2B08:00.x",
            "/hooks/cancelled",
            $"/{Forged}",
            "/."
        ),
        Noise.Select(noise => $"/{noise.Replace(" ", "", StringComparison.Ordinal)}")
    );

    private static readonly Gen<string> Methods = OneOf("POST", "GET", "POST.", "A.2026-11-25T11", "!#$%&'*+-.^_`|~");

    private static readonly Gen<string> Times = Gen.OneOf(
        OneOf("2026-11-23T12:00:00Z", "2026-11-23T12:00Z", "1795435200000", "1795435200", Forged),
        Noise
    );

    [Trait(Category.Trait, Category.Seeded)]
    [Fact]
    public async Task Signed_answer_has_exactly_one_reading_for_any_request()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        using var connection = new KeptConnection(host.PublicPort);
        var signed = 0;
        await Gen.Select(Methods, Targets, ClientIds, Times, Noise)
            .SampleAsync(
                async request =>
                {
                    var (method, target, clientId, time, body) = request;
                    var bytes = Encoding.UTF8.GetBytes(
                        $"{method} {target} HTTP/1.1\r\nHost: h\r\nClient-Id: {clientId}\r\nRequest-Time: {time}\r\n"
                            + $"Signature: signature={body.Replace(" ", "", StringComparison.Ordinal)}\r\n"
                            + $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}"
                    );
                    var answer = await connection.Send(bytes);
                    if (answer.Status != 200)
                        return; // Not HTTP, so there is no signature.
                    Interlocked.Increment(ref signed);
                    var echoed = answer.Header("client-id");
                    (echoed == "" || echoed == clientId.Trim(' ', '\t')).ShouldBeTrue(echoed);
                    answer.ShouldBeSigned(method, target, echoed);
                    var text = Encoding.UTF8.GetString(
                        StringToSign.Of(method, target, echoed, answer.Header("response-time"), answer.Body)
                    );
                    Readings(text)
                        .ShouldBe(
                            echoed == "" ? [] : [(method, target, echoed, answer.Header("response-time"), answer.Text)]
                        );
                },
                iter: 500
            );
        // The property needs signed answers; requests refused by the server do not test it.
        signed.ShouldBeGreaterThan(100);
    }

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(i => texts[i]);

    // Every reading of a text as an answer: a method and path without space or line feed, an identifier of any kind, a
    // time in any format that the protocol has ever used, and a body.
    private static List<(string Method, string Path, string ClientId, string Time, string Body)> Readings(string text)
    {
        var readings = new List<(string, string, string, string, string)>();
        foreach (var space in Indexes(text, ' ', 0))
        foreach (var feed in Indexes(text, '\n', space + 1))
        foreach (var afterId in Indexes(text, '.', feed + 1))
        foreach (var afterTime in Indexes(text, '.', afterId + 1))
        {
            var (method, path) = (text[..space], text[(space + 1)..feed]);
            var (id, time) = (text[(feed + 1)..afterId], text[(afterId + 1)..afterTime]);
            if (
                !method.Contains(' ', StringComparison.Ordinal)
                && !path.AsSpan().ContainsAny(' ', '\n')
                && Identifier.IsWellFormed(id)
                && RequestTime.Read(time) is RequestTime.At
            )
                readings.Add((method, path, id, time, text[(afterTime + 1)..]));
        }
        return readings;
    }

    private static IEnumerable<int> Indexes(string text, char c, int from)
    {
        for (var i = text.IndexOf(c, from); i >= 0; i = text.IndexOf(c, i + 1))
            yield return i;
    }
}
