using System.Security.Cryptography;
using System.Text;
using CancelService.Doctor;
using CancelService.Protocol;
using static CancelService.UnitTests.Doctor.Corpus;

namespace CancelService.UnitTests.Doctor;

/// <summary>Goal: the doctor names the receiver's mistake when a pasted answer does not verify.</summary>
public sealed class AnswersTests
{
    private const string Body =
        """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"success."},"paymentId":"p1","cancelTime":"2026-11-25T11:00:05+08:00"}""";
    private const string Time = "2026-11-25T11:00:05.123+08:00";

    private static readonly RSA Wallet = RSA.Create(2048);
    private static readonly RequestDoctor Doctor = new(
        new Practice(
            [Cancel],
            "",
            TimeSpan.FromMinutes(5),
            [new StrangeKey("key-wallet", "the wallet's own key", Wallet.ExportSubjectPublicKeyInfoPem())]
        )
    );

    private static readonly string Signed = $"POST /v2/payments/cancel\nM-1.{Time}.{Body}";

    // Each pasted answer with its causes and a part of the diagnosis.
    public static TheoryData<string, string, string> Pastes() =>
        new()
        {
            { Answer(), "", "the answer is genuine" },
            { Answer(end: "\r\n"), "", "the answer is genuine" },
            { Answer(eol: "\n"), "", "the answer is genuine" },
            { CurlVerbose(), "", "the answer is genuine" },
            { Answer(body: Pretty()), "body-json", "the pasted text is written in another way" },
            { Answer(body: Body.Replace("p1", "p2", StringComparison.Ordinal)), "answer-changed", "another text" },
            { Answer(time: "2026-11-25T03:00:05.123Z"), "time-format", "The wallet signed the time as" },
            { Answer(clientId: "m-1"), "client", "The wallet signed" },
            { Answer(drop: "response-time"), "header-missing", "no header response-time" },
            { Answer(drop: "signature"), "header-missing", "not of the API" },
            { Answer(signature: "algorithm=RSA256"), "signature-header", "cut" },
            { Answer(signature: SignedBy(RSA.Create(2048))), "answer-forged", "don't believe it" },
            {
                Answer(signature: SignedBy(Wallet).Replace("%", "%25", StringComparison.Ordinal)),
                "signature-encoding",
                "twice"
            },
        };

    [Theory]
    [MemberData(nameof(Pastes))]
    public void A_pasted_answer_is_compared_with_the_text_that_the_wallet_signed(
        string paste,
        string causes,
        string says
    )
    {
        var answer = PastedRequest.Read(Encoding.UTF8.GetBytes(paste), out var problem).ShouldNotBeNull(problem);
        var diagnosis = Doctor.Examine(answer, Merchant, Now, cameNow: true);

        string.Join(' ', diagnosis.Causes.Select(cause => cause.Id).Distinct(StringComparer.Ordinal))
            .ShouldBe(causes, DiagnosisText.Of(diagnosis));
        diagnosis.Code.ShouldBe("SUCCESS");
        DiagnosisText.Of(diagnosis).ShouldContain(says);
        // The texts for requests address the signer, but here the wallet signed.
        DiagnosisText.Of(diagnosis).ShouldNotContain("You signed");
    }

    /// <summary>Goal: the doctor examines the request and the answer of an HAR entry, a browser's export.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("base64")]
    public void The_answer_of_an_HAR_entry_is_examined_too(string encoding)
    {
        var genuine = Doctor.Examine(Read(Har(Body, encoding)), Merchant, Now, cameNow: false);
        genuine.Answer.ShouldNotBeNull().Causes.ShouldBeEmpty(DiagnosisText.Of(genuine));
        DiagnosisText.Of(genuine).ShouldContain("the answer is genuine");

        var changed = Body.Replace("p1", "p2", StringComparison.Ordinal);
        var forged = Doctor.Examine(Read(Har(changed, encoding)), Merchant, Now, cameNow: false);
        forged.Answer.ShouldNotBeNull().Causes.Select(cause => cause.Id).ShouldBe(["answer-changed"]);

        var own = Merchant.Keys[1].PublicKeyPem;
        var asked = Doctor.Examine(Read(Har(Body, encoding)), Merchant, Now, cameNow: false, new("", own));
        asked.Answer.ShouldNotBeNull().Causes.Select(cause => cause.Id).ShouldBe(["key-own"]);

        Doctor.Examine(Read(Har("", encoding)), Merchant, Now, cameNow: false).Answer.ShouldBeNull("nothing came");
    }

    /// <summary>Goal: the doctor calls no answer genuine without the wallet's signature by our scheme.</summary>
    [Fact]
    public void An_answer_with_another_key_or_another_hash_is_forged()
    {
        using var own = RSA.Create(2048);
        var client = MerchantWith(own);
        var sha512 = SignatureScheme.Header(
            1,
            Wallet.SignData(Encoding.UTF8.GetBytes(Signed), HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1)
        );
        foreach (var signature in (string[])[SignedBy(own), sha512])
        {
            var diagnosis = Doctor.Examine(
                Read(Answer(signature: signature)),
                client,
                Now,
                cameNow: false,
                Receiver.Silent
            );
            diagnosis.Causes.Select(cause => cause.Id).ShouldBe(["answer-forged"]);
            DiagnosisText.Of(diagnosis).ShouldNotContain("genuine");
        }
    }

    // Each text that the receiver verifies, with its cause.
    public static TheoryData<string, string> Verified() =>
        new()
        {
            { Signed, "" },
            { Sha256(Signed), "" },
            { Signed.Replace("\n", "\\n", StringComparison.Ordinal), "line-break" },
            { Sha256(Signed.Replace("\n", "\r\n", StringComparison.Ordinal)), "line-break" },
            { Signed.Replace("05.123", "04.871", StringComparison.Ordinal), "time-moment" },
            { Signed.Replace(Body, Pretty(), StringComparison.Ordinal), "body-json" },
            { Sha256(Sha256(Signed)), "hashed-twice" },
            { Signed.Replace("POST /v2/payments/cancel\n", "", StringComparison.Ordinal), "first-line" },
            { Signed.Replace("p1", "p2", StringComparison.Ordinal), "verifies-unknown" },
            { "hello", "verifies-unknown" },
        };

    [Theory]
    [MemberData(nameof(Verified))]
    public void The_text_that_the_receiver_verifies_is_compared_with_the_signed_text(string text, string cause)
    {
        var diagnosis = Doctor.Examine(Read(Answer()), Merchant, Now, cameNow: false, new(text, ""));

        string.Join(' ', diagnosis.Causes.Select(c => c.Id)).ShouldBe(cause, DiagnosisText.Of(diagnosis));
        if (cause.Length == 0)
            DiagnosisText.Of(diagnosis).ShouldContain("You verify the text that the wallet has signed.");
        DiagnosisText.Of(diagnosis).ShouldNotContain("You signed");
    }

    public static TheoryData<string, string> KeysOfReceivers() =>
        new()
        {
            { Wallet.ExportSubjectPublicKeyInfoPem(), "" },
            { Wallet.ExportRSAPublicKeyPem(), "" },
            { Merchant.Keys[1].PublicKeyPem, "key-own" },
            { RSA.Create(2048).ExportSubjectPublicKeyInfoPem(), "key-unknown" },
            { "hello", "key-unreadable" },
        };

    [Theory]
    [MemberData(nameof(KeysOfReceivers))]
    public void The_key_of_the_receiver_is_named(string key, string cause)
    {
        var diagnosis = Doctor.Examine(Read(Answer()), Merchant, Now, cameNow: false, new("", key));
        string.Join(' ', diagnosis.Causes.Select(c => c.Id)).ShouldBe(cause, DiagnosisText.Of(diagnosis));
    }

    public static TheoryData<string, string> SomeKeys() =>
        new()
        {
            {
                Wallet.ExportSubjectPublicKeyInfoPem(),
                "of 2048 bits with the exponent 65537.* It is the wallet's own key"
            },
            { Merchant.Keys[0].PublicKeyPem, "M-1's key of version 1, which is active" },
            { Merchant.Keys[2].PublicKeyPem, "M-1's key of version 3, which is revoked" },
            { RSA.Create(3072).ExportRSAPublicKeyPem(), "of 3072 bits.* It is no key of M-1" },
            { Wallet.ExportPkcs8PrivateKeyPem(), "^This is a private key" },
            { "hello", "is not an RSA public key" },
        };

    [Theory]
    [MemberData(nameof(SomeKeys))]
    public void A_key_is_named(string key, string expected) => Doctor.NameKey(key, Merchant, Now).ShouldMatch(expected);

    private static PastedRequest Read(string paste) =>
        PastedRequest.Read(Encoding.UTF8.GetBytes(paste), out _).ShouldNotBeNull();

    private static string Answer(
        string body = Body,
        string time = Time,
        string clientId = "M-1",
        string signature = "",
        string drop = "-",
        string eol = "\r\n",
        string end = ""
    )
    {
        string[] lines =
        [
            "HTTP/1.1 200 OK",
            $"client-id: {clientId}",
            $"response-time: {time}",
            $"signature: {(signature.Length > 0 ? signature : SignedBy(Wallet))}",
            "Content-Type: application/json; charset=UTF-8",
        ];
        return string.Join(eol, lines.Where(line => !line.StartsWith(drop, StringComparison.Ordinal)))
            + eol
            + eol
            + body
            + end;
    }

    private static string Har(string body, string encoding)
    {
        var content = encoding == "base64" ? Convert.ToBase64String(Encoding.UTF8.GetBytes(body)) : body;
        return System.Text.Json.JsonSerializer.Serialize(
            new
            {
                request = new
                {
                    method = "POST",
                    url = "http://localhost/v2/payments/cancel",
                    headers = Array.Empty<object>(),
                    postData = new { text = """{"paymentId":"p1"}""" },
                },
                response = new
                {
                    status = 200,
                    headers = Answer()
                        .Split("\r\n\r\n")[0]
                        .Split("\r\n")[1..]
                        .Select(line => line.Split(": ", 2))
                        .Select(pair => new { name = pair[0], value = pair[1] }),
                    content = new { text = content, encoding },
                },
            }
        );
    }

    private static string CurlVerbose() =>
        string.Join(
            "\n",
            Answer(eol: "\n").Split('\n').SkipLast(1).Select(line => line.Length == 0 ? "< " : "< " + line)
        )
        + "\n* Connection #0 to host localhost left intact\n"
        + Body;

    private static string SignedBy(RSA key) =>
        SignatureScheme.Header(
            1,
            key.SignData(Encoding.UTF8.GetBytes(Signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
        );

    private static string Pretty() =>
        System.Text.Json.Nodes.JsonNode.Parse(Body)!.ToJsonString(new() { WriteIndented = true, NewLine = "\n" });

    private static string Sha256(string text) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
