using System.Security.Cryptography;
using CancelService.Application.Cancelling;
using CancelService.Doctor;

namespace CancelService.UnitTests.Doctor;

/// <summary>
/// The corpus of mistakes, and the doctor with the client and keys for it. Each file has a request and its causes;
/// <c>make-mistakes.py</c> generates them, so that signer and doctor share no code.
/// </summary>
internal static class Corpus
{
    public static readonly DateTimeOffset Now = new(2026, 11, 25, 3, 0, 5, TimeSpan.Zero);
    public static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Doctor", "Mistakes");

    public static readonly ExaminedClient Merchant = new(
        "M-1",
        Enabled: true,
        [
            Key(1, "one"),
            Key(2, "two"),
            Key(3, "revoked", revokedAt: Now.AddDays(-1)),
            Key(4, "expired", notAfter: Now.AddDays(-1)),
            Key(5, "future", notBefore: Now.AddDays(1)),
        ]
    );

    /// <summary>The merchant with one key, version 1, for tests that sign requests themselves.</summary>
    public static ExaminedClient MerchantWith(RSA key) =>
        Merchant with
        {
            Keys = [new(1, key.ExportSubjectPublicKeyInfoPem(), null, null, null)],
        };

    /// <summary>The operation cancel, as the service describes it to the doctor.</summary>
    public static readonly ServedOperation Cancel = new(
        "cancel",
        ["/v2/payments/cancel"],
        ["paymentId", "paymentRequestId", "extendInfo"],
        values => CancelPaymentValidator.Problem(values[0], values[1], values[2])
    );

    public static readonly RequestDoctor TheDoctor = new(
        new Practice(
            [Cancel],
            "",
            TimeSpan.FromMinutes(5),
            [new StrangeKey("key-wallet", "the wallet's own key", Pem("wallet"))]
        )
    );

    public static Diagnosis Examine(byte[] request) =>
        TheDoctor.Examine(
            PastedRequest.Read(request, out var problem).ShouldNotBeNull(problem),
            Merchant,
            Now,
            cameNow: true
        );

    public static PastedRequest Request(string mistake)
    {
        var file = File.ReadAllBytes(Path.Combine(Folder, mistake + ".http"));
        return PastedRequest.Read(file.AsSpan(file.AsSpan().IndexOf((byte)'\n') + 1), out _).ShouldNotBeNull();
    }

    private static ExaminedKey Key(
        int version,
        string name,
        DateTimeOffset? revokedAt = null,
        DateTimeOffset? notBefore = null,
        DateTimeOffset? notAfter = null
    ) => new(version, Pem(name), notBefore, notAfter, revokedAt);

    private static string Pem(string name) => File.ReadAllText(Path.Combine(Folder, name + ".pem"));
}
