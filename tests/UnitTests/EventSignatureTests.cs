using System.Text;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Signing;
using CancelService.Protocol;
using CsCheck;
using Microsoft.AspNetCore.Http;
using StandardWebhooks;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: receivers verify events with a published library of Standard Webhooks, and no other signed text passes for an
/// event.
/// </summary>
public sealed class EventSignatureTests : IDisposable
{
    private static readonly Guid Id = Guid.Parse("019ab0c2-6f1e-7c5a-9d43-0b6a5a2f7e11");
    private static readonly string Old = EventSignature.NewSecret();
    private static readonly string New = EventSignature.NewSecret();

    private readonly string _walletKey = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public EventSignatureTests() => File.WriteAllText(_walletKey, Given.KeyPair.ExportPkcs8PrivateKeyPem());

    public void Dispose() => File.Delete(_walletKey);

    // The library compares the timestamp with the machine's clock, so a fixed time would be rejected.
    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    [Fact]
    public void A_receiver_verifies_an_event_with_the_published_library()
    {
        const string body =
            """{"id":"019ab0c2-6f1e-7c5a-9d43-0b6a5a2f7e11","type":"payment.cancelled","payer":"ä 😀"}""";

        IsVerified(Old, body, Signed([Old], body)).ShouldBeTrue();
    }

    [Fact]
    public void An_event_verifies_with_the_old_and_the_new_secret_during_a_rotation()
    {
        var headers = Signed([Old, New], "{}");

        // Standard Webhooks asks for any matching signature, but this library checks the first alone.
        string[] signatures = headers["webhook-signature"].ToString().Split(' ');
        signatures.Length.ShouldBe(2);
        IsVerified(Old, "{}", With(signatures[0])).ShouldBeTrue();
        IsVerified(New, "{}", With(signatures[1])).ShouldBeTrue();
        IsVerified(EventSignature.NewSecret(), "{}", headers).ShouldBeFalse();

        HeaderDictionary With(string signature) => new(headers.ToDictionary()) { ["webhook-signature"] = signature };
    }

    [Theory]
    [InlineData("webhook-id", "019ab0c2-6f1e-7c5a-9d43-0b6a5a2f7e12")]
    [InlineData("webhook-id", "019ab0c2-6f1e-7c5a-9d43-0b6a5a2f7e11.1")]
    [InlineData("webhook-timestamp", "+1")]
    [InlineData("body", "{ }")]
    [InlineData("body", "")]
    public void A_tampered_event_does_not_verify(string part, string value)
    {
        var headers = Signed([Old], "{}");
        if (part != "body")
            headers[part] = value == "+1" ? $"{long.Parse(headers[part]!, null) + 1}" : value;

        IsVerified(Old, part == "body" ? value : "{}", headers).ShouldBeFalse();
    }

    [Theory]
    [InlineData("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true)] // 24 bytes, the specification's example
    [InlineData("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", false)]
    [InlineData("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==", false)] // 22 bytes
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false)]
    [InlineData("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false)]
    [InlineData("whsec_", false)]
    [InlineData("whsec_not base64 at all, not even nearly", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_secret_has_the_prefix_whsec_and_24_to_64_bytes_in_base64(string? text, bool accepted)
    {
        EventSignature.IsSecret(text).ShouldBe(accepted);
        if (accepted)
            Should.NotThrow(() => new EventSignature([text!]));
        else
            Should.Throw<FormatException>(() => new EventSignature([text!]));
    }

    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void A_secret_has_at_most_64_bytes(int bytes, bool accepted) =>
        EventSignature.IsSecret("whsec_" + Convert.ToBase64String(new byte[bytes])).ShouldBe(accepted);

    // An attacker chooses the method, path and Client-Id of a request, and the wallet signs them in its answer.
    [Trait(Category.Trait, Category.Seeded)]
    [Fact]
    public void Nothing_that_the_wallet_signs_for_merchants_verifies_as_an_event()
    {
        var wallet = WalletKey.Load(_walletKey, 1);
        var timestamp = Now.ToUnixTimeSeconds();
        string[] ids = [$"{Id}", "a", "POST", ""];
        string[] adversarial =
        [
            $"{Id}.{timestamp}.",
            $"/{Id}.{timestamp}.{{}}",
            "{}",
            ".",
            "\n",
            $"DEMO.{timestamp}",
            "/hook",
        ];
        var id = Gen.Int[0, ids.Length - 1].Select(i => ids[i]);
        var text = Gen.Frequency(
            (1, Gen.String[0, 40]),
            (2, Gen.Int[0, adversarial.Length - 1].Select(i => adversarial[i]))
        );
        Gen.Select(text, text, text, text, id)
            .Sample(
                (path, clientId, time, body, eventId) =>
                {
                    var hash = SignatureScheme.Hash("POST", path, clientId, time, Encoding.UTF8.GetBytes(body));
                    var header = wallet.Sign(hash);
                    var signature = Uri.UnescapeDataString(
                        header[(header.IndexOf("signature=", StringComparison.Ordinal) + 10)..]
                    );
                    var signed = Encoding.UTF8.GetString(StringToSign.Of("POST", path, clientId, time, body));
                    string[] bodies = [body, signed, signed[(signed.LastIndexOf('.') + 1)..]];
                    string[] signatures = [header, $"v1,{signature}", $"v1a,{signature}", signature];
                    return !bodies.Any(payload =>
                        signatures.Any(value =>
                            IsVerified(
                                Old,
                                payload,
                                new HeaderDictionary
                                {
                                    ["webhook-id"] = eventId,
                                    ["webhook-timestamp"] = $"{timestamp}",
                                    ["webhook-signature"] = value,
                                }
                            )
                        )
                    );
                },
                iter: 300
            );
    }

    private static HeaderDictionary Signed(string[] secrets, string body)
    {
        var headers = new HeaderDictionary();
        foreach (var (name, value) in new EventSignature(secrets).Headers(Id, Now, Encoding.UTF8.GetBytes(body)))
            headers[name] = value;
        return headers;
    }

    private static bool IsVerified(string secret, string body, HeaderDictionary headers)
    {
        try
        {
            new StandardWebhook(secret).Verify(body, headers);
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return false;
        }
    }
}
