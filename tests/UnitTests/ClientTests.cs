using System.Formats.Asn1;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Protocol;
using PublicKey = CancelService.Domain.Clients.PublicKey;

namespace CancelService.UnitTests;

public sealed class ClientTests
{
    // Keys are valid from 11:00 to 13:00 unless their line says otherwise.
    public static readonly TheoryData<string[]> KeyChoices = Table.Cases(
        """
        keys                            asked  found  because
        1                               -      1      the only one
        1, 2, 3                         -      3      the newest is the default
        3, 1, 2                         -      3      in whatever order they come
        1, 2, 3                         1      1      an older one is still active
        1, 2, 3                         4      none   there is no such version
        1, 2                            0      none   there is no such version
        1, 2                            -1     none   there is no such version
        none                            -      none   the client has no key
        1, 2 revoked                    -      1      the newest active one is the default
        1, 2 revoked                    2      none   a revoked one is not found
        1, 2 revoked in future          2      none   revoked is revoked
        1 revoked                       -      none   nothing is active
        1, 2 from next tick             -      1      not valid yet
        1, 2 from next tick             2      none   not valid yet, by a tick
        1, 2 from this tick             2      2      valid from this very tick
        1, 2 until this tick            2      none   no longer valid at this very tick
        1, 2 until this tick            -      1      no longer valid at this very tick
        1, 2 until next tick            2      2      valid for a last tick
        1, 2 for ever                   2      2      no bounds at all
        """
    );

    [Theory]
    [MemberData(nameof(KeyChoices))]
    public void A_key_is_found_by_its_version_while_it_is_active(string[] columns)
    {
        var keys = columns[0] == "none" ? [] : columns[0].Split(", ").Select(Key).ToArray();
        int? asked = columns[1] == "-" ? null : Number(columns[1]);

        var found = Given.Client(null, keys).FindKey(asked, Given.Noon);

        (found?.Version.ToString(CultureInfo.InvariantCulture) ?? "none").ShouldBe(columns[2], columns[3]);
    }

    [Fact]
    public void The_default_contract_allows_cancelling_in_the_usual_window()
    {
        var contract = new Contract();

        contract.MayCancel.ShouldBeTrue();
        contract.Window.ShouldBe(Domain.Payments.CancelWindow.Usual);
    }

    [Theory]
    [InlineData(2048)]
    [InlineData(3072)]
    public void An_RSA_key_of_2048_bits_or_more_is_accepted_and_verifies_its_signatures(int bits)
    {
        using var rsa = RSA.Create(bits);
        PublicKeyText.TryRead(rsa.ExportSubjectPublicKeyInfoPem(), out var der, out var problem).ShouldBeTrue(problem);
        var key = PublicKey.Of(der);
        var hash = SHA256.HashData("text"u8);
        var signature = rsa.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);

        key.Pem.ShouldBe(rsa.ExportSubjectPublicKeyInfoPem());
        key.Verifies(hash, signature).ShouldBeTrue();
        key.Verifies(hash, signature).ShouldBeTrue("a key must verify more than once");
        key.Verifies(SHA256.HashData("test"u8), signature).ShouldBeFalse();
        key.Verifies(hash, signature.AsSpan(1)).ShouldBeFalse();
        key.Verifies(hash, []).ShouldBeFalse();
        key.Verifies(hash, rsa.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pss)).ShouldBeFalse();
    }

    [Fact]
    public async Task A_key_verifies_concurrently()
    {
        var key = Given.PublicKey;
        var signed = Enumerable.Range(0, 16).Select(i => SHA256.HashData([(byte)i])).ToList();
        var signatures = signed.ConvertAll(Sign);

        var verified = await Task.WhenAll(
            Enumerable
                .Range(0, 256)
                .Select(i => Task.Run(() => key.Verifies(signed[i % 16], signatures[(i + (i / 128)) % 16])))
        );

        verified.Take(128).ShouldAllBe(yes => yes);
        verified.Skip(128).ShouldAllBe(yes => !yes);

        static byte[] Sign(byte[] hash) =>
            Given.KeyPair.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    }

    // Rows are known by name, because the keys differ in each run and test names must not.
    private static readonly Dictionary<string, string> Forms = new(StringComparer.Ordinal)
    {
        { "PEM", Good },
        { "PEM with CR LF", Good.ReplaceLineEndings("\r\n") },
        { "PEM on one line, with \\n", Good.ReplaceLineEndings("\\n") },
        { "PEM on one line, with \\r\\n", Good.ReplaceLineEndings("\\r\\n") },
        { "PEM on one line, with blanks", Good.ReplaceLineEndings(" ") },
        { "PEM in quotes", $"\"{Good}\"" },
        { "byte order mark", $"\uFEFF{Good}" },
        { "text around PEM", $"key of the shop\n{Good}\nend" },
        { "bare base64", Bare(Given.KeyPair.ExportSubjectPublicKeyInfo()) },
        { "bare base64 in lines", Lines(Bare(Given.KeyPair.ExportSubjectPublicKeyInfo()), 64) },
        { "bare base64 in lines of MIME", Lines(Bare(Given.KeyPair.ExportSubjectPublicKeyInfo()), 76) },
        { "bare base64 with a line feed", Bare(Given.KeyPair.ExportSubjectPublicKeyInfo()) + "\n" },
        {
            "base64url",
            Bare(Given.KeyPair.ExportSubjectPublicKeyInfo()).Replace('+', '-').Replace('/', '_').TrimEnd('=')
        },
        { "PKCS#1", Given.KeyPair.ExportRSAPublicKeyPem() },
        { "bare PKCS#1", Bare(Given.KeyPair.ExportRSAPublicKey()) },
        { "certificate", Certificate(Given.KeyPair).ExportCertificatePem() },
        { "certificate, as OpenSSL once called it", Pem("X509 CERTIFICATE", Certificate(Given.KeyPair).RawData) },
        { "bare certificate", Bare(Certificate(Given.KeyPair).RawData) },
    };

    public static TheoryData<string> FormNames => [.. Forms.Keys];

    [Theory]
    [MemberData(nameof(FormNames))]
    public void A_key_is_parsed_from_every_form_that_merchants_send(string form)
    {
        PublicKeyText.TryRead(Forms[form], out var der, out var problem).ShouldBeTrue($"{form}: {problem}");

        PublicKey.Of(der).Pem.ShouldBe(Good);
    }

    private static readonly (string What, string Text, string Reason)[] BadKeys =
    [
        ("empty", "", "not an RSA public key"),
        ("junk", "junk", "not an RSA public key"),
        ("text", "no key at all!", "neither PEM nor base64"),
        ("junk inside PEM", Pem("PUBLIC KEY", [1, 2, 3]), "not an RSA public key"),
        ("no base64 inside PEM", "-----BEGIN PUBLIC KEY-----\n???\n-----END PUBLIC KEY-----", "not an RSA public key"),
        ("PEM without its end", Good[..^30], "has no line -----END PUBLIC KEY-----"),
        ("bare base64, cut short", Bare(Given.KeyPair.ExportSubjectPublicKeyInfo())[..200], "cut short"),
        ("private key", Given.KeyPair.ExportPkcs8PrivateKeyPem(), "This is a private key"),
        ("private key, PKCS#1", Given.KeyPair.ExportRSAPrivateKeyPem(), "This is a private key"),
        ("private key as public", Pem("PUBLIC KEY", Given.KeyPair.ExportPkcs8PrivateKey()), "This is a private key"),
        ("private key, bare", Bare(Given.KeyPair.ExportPkcs8PrivateKey()), "This is a private key"),
        ("private key, PKCS#1, bare", Bare(Given.KeyPair.ExportRSAPrivateKey()), "This is a private key"),
        (
            "private key, encrypted",
            Bare(
                Given.KeyPair.ExportEncryptedPkcs8PrivateKey(
                    "secret",
                    new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1)
                )
            ),
            "This is a private key"
        ),
        ("private and public key", $"{Given.KeyPair.ExportPkcs8PrivateKeyPem()}\n{Good}", "This is a private key"),
        ("elliptic curve", EllipticCurve(), "elliptic curve"),
        ("Ed25519", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", "another algorithm"),
        ("RSA-PSS only", Spki(bits: 2048, exponent: 65537, algorithm: "1.2.840.113549.1.1.10"), "RSA-PSS"),
        ("certificate request", Request(), "openssl req -in request.pem -pubkey -noout"),
        ("certificate request, bare", Bare(Convert.FromBase64String(Inside(Request()))), "certificate request"),
        ("OpenSSH", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== shop@example", "ssh-keygen -e -m PKCS8 -f key.pub"),
        ("SSH2", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "ssh-keygen"),
        ("JWK", """{"kty":"RSA","n":"x","e":"AQAB"}""", "JWK"),
        (
            "PGP",
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEN\n-----END PGP PUBLIC KEY BLOCK-----",
            "PGP PUBLIC KEY BLOCK"
        ),
        ("two keys", $"{Good}\n{Good}", "two keys"),
        ("a key with more behind it", Bare([.. Given.KeyPair.ExportSubjectPublicKeyInfo(), 48, 0]), "two keys"),
        ("one character too many", new string('A', 16_385), "more than 16384 characters"),
        ("the longest text", new string('A', 16_384), "cut short"),
        ("a label without its end", "-----BEGIN PUBLIC KEY", "neither PEM nor base64"),
        ("a label of control characters", "-----BEGIN A\u001fB~\u007f KEY-----\n-----END", "says A?B~? KEY."),
        ("1024 bits", Rsa(1024), "1024 bits; at least 2048"),
        ("2047 bits", Spki(bits: 2047, exponent: 65537), "2047 bits; at least 2048"),
        ("8193 bits", Spki(bits: 8193, exponent: 65537), "8193 bits; at most 8192"),
        // Some platforms refuse to load such a key; elsewhere our own check refuses it.
        ("exponent 1", Spki(bits: 2048, exponent: 1), "public"),
        ("exponent 65536", Spki(bits: 2048, exponent: 65536), "public"),
    ];

    public static TheoryData<string> BadKeyNames => [.. BadKeys.Select(bad => bad.What)];

    [Theory]
    [MemberData(nameof(BadKeyNames))]
    public void A_key_that_cannot_be_trusted_is_refused_with_the_reason(string what)
    {
        var (_, pem, reason) = BadKeys.Single(bad => bad.What == what);
        PublicKeyText.TryRead(pem, out var key, out var problem).ShouldBeFalse(what);

        key.ShouldBeNull();
        problem.ShouldNotBeNull().ShouldContain(reason);
        problem.ShouldNotContain("MII"); // The message must not quote the key.
    }

    [Fact]
    public void A_crafted_key_without_a_defect_is_accepted()
    {
        PublicKeyText.TryRead(Spki(bits: 2048, exponent: 65537), out _, out var problem).ShouldBeTrue(problem);
        PublicKeyText.TryRead(Spki(bits: 8192, exponent: 65537), out _, out problem).ShouldBeTrue(problem);
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("pay_2089760038715669_202775745075669", true)]
    [InlineData("A-Z.0_9", true)]
    [InlineData("1234567890123456789012345678901234567890123456789012345678901234", true)]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    [InlineData(" a", false)]
    [InlineData("a b", false)]
    [InlineData("a\n", false)]
    [InlineData("a/b", false)]
    [InlineData("a%20b", false)]
    [InlineData("é", false)]
    [InlineData("１", false)]
    [InlineData("a\0", false)]
    public void An_identifier_has_1_to_64_letters_digits_underscores_hyphens_and_dots(string? text, bool wellFormed)
    {
        Identifier.IsWellFormed(text).ShouldBe(wellFormed);
        Func<string>[] identifiers =
        [
            () => new PaymentId(text!).ToString(),
            () => new PaymentRequestId(text!).ToString(),
        ];
        foreach (var identifier in identifiers)
        {
            if (wellFormed)
                identifier().ShouldBe(text);
            else
                Should.Throw<ArgumentException>(identifier).Message.ShouldContain(Identifier.Rule);
        }
    }

    // A dot ends the client's identifier in the string to sign, so a dot in it would be ambiguous.
    [Theory]
    [InlineData("a", true)]
    [InlineData("TEST_5X00000000000000", true)]
    [InlineData("A-Z_0-9", true)]
    [InlineData("1234567890123456789012345678901234567890123456789012345678901234", true)]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345", false)]
    [InlineData("a.b", false)]
    [InlineData(".", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    [InlineData("a b", false)]
    [InlineData("a\n", false)]
    [InlineData("é", false)]
    public void A_client_identifier_has_no_dot(string? text, bool wellFormed)
    {
        ClientId.IsWellFormed(text).ShouldBe(wellFormed);
        if (wellFormed)
            new ClientId(text!).ToString().ShouldBe(text);
        else
            Should.Throw<ArgumentException>(() => new ClientId(text!)).Message.ShouldContain(ClientId.Rule);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1_000_000_000_000_000, true)]
    [InlineData(1_000_000_000_000_001, false)]
    [InlineData(0, false)]
    [InlineData(-1, false)]
    [InlineData(long.MaxValue, false)]
    [InlineData(long.MinValue, false)]
    public void An_amount_is_1_to_10_to_the_15th_minor_units(long minorUnits, bool possible)
    {
        if (possible)
            Given.Usd.Of(minorUnits).MinorUnits.ShouldBe(minorUnits);
        else
            Should.Throw<ArgumentOutOfRangeException>(() => Given.Usd.Of(minorUnits));
    }

    [Theory]
    [InlineData("USD", true)]
    [InlineData("usd", false)]
    [InlineData("US", false)]
    [InlineData("USDT", false)]
    [InlineData("U5D", false)]
    [InlineData("ÜSD", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_currency_is_three_capital_letters(string? code, bool possible)
    {
        Currency.IsWellFormed(code).ShouldBe(possible);
        if (possible)
            new Currency(code!).ToString().ShouldBe(code);
        else
            Should.Throw<ArgumentException>(() => new Currency(code!));
    }

    [Theory]
    [InlineData(TransferKind.Deposit, LedgerAccount.Settlement, LedgerAccount.Merchant, 7)]
    [InlineData(TransferKind.Payout, LedgerAccount.Merchant, LedgerAccount.Settlement, -7)]
    public void A_transfer_debits_one_account_and_credits_the_other(
        TransferKind kind,
        LedgerAccount debit,
        LedgerAccount credit,
        long change
    )
    {
        var transfer = Transfer.Of(kind, Given.Usd.Of(7));

        transfer.ShouldBe(new Transfer(debit, credit, Given.Usd.Of(7)));
        transfer.Change.ShouldBe(change);
    }

    private static string Good => Given.KeyPair.ExportSubjectPublicKeyInfoPem();

    // Parses "2 revoked": a version and its deviation from the usual key.
    private static ClientKey Key(string text)
    {
        var words = text.Split(' ', 2);
        var special = words is [_, var more] ? more : "";
        var noon = Given.Noon;
        return new ClientKey
        {
            Version = Number(words[0]),
            PublicKey = Given.PublicKey,
            NotBefore = special switch
            {
                "from next tick" => noon.AddTicks(1),
                "from this tick" => noon,
                "for ever" => null,
                _ => noon.AddHours(-1),
            },
            NotAfter = special switch
            {
                "until this tick" => noon,
                "until next tick" => noon.AddTicks(1),
                "for ever" => null,
                _ => noon.AddHours(1),
            },
            RevokedAt = special switch
            {
                "revoked" => noon.AddHours(-1),
                "revoked in future" => noon.AddHours(1),
                _ => null,
            },
        };
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string Pem(string label, byte[] der) => PemEncoding.WriteString(label, der);

    private static string Bare(byte[] der) => Convert.ToBase64String(der);

    private static string Lines(string text, int length) =>
        string.Join('\n', text.Chunk(length).Select(line => new string(line)));

    private static string Inside(string pem) => string.Concat(pem.Split('\n')[1..^1]);

    private static X509Certificate2 Certificate(RSA key) =>
        Named(key).CreateSelfSigned(Given.Noon.AddDays(-1), Given.Noon.AddDays(1));

    private static string Request() => Named(Given.KeyPair).CreateSigningRequestPem();

    private static CertificateRequest Named(RSA key) =>
        new("CN=shop", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);

    private static string Rsa(int bits)
    {
        using var rsa = RSA.Create(bits);
        return rsa.ExportSubjectPublicKeyInfoPem();
    }

    private static string EllipticCurve()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return key.ExportSubjectPublicKeyInfoPem();
    }

    // Any odd number serves as the modulus, because no test signs with the key.
    private static string Spki(int bits, int exponent, string algorithm = "1.2.840.113549.1.1.1")
    {
        var modulus = (System.Numerics.BigInteger.One << bits) - 1;
        var key = new AsnWriter(AsnEncodingRules.DER);
        using (key.PushSequence())
        {
            key.WriteInteger(modulus);
            key.WriteInteger(exponent);
        }
        var info = new AsnWriter(AsnEncodingRules.DER);
        using (info.PushSequence())
        {
            using (info.PushSequence())
            {
                info.WriteObjectIdentifier(algorithm);
                info.WriteNull();
            }
            info.WriteBitString(key.Encode());
        }
        return Pem("PUBLIC KEY", info.Encode());
    }
}
