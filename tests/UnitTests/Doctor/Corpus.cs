using System.Security.Cryptography;
using CancelService.Application.Doctor;
using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.UnitTests.Doctor;

/// <summary>
/// The corpus of mistakes, and the doctor with the client and keys for it. Each file has a request and its causes;
/// <c>make-mistakes.py</c> generates them, so that signer and doctor share no code.
/// </summary>
internal static class Corpus
{
    public static readonly DateTimeOffset Now = new(2026, 11, 25, 3, 0, 5, TimeSpan.Zero);
    public static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Doctor", "Mistakes");

    public static readonly Client Merchant = new()
    {
        Id = new ClientId("M-1"),
        Name = "A merchant",
        Enabled = true,
        Contract = new Contract(),
        Keys =
        [
            Key(1, "one"),
            Key(2, "two"),
            Key(3, "revoked", revokedAt: Now.AddDays(-1)),
            Key(4, "expired", notAfter: Now.AddDays(-1)),
            Key(5, "future", notBefore: Now.AddDays(1)),
        ],
    };

    /// <summary>The merchant with one key, version 1, for tests that sign requests themselves.</summary>
    public static Client MerchantWith(RSA key) =>
        new()
        {
            Id = Merchant.Id,
            Name = Merchant.Name,
            Enabled = true,
            Contract = Merchant.Contract,
            Keys = [new() { Version = 1, PublicKey = PublicKey.Parse(key.ExportSubjectPublicKeyInfoPem()) }],
        };

    public static readonly RequestDoctor TheDoctor = new(
        new Practice(
            ["/v2/payments/cancel"],
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

    private static ClientKey Key(
        int version,
        string name,
        DateTimeOffset? revokedAt = null,
        DateTimeOffset? notBefore = null,
        DateTimeOffset? notAfter = null
    ) =>
        new()
        {
            Version = version,
            PublicKey = Pem(name),
            RevokedAt = revokedAt,
            NotBefore = notBefore,
            NotAfter = notAfter,
        };

    private static PublicKey Pem(string name) => PublicKey.Parse(File.ReadAllText(Path.Combine(Folder, name + ".pem")));
}
