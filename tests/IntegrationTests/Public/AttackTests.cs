using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: attacks on signatures and on the isolation between clients fail.</summary>
public sealed class AttackTests(SharedHosts hosts, PrefixedHost prefixed, PostgresServer postgres)
    : IClassFixture<SharedHosts>,
        IClassFixture<PrefixedHost>
{
    // Changes that a man in the middle makes to a signed request, as text on the wire.
    private static readonly Dictionary<string, Func<string, string>> Changes = new(StringComparer.Ordinal)
    {
        ["another payment in the body"] = text => Swap(text, "\"p1\"", "\"p2\""),
        ["another extendInfo in the body"] = text => Swap(text, "info", "1nfo"),
        ["a blank of the body"] = text =>
            Swap(text, "{\"p", "{ \"p").Replace("h: 39", "h: 40", StringComparison.Ordinal),
        ["an escape in the body"] = text =>
            Swap(text, "\"p1\"", "\"\\u00701\"").Replace("h: 39", "h: 44", StringComparison.Ordinal),
        ["a query"] = text => Swap(text, "/cancel HTTP", "/cancel?a=b HTTP"),
        ["an empty query"] = text => Swap(text, "/cancel HTTP", "/cancel? HTTP"),
        ["an escape in the path"] = text => Swap(text, "/cancel HTTP", "/c%61ncel HTTP"),
        ["a dot in the path"] = text => Swap(text, "/payments/", "/./payments/"),
        ["the time, by a millisecond"] = text => Swap(text, "00.000+", "00.001+"),
        ["the time's form"] = text => Swap(text, "00.000+00:00", "00.000Z"),
        ["the time's offset"] = text => Swap(text, "T12:00:00.000+00:00", "T13:00:00.000+01:00"),
        ["where the time ends and the body begins"] = text =>
            Swap(text, "00.000+00:00", "00")
                .Replace("{\"pay", "000+00:00.{\"pay", StringComparison.Ordinal)
                .Replace("h: 39", "h: 49", StringComparison.Ordinal),
    };

    public static MatrixTheoryData<string, DatabaseProvider> ChangesAfterSigning => Both.Times(Changes.Keys);

    [Theory]
    [MemberData(nameof(ChangesAfterSigning))]
    public async Task Request_changed_after_signing_is_refused(string what, DatabaseProvider provider)
    {
        var (host, client, call) = await PaidCall(provider);
        await host.AddPayment(client, State.Success, "p2");
        var before = await host.Dump(client);
        var answer = await Raw(host, Changes[what](Encoding.Latin1.GetString(call.ToBytes())));
        answer.ResultStatus.ShouldBe("F");
        answer.Code.ShouldBeOneOf("INVALID_SIGNATURE", "PARAM_ILLEGAL");
        (await host.Dump(client)).ShouldBe(before);
        (await host.Send(call)).Code.ShouldBe("SUCCESS"); // Control: the unchanged request succeeds.
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Request_signed_for_another_method_is_refused(DatabaseProvider provider)
    {
        var (host, _, call) = await PaidCall(provider);
        foreach (var method in new[] { "PUT", "GET", "post", "" })
        {
            var signed = Encoding.Latin1.GetString((call with { Method = method }).ToBytes());
            var answer = await Raw(host, "POST" + signed[method.Length..]);
            answer.Code.ShouldBe("INVALID_SIGNATURE");
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Request_signed_for_another_client_is_refused_even_with_the_same_key(DatabaseProvider provider)
    {
        var (host, client, call) = await PaidCall(provider);
        var other = await host.AddClient(); // Test clients share a key.
        var text = Encoding.Latin1.GetString((call with { Client = other }).ToBytes());
        var answer = await Raw(host, Swap(text, $"Client-Id: {other.Id}", $"Client-Id: {client.Id}"));
        answer.Code.ShouldBe("INVALID_SIGNATURE");
    }

    [Theory]
    [MatrixData(
        "another client's key: keyVersion=1 by stranger",
        "another client's key without a version: by stranger",
        "another key version: keyVersion=1 by second",
        "the older key without a version: by first",
        "a key that has expired: keyVersion=3 by first",
        "a key that is not yet valid: keyVersion=4 by first",
        "a revoked key: keyVersion=5 by first",
        "a version that never was: keyVersion=6 by first",
        "the wallet's own key: keyVersion=1 by wallet"
    )]
    public async Task Signature_by_an_unknown_expired_or_revoked_key_is_refused(string row, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (first, second, stranger) = (KeyPair.Merchant, KeyPair.Other, Stranger.Value);
        await host.AddClient(keys: [new ClientKey { Version = 1, PublicKey = stranger.PublicKey }]);
        var client = await host.AddClient(
            keys:
            [
                Key(1, first),
                Key(2, second),
                Key(3, first, notAfter: host.Now),
                Key(4, first, notBefore: host.Now.AddSeconds(1)),
                Key(5, first, revokedAt: host.Now),
            ]
        );
        await host.AddPayment(client, State.Success);
        var attack = row.Split(": ")[1];
        var (version, by) = (attack.Split("by ")[0].Trim(), attack.Split("by ")[1]);
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Form = version.Length == 0 ? "signature={0}" : $"{version}, signature={{0}}",
            Key = by switch
            {
                "first" => first,
                "second" => second,
                "stranger" => stranger,
                _ => KeyPair.Wallet,
            },
        };
        var before = await host.Dump(client);
        (await host.Send(call)).Code.ShouldBeOneOf("INVALID_SIGNATURE", "KEY_NOT_FOUND");
        (await host.Dump(client)).ShouldBe(before);
        (await host.Send(call with { Key = first, Form = "keyVersion=1, signature={0}" })).Code.ShouldBe("SUCCESS");
    }

    // Valid signatures under other schemes over the right string, with the header's name of each scheme.
    private static readonly Dictionary<string, (string Algorithm, Func<RSA, byte[], byte[]> Sign)> Downgrades = new(
        StringComparer.Ordinal
    )
    {
        ["no algorithm at all"] = ("none", (_, _) => []),
        ["RSA with MD5"] = ("RSA256", Pkcs1(HashAlgorithmName.MD5)),
        ["RSA with SHA-1"] = ("RSA256", Pkcs1(HashAlgorithmName.SHA1)),
        ["RSA with SHA-1, named"] = ("SHA1withRSA", Pkcs1(HashAlgorithmName.SHA1)),
        ["RSA with SHA-512"] = ("RSA256", Pkcs1(HashAlgorithmName.SHA512)),
        ["RSA with SHA-512, named"] = ("RSA512", Pkcs1(HashAlgorithmName.SHA512)),
        ["RSA with PSS"] = (
            "RSA256",
            (rsa, data) => rsa.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pss)
        ),
        ["the right signature under another name"] = ("RS256", Pkcs1(HashAlgorithmName.SHA256)),
        ["the right signature under a name with a Turkish i"] = ("SHA256wıthRSA", Pkcs1(HashAlgorithmName.SHA256)),
        ["an HMAC with the public key"] = (
            "HS256",
            (rsa, data) => HMACSHA256.HashData(rsa.ExportSubjectPublicKeyInfo(), data)
        ),
        ["an HMAC with the public key's PEM"] = (
            "RSA256",
            (rsa, data) => HMACSHA256.HashData(Encoding.ASCII.GetBytes(rsa.ExportSubjectPublicKeyInfoPem()), data)
        ),
        ["the hash itself"] = ("RSA256", (_, data) => SHA256.HashData(data)),
        ["the hash, padded but not signed"] = ("RSA256", (rsa, data) => Padded(SHA256.HashData(data), rsa.KeySize / 8)),
        ["ECDSA"] = (
            "RSA256",
            (_, data) =>
            {
                using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
                return ecdsa.SignData(data, HashAlgorithmName.SHA256);
            }
        ),
    };

    public static MatrixTheoryData<string, DatabaseProvider> OtherSchemes => Both.Times(Downgrades.Keys);

    [Theory]
    [MemberData(nameof(OtherSchemes))]
    public async Task Signature_of_another_scheme_is_refused(string scheme, DatabaseProvider provider)
    {
        var (host, client, call) = await PaidCall(provider);
        var (algorithm, sign) = Downgrades[scheme];
        using var rsa = RSA.Create();
        rsa.ImportFromPem(KeyPair.Merchant.PrivatePem);
        var before = await host.Dump(client);
        var attack = call with
        {
            Form = $"algorithm={algorithm}, keyVersion=1, signature={{0}}",
            Encode = _ => Uri.EscapeDataString(Convert.ToBase64String(sign(rsa, SignedBytes(call)))),
        };
        (await host.Send(attack)).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Dump(client)).ShouldBe(before);
    }

    // Distortions of a valid signature's bytes.
    private static readonly Dictionary<string, Func<byte[], byte[]>> Distortions = new(StringComparer.Ordinal)
    {
        ["empty"] = _ => [],
        ["one byte"] = good => good[..1],
        ["without its last byte"] = good => good[..^1],
        ["without its first byte"] = good => good[1..],
        ["with a byte more"] = good => [.. good, 0],
        ["with a zero before it"] = good => [0, .. good],
        ["twice"] = good => [.. good, .. good],
        ["with its last bit flipped"] = good => [.. good[..^1], (byte)(good[^1] ^ 1)],
        ["backwards"] = good => [.. good.Reverse()],
        ["zero"] = good => new byte[good.Length],
        ["one"] = good => Number(BigInteger.One, good.Length),
        ["the modulus less one"] = good => Number(Modulus - 1, good.Length),
        ["the modulus"] = good => Number(Modulus, good.Length),
        ["the modulus less itself"] = good => Number(Modulus - Number(good), good.Length),
        ["itself and the modulus"] = good => Number(Modulus + Number(good), good.Length + 1),
        ["all bits set"] = good => [.. Enumerable.Repeat((byte)0xff, good.Length)],
    };

    public static MatrixTheoryData<string, DatabaseProvider> DistortedSignatures => Both.Times(Distortions.Keys);

    [Theory]
    [MemberData(nameof(DistortedSignatures))]
    public async Task Distorted_signature_is_refused(string what, DatabaseProvider provider)
    {
        var (host, client, call) = await PaidCall(provider);
        var before = await host.Dump(client);
        var attack = call with
        {
            Encode = good => Uri.EscapeDataString(Convert.ToBase64String(Distortions[what](good))),
        };
        (await host.Send(attack)).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Signature_forged_as_a_cube_root_is_refused(DatabaseProvider provider)
    {
        // Bleichenbacher's 2006 attack on exponent 3: it fools a verifier that ignores the bytes after the hash.
        using var weak = RSA.Create();
        weak.ImportParameters(new RSAParameters { Modulus = Number(Modulus, 256), Exponent = [3] });
        var key = PublicKey.Parse(weak.ExportSubjectPublicKeyInfoPem());
        var host = await hosts.On(provider);
        var client = await host.AddClient(keys: [new ClientKey { Version = 1, PublicKey = key }]);
        await host.AddPayment(client, State.Success);
        var call = new CancelCall { Client = client, At = host.Now };
        byte[] digest = [.. DigestInfo, .. SHA256.HashData(SignedBytes(call))];
        byte[] start = [0, 1, .. Enumerable.Repeat((byte)0xff, 8), 0, .. digest];
        byte[] wanted = [.. start, .. Enumerable.Repeat((byte)0xff, 256 - start.Length)];
        var root = Number(CubeRoot(Number(wanted)), 256);
        // Control: the forged root is valid for such a verifier.
        Number(BigInteger.Pow(Number(root), 3), 256)[..start.Length].ShouldBe(start);

        var forged = call with { Encode = _ => Uri.EscapeDataString(Convert.ToBase64String(root)) };
        (await host.Send(forged)).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Success);
    }

    [Theory]
    [MatrixData("1024 bits", "2040 bits", "exponent 1", "elliptic")]
    public async Task Weak_key_is_not_trusted_even_when_stored_in_the_database(string kind, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        var call = new CancelCall { Client = client, At = host.Now };
        var signed = SignedBytes(call);
        var (pem, signature) = BadKey(kind, signed);
        PublicKeyText.TryRead(pem, out _, out _).ShouldBeFalse();
        await host.Execute($"UPDATE client_keys SET public_key = '{pem}' WHERE client_id = '{client.Id}'");

        var attack = call with { Encode = _ => Uri.EscapeDataString(Convert.ToBase64String(signature)) };
        (await host.Send(attack)).ResultStatus.ShouldBeOneOf("F", "U");
        await host.Execute(
            $"UPDATE client_keys SET public_key = '{KeyPair.Merchant.PublicKey.Pem}' WHERE client_id = '{client.Id}'"
        );
        (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Success);
        (await host.Send(call)).Code.ShouldBe("SUCCESS");
    }

    // Request target, and the path that its signature was made for.
    private static readonly Dictionary<string, (string Target, string Signed)> Borrowed = new(StringComparer.Ordinal)
    {
        ["a refund"] = ("/v2/payments/cancel", "/v2/payments/refund"),
        ["another version"] = ("/v2/payments/cancel", "/v1/payments/cancel"),
        ["a prefix"] = ("/v2/payments/cancel", "/api/v2/payments/cancel"),
        ["another prefix"] = ("/api/v2/payments/cancel", "/v2/payments/cancel"),
        ["a host"] = ("/v2/payments/cancel", "http://localhost/v2/payments/cancel"),
        ["another case"] = ("/v2/payments/cancel", "/v2/payments/Cancel"),
        ["a shorter path, behind a backslash"] = (@"http://h\v2/payments/cancel", "/payments/cancel"),
        ["a shorter path, behind an escaped slash"] = ("http://h%2Fv2/payments/cancel", "/payments/cancel"),
        ["a path in a query"] = ("http://h?/v2/payments/cancel", "/v2/payments/cancel"),
        ["a path in a fragment"] = ("http://h#/v2/payments/cancel", "/v2/payments/cancel"),
        ["a path behind dots"] = ("http://h/v2/payments/x/../cancel", "/v2/payments/cancel"),
        ["a path without its query"] = ("/v2/payments/cancel?x=1", "/v2/payments/cancel"),
    };

    public static TheoryData<string> BorrowedSignatures => [.. Borrowed.Keys];

    [Theory]
    [MemberData(nameof(BorrowedSignatures))]
    public async Task Signature_for_another_endpoint_or_prefix_is_refused(string what)
    {
        var own = prefixed.Host;
        var client = await own.AddClient();
        await own.AddPayment(client, State.Success);
        var (target, signed) = Borrowed[what];
        var call = new CancelCall
        {
            Client = client,
            At = own.Now,
            Target = target,
            SignedPath = signed,
        };
        var before = await own.Dump(client);
        var answer = await Wire.Exchange(own.PublicPort, call.ToBytes(), "POST");
        if (answer.Status == 200)
            answer.ResultStatus.ShouldBe("F");
        else
            answer.Status.ShouldBeInRange(400, 499);
        (await own.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Request_replayed_inside_the_tolerance_changes_nothing(DatabaseProvider provider)
    {
        var (host, client, call) = await PaidCall(provider);
        var bytes = call.ToBytes();
        var first = await Wire.Exchange(host.PublicPort, bytes, "POST");
        first.Code.ShouldBe("SUCCESS");
        var after = await host.Dump(client);
        var replays = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => Wire.Exchange(host.PublicPort, bytes, "POST"))
        );
        replays.ShouldAllBe(replay => replay.Text == first.Text);
        (await host.Dump(client)).ShouldBe(after);
        (await host.Rows(client)).Cancellations.ShouldBe(1);
        (await host.Balance(client)).ShouldBe(0);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Request_replayed_outside_the_tolerance_is_refused(DatabaseProvider provider)
    {
        await using var own = await TestHost.Start(provider, postgres);
        var client = await own.AddClient();
        await own.AddPayment(client, State.Success);
        var bytes = new CancelCall { Client = client, At = own.Now }.ToBytes();
        own.Clock.Advance(TimeSpan.FromMinutes(5) + TimeSpan.FromMilliseconds(1));
        var answer = await Wire.Exchange(own.PublicPort, bytes, "POST");
        answer.Code.ShouldBe("PARAM_ILLEGAL");
        answer.Message.ShouldContain("Request-Time");
        (await own.Rows(client)).Status.ShouldBe(PaymentStatus.Success);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Conflicting_body_framings_smuggle_no_second_request(DatabaseProvider provider)
    {
        // A proxy may take these bytes for the rest of the first body, so they must not be served as a second request.
        var (host, client, call) = await PaidCall(provider);
        var hidden = Encoding.Latin1.GetString((call with { Json = """{"paymentId":"p1"}""" }).ToBytes());
        var body = $"0\r\n\r\n{hidden}";
        var both =
            $"POST /v2/payments/cancel HTTP/1.1\r\nHost: h\r\nContent-Length: {body.Length}\r\n"
            + $"Transfer-Encoding: chunked\r\n\r\n{body}";
        var answer = await Raw(host, both); // Fails when a second answer follows.
        if (answer.Status == 200)
            answer.ResultStatus.ShouldBe("F");
        (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Success);
    }

    // Bodies that name another client's payment, with the equivalent for a payment that nobody has.
    private static readonly string[] Questions =
    [
        """{"paymentId":"PAY"}""",
        """{"paymentRequestId":"req-PAY"}""",
        """{"paymentId":"PAY","paymentRequestId":"req-PAY"}""",
        """{"paymentId":"PAY","paymentRequestId":"req-own"}""",
        """{"paymentId":"none","paymentRequestId":"req-PAY"}""",
        """{"paymentId":"PAY","extendInfo":"x"}""",
    ];

    public static MatrixTheoryData<string, DatabaseProvider> QuestionsAboutOthers => Both.Times(Questions);

    [Theory]
    [MemberData(nameof(QuestionsAboutOthers))]
    public async Task Another_clients_payment_is_answered_like_a_missing_payment(
        string question,
        DatabaseProvider provider
    )
    {
        var host = await hosts.On(provider);
        var (victim, curious) = (await host.AddClient(), await host.AddClient());
        await host.AddPayment(curious, State.Processing, "own");
        State[] states = [State.Processing, State.Authorized, State.Success, State.Captured, State.Refunded];
        for (var i = 0; i < states.Length; i++)
            await host.AddPayment(victim, states[i], $"pay{i}");
        await host.AddPayment(victim, State.Success, "pay9", host.Now.AddDays(-30));
        await host.AddPayment(victim, State.Processing, "pay8");
        (await host.Cancel(victim, """{"paymentId":"pay8"}""")).Code.ShouldBe("SUCCESS");

        var before = await host.Dump(victim);
        var unknown = await Ask("pay7");
        unknown.Code.ShouldBe("ORDER_NOT_EXIST");
        foreach (var known in new[] { "pay0", "pay1", "pay2", "pay3", "pay4", "pay8", "pay9" })
        {
            for (var times = 0; times < 2; times++)
            {
                var answer = await Ask(known);
                answer.Body.ShouldBe(unknown.Body);
                answer.Headers.Select(Shape).ShouldBe(unknown.Headers.Select(Shape));
            }
        }
        (await host.Dump(victim)).ShouldBe(before);

        Task<Answer> Ask(string id) => host.Cancel(curious, question.Replace("PAY", id, StringComparison.Ordinal));

        // The signature and the time differ by nature.
        static string Shape((string Name, string Value) header) =>
            header.Name is "signature" or "Date" ? header.Name : $"{header.Name}: {header.Value}";
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Another_clients_payment_is_answered_as_fast_as_a_missing_payment(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (victim, curious) = (await host.AddClient(), await host.AddClient());
        await host.AddPayment(victim, State.Success, "known");
        var durations = new Dictionary<string, List<double>>(StringComparer.Ordinal)
        {
            ["known"] = [],
            ["unknown"] = [],
        };
        for (var i = 0; i < 150; i++)
        {
            foreach (var id in durations.Keys)
            {
                var call = new CancelCall
                {
                    Client = curious,
                    At = host.Now,
                    Json = $$"""{"paymentId":"{{id}}"}""",
                }.ToBytes();
                var start = TimeProvider.System.GetTimestamp();
                var answer = await Wire.Exchange(host.PublicPort, call, "POST");
                durations[id].Add(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
                answer.Code.ShouldBe("ORDER_NOT_EXIST");
            }
        }
        // Alternating calls, so a busy machine slows both alike; an extra query would show.
        (Median("known") / Median("unknown")).ShouldBeInRange(0.5, 2);

        double Median(string id) => durations[id].Order().ElementAt(durations[id].Count / 2);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Cancel_of_another_clients_identifier_does_not_block_its_payment(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (victim, attacker) = (await host.AddClient(), await host.AddClient());
        (await host.Cancel(attacker, """{"paymentRequestId":"req-p1"}""")).Code.ShouldBe("ORDER_NOT_EXIST");
        await host.AddPayment(victim, State.Success);
        (await host.Rows(victim)).Status.ShouldBe(PaymentStatus.Success);
        (await host.Cancel(victim, """{"paymentRequestId":"req-p1"}""")).Code.ShouldBe("SUCCESS");
    }

    private static readonly Lazy<KeyPair> Stranger = new(KeyPair.Generate);

    private static readonly byte[] DigestInfo = Convert.FromHexString("3031300d060960864801650304020105000420");

    private static BigInteger Modulus
    {
        get
        {
            using var rsa = RSA.Create();
            rsa.ImportFromPem(KeyPair.Merchant.PrivatePem);
            return Number(rsa.ExportParameters(includePrivateParameters: false).Modulus!);
        }
    }

    // Adds a client with a paid payment of 1000 cents and builds the call that cancels it.
    private async Task<(TestHost Host, TestClient Client, CancelCall Call)> PaidCall(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Json = """{"paymentId":"p1","extendInfo":"info"}""".PadRight(39),
        };
        return (host, client, call);
    }

    private static Task<Answer> Raw(TestHost host, string request) =>
        Wire.Exchange(host.PublicPort, Encoding.Latin1.GetBytes(request), "POST");

    private static byte[] SignedBytes(CancelCall call) =>
        StringToSign.Of(call.Method, call.Target, call.Client.Id.Value, call.RequestTime, call.Json);

    private static string Swap(string text, string old, string replacement)
    {
        text.ShouldContain(old);
        return text.Replace(old, replacement, StringComparison.Ordinal);
    }

    private static ClientKey Key(
        int version,
        KeyPair pair,
        DateTimeOffset? notBefore = null,
        DateTimeOffset? notAfter = null,
        DateTimeOffset? revokedAt = null
    ) =>
        new()
        {
            Version = version,
            PublicKey = pair.PublicKey,
            NotBefore = notBefore,
            NotAfter = notAfter,
            RevokedAt = revokedAt,
        };

    private static Func<RSA, byte[], byte[]> Pkcs1(HashAlgorithmName hash) =>
        (rsa, data) => rsa.SignData(data, hash, RSASignaturePadding.Pkcs1);

    private static byte[] Padded(byte[] hash, int length)
    {
        byte[] digest = [.. DigestInfo, .. hash];
        return [0, 1, .. Enumerable.Repeat((byte)0xff, length - digest.Length - 3), 0, .. digest];
    }

    // A public key that the service must reject, and a signature of the data that would verify with it.
    private static (string Pem, byte[] Signature) BadKey(string kind, byte[] data)
    {
        switch (kind)
        {
            case "exponent 1": // Every value is its own signature.
                var key = new AsnWriter(AsnEncodingRules.DER);
                using (key.PushSequence())
                {
                    key.WriteInteger(Modulus);
                    key.WriteInteger(1);
                }
                var pem = PemEncoding.WriteString(
                    "PUBLIC KEY",
                    new System.Security.Cryptography.X509Certificates.PublicKey(
                        new Oid("1.2.840.113549.1.1.1"),
                        new AsnEncodedData([5, 0]),
                        new AsnEncodedData(key.Encode())
                    ).ExportSubjectPublicKeyInfo()
                );
                return (pem, Padded(SHA256.HashData(data), 256));
            case "elliptic":
                using (var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256))
                    return (ecdsa.ExportSubjectPublicKeyInfoPem(), ecdsa.SignData(data, HashAlgorithmName.SHA256));
            default:
                using (var rsa = RSA.Create(kind == "1024 bits" ? 1024 : 2040))
                    return (rsa.ExportSubjectPublicKeyInfoPem(), Pkcs1(HashAlgorithmName.SHA256)(rsa, data));
        }
    }

    private static BigInteger Number(byte[] bytes) => new(bytes, isUnsigned: true, isBigEndian: true);

    private static byte[] Number(BigInteger number, int length)
    {
        var bytes = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        return [.. new byte[Math.Max(0, length - bytes.Length)], .. bytes];
    }

    private static BigInteger CubeRoot(BigInteger number)
    {
        var (low, high) = (BigInteger.Zero, BigInteger.One << ((int)(number.GetBitLength() / 3) + 1));
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (BigInteger.Pow(middle, 3) <= number)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
}

/// <summary>Host that serves the API under two prefixes; the database does not matter here.</summary>
public sealed class PrefixedHost(PostgresServer postgres) : IAsyncLifetime
{
    public TestHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync() =>
        Host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, "--Api:Prefixes:0=", "--Api:Prefixes:1=/api");

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
