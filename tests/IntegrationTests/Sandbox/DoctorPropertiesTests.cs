using System.Security.Cryptography;
using System.Text;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Protocol;
using CsCheck;
using static CancelService.UnitTests.Doctor.Corpus;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>
/// Goal: the doctor's verdict is true for any pasted text. Needs no database, but more time than a unit test may take.
/// </summary>
[Trait(Category.Trait, Category.Seeded)]
public sealed class DoctorPropertiesTests
{
    private static readonly RSA Signer = RSA.Create(2048);

    // Changes one byte of the text before it is signed, or of the finished request. The doctor finds no cause exactly
    // when the service would verify the request. A key that it names in the first case is the signing key.
    [Fact]
    public void Doctor_agrees_with_the_service_after_any_single_byte_change() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.Byte, Gen.Bool)
            .Sample(
                (position, value, afterwards) =>
                {
                    var client = MerchantWith(Signer);
                    const string time = "2026-11-25T03:00:00.123Z";
                    var body = """{"paymentId":"p-17","extendInfo":"Grüße"}"""u8.ToArray();
                    var text = StringToSign.Of("POST", "/v2/payments/cancel", "M-1", time, body);
                    if (!afterwards)
                        text[position % text.Length] = value;
                    var signature = Uri.EscapeDataString(
                        Convert.ToBase64String(
                            Signer.SignData(text, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                        )
                    );
                    byte[] request =
                    [
                        .. Encoding.UTF8.GetBytes(
                            $"POST /v2/payments/cancel HTTP/1.1\r\nClient-Id: M-1\r\nRequest-Time: {time}\r\n"
                                + $"Signature: algorithm=RSA256, keyVersion=1, signature={signature}\r\n\r\n"
                        ),
                        .. body,
                    ];
                    if (afterwards)
                        request[position % request.Length] = value;
                    if (PastedRequest.Read(request, out var problem) is not { } pasted)
                    {
                        problem.ShouldStartWith("The text ");
                        return;
                    }

                    var diagnosis = TheDoctor.Examine(pasted, client, Now, cameNow: true);

                    (diagnosis.Causes.Count == 0).ShouldBe(IsServed(pasted, client), DiagnosisText.Of(diagnosis));
                    if (diagnosis.Signature is { Key: not "" } && !afterwards)
                        diagnosis.Signature.Key.ShouldBe("your key of version 1 (active)");
                },
                iter: 100
            );

    [Fact]
    public void Doctor_examines_or_rejects_any_pasted_text() =>
        Gen.Select(Gen.Int[0, 400], Gen.Int[0, 3000], Gen.Byte.Array[0, 40])
            .Sample(
                (which, at, junk) =>
                {
                    var files = Directory.GetFiles(Folder, "*.http");
                    var file = File.ReadAllBytes(files[which % files.Length]);
                    at %= file.Length;
                    byte[] paste = [.. file[..at], .. junk, .. file[at..]];
                    if (PastedRequest.Read(paste.AsSpan(paste.AsSpan().IndexOf((byte)'\n') + 1), out _) is { } pasted)
                        DiagnosisText.Of(TheDoctor.Examine(pasted, Merchant, Now, cameNow: false)).ShouldNotBeEmpty();
                },
                iter: 150
            );

    // Decides as the service does, by the protocol's own functions.
    private static bool IsServed(PastedRequest request, ExaminedClient client)
    {
        if (
            request is not { Method: "POST", Target: "/v2/payments/cancel" }
            || request.Header("Client-Id") is not [var id]
            || id != client.Id
            || request.Header("Request-Time") is not [var time]
            || RequestTime.Check(time, Now, TimeSpan.FromMinutes(5)) is not RequestTime.At
            || request.Header("Signature") is not [var header]
            || !SignatureHeader.TryParse(header, out var signature)
            || !signature.IsRsa256
            || client.FindKey(signature.KeyVersionNumber, Now) is not { } key
            || !signature.TryDecode(out var bytes)
        )
            return false;
        var hash = SignatureScheme.Hash(request.Method, request.Target, id, time, request.Body);
        return PublicKey.Parse(key.PublicKeyPem).Verifies(hash, bytes)
            && StringMembers.Read(new RequestBody.Whole(request.Body, ""), ["paymentId"])
                is StringMembers.Given { Values: [{ } paymentId] }
            && Identifier.IsWellFormed(paymentId);
    }
}
