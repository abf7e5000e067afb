using System.Globalization;
using System.Text;
using System.Text.Json;
using CancelService.Api.Operations.Cancel;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: the service follows the protocol's code table, and serves or refuses every form of a request as specified.
/// </summary>
public sealed class ProtocolTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    // Result code of a rule, by its number in the protocol's table.
    private static string Code(int rule) => CancelOperation.Codes[rule - 1].Code;

    private static readonly Dictionary<string, string> Messages = new(StringComparer.Ordinal)
    {
        ["INVALID_API"] = "The called API is invalid or not active.",
        ["CANCEL_WINDOW_EXCEED"] = "The cancellation date is beyond the period that is agreed in the contract.",
        ["PROCESS_FAIL"] = "A general business failure occurred. Do not retry.",
        ["MERCHANT_BALANCE_NOT_ENOUGH"] = "The merchant's balance is not enough.",
        ["ORDER_NOT_EXIST"] = "The order does not exist.",
        ["SUCCESS"] = "Success",
    };

    public static TheoryData<int, int, DatabaseProvider> RulesThatApplyTogether
    {
        get
        {
            var data = new TheoryData<int, int, DatabaseProvider>();
            foreach (var provider in Both.Providers)
            {
                for (var first = 1; first <= 16; first++)
                {
                    // A missing payment has no state, and a cancelled payment no other; 16 means that no rule applies.
                    for (var second = first; second <= 15 || second == first; second++)
                        if (first < 11 || (first, second) is (>= 13, _) or (11, 11) or (12, not 14))
                            data.Add(first, second, provider);
                }
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(RulesThatApplyTogether))]
    public async Task Earlier_rule_decides_when_two_rules_apply(int first, int second, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        bool Breaks(int rule) => rule == first || rule == second;
        var rate = Breaks(8) ? 1 : 10_000;
        var client = await host.AddClient(
            new Contract
            {
                MayCancel = !Breaks(10),
                Window = new CancelWindow.Lasting(TimeSpan.FromHours(24)),
                RequestsPerSecond = rate,
                Burst = rate,
            }
        );
        const string stored =
            """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"a":"b"}""";
        if (!Breaks(11))
        {
            var initiatedAt = Breaks(13) ? host.Now.AddHours(-48) : host.Now;
            var payment = await host.AddPayment(
                client,
                Breaks(14) ? State.PartlyRefunded : State.Success,
                "p1",
                initiatedAt
            );
            if (Breaks(12))
            {
                var cancel = payment.Cancel(new CancelWindow.Lasting(TimeSpan.FromDays(3)), State.Amount, host.Now);
                var change = cancel.ShouldBeOfType<CancelDecision.Cancelled>().Change;
                (await host.Commit(payment, change, stored)).ShouldBeTrue();
            }
            (await host.Post(client, Breaks(12) || !Breaks(15) ? State.Amount : -1)).ShouldBeTrue();
        }

        var call = new CancelCall
        {
            Client = Breaks(5) ? client with { Id = new ClientId("NOBODY") } : client,
            At = host.Now,
            Method = Breaks(2) ? "GET" : "POST",
            Target = Breaks(1) ? "/v2/payments/refund" : CancelCall.Path,
            Lines = Breaks(3) ? ["Accept: image/png"] : [],
            Without = Breaks(4) ? ["Request-Time"] : [],
            Form = Breaks(6) ? "algorithm=RSA256,keyVersion=9,signature={0}" : "signature={0}",
            Key = Breaks(7) ? KeyPair.Other : null,
            Json = Breaks(9) ? """{"paymentId":""}""" : """{"paymentId":"p1"}""",
        };
        var before = await host.Dump(client);
        Answer? answer = null;
        if (Breaks(8)) // The bucket refills in real time, so drain it until the call finds it empty.
            await TestHost
                .Until(async () =>
                {
                    await host.Cancel(client, """{"paymentId":"none"}""");
                    return (answer = await host.Send(call)).Code;
                })
                .Becomes(Code(first));
        else
            answer = await host.Send(call);

        answer.ShouldNotBeNull().Code.ShouldBe(Code(first));
        if (Messages.TryGetValue(answer.Code, out var message))
            answer.Message.ShouldBe(message);
        if (first == 12)
            answer.Text.ShouldBe(stored);
        if (first != 16)
            (await host.Dump(client)).ShouldBe(before);
        else
            (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Cancelled);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Unverified_request_uses_up_no_rate(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient(new Contract { RequestsPerSecond = 1, Burst = 1 });
        for (var i = 0; i < 5; i++)
        {
            var forged = new CancelCall
            {
                Client = client,
                At = host.Now,
                Key = KeyPair.Other,
            };
            (await host.Send(forged)).Code.ShouldBe("INVALID_SIGNATURE");
        }
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Disabled_client_is_refused(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        (await host.Cancel(await host.AddClient(enabled: false))).Code.ShouldBe("CLIENT_INVALID");
    }

    public static MatrixTheoryData<string, DatabaseProvider> UnknownTargets =>
        Both.Times([
            "GET /",
            "HEAD /",
            "HEAD /nothing",
            "OPTIONS *",
            "OPTIONS /nothing",
            "GET /v2/payments",
            "POST /v2/payments/cancel/",
            "POST //v2/payments/cancel",
            "POST /V2/payments/cancel",
            "POST /v2/payments/cancel%2F",
            "POST /v2/payments%2Fcancel",
            "POST /api/v2/payments/cancel",
            "POST /v2/payments/cancel;a=b",
            "POST /v2/payments/cancel/../../..",
            "PUT /%E2%82%AC?x=%zz&/y",
            "BREW /pot",
        ]);

    [Theory]
    [MemberData(nameof(UnknownTargets))]
    public async Task Unknown_path_gets_a_signed_INVALID_API(string request, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var parts = request.Split(' ');
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Method = parts[0],
            Target = parts[1],
        };
        await ShouldBe("INVALID_API", host, call);
        // Any other error in such a request must not matter.
        var bare = call with
        {
            Json = "",
            Without = ["Client-Id", "Request-Time", "Signature", "Content-Type"],
        };
        await ShouldBe("INVALID_API", host, bare);
    }

    [Theory]
    [MatrixData("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "BREW")]
    public async Task Other_methods_get_a_signed_METHOD_NOT_SUPPORTED(string method, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Method = method,
        };
        await ShouldBe("METHOD_NOT_SUPPORTED", host, call);
    }

    // A HEAD must get what a GET gets.
    private static async Task ShouldBe(string code, TestHost host, CancelCall call)
    {
        if (call.Method != "HEAD")
        {
            (await host.Send(call)).Code.ShouldBe(code);
            return;
        }
        var get = await host.Send(call with { Method = "GET" });
        var head = await Wire.Exchange(host.PublicPort, call.ToBytes(), "HEAD");
        head.Body.ShouldBeEmpty();
        head.Header("Content-Length").ShouldBe(get.Header("Content-Length"));
        (head with { Body = get.Body }).ShouldBeSigned("HEAD", call.Target, get.Header("client-id"));
        get.Code.ShouldBe(code);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task API_is_served_under_the_configured_prefixes_only(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(
            provider,
            postgres,
            "--Api:Prefixes:0=/api",
            "--Api:Prefixes:1=/a/b"
        );
        var client = await host.AddClient();
        var call = new CancelCall { Client = client, At = host.Now };
        (await host.Send(call)).Code.ShouldBe("INVALID_API");
        (await host.Send(call with { Target = "/api/v2/payments/cancel" })).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Send(call with { Target = "/a/b/v2/payments/cancel" })).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Send(call with { Target = "/a/v2/payments/cancel" })).Code.ShouldBe("INVALID_API");

        await using var both = await TestHost.Start(provider, postgres, "--Api:Prefixes:0=", "--Api:Prefixes:1=/api");
        client = await both.AddClient();
        call = call with { Client = client };
        (await both.Send(call)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await both.Send(call with { Target = "/api/v2/payments/cancel" })).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MatrixData(
        "Accept: application/json",
        "Accept: */*",
        "Accept: text/plain,text/xml,text/javascript,text/html",
        "Accept: image/png, application/json;q=0.1",
        "Accept: application/*",
        "Accept: Text/HTML",
        "Accept: ",
        "Accept: application/problem+json",
        "Content-Type: application/json; charset=UTF-8",
        "Content-Type: APPLICATION/JSON",
        "Content-Type: application/json;charset=utf-8, application/json",
        "Content-Type: application/vnd.wallet+json"
    )]
    public async Task Media_types_of_real_clients_are_accepted(string line, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Lines = [line],
        };
        // Together with the default Content-Type it is sent twice.
        (await host.Send(call)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Send(call with { Without = ["Content-Type"] })).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MatrixData(
        "Accept: image/png",
        "Accept: application/xml",
        "Accept: application/json;q=0",
        "Accept: video/*, image/*",
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: application/jsonp",
        "Content-Type: json"
    )]
    public async Task Media_types_other_than_JSON_and_text_are_refused(string line, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Lines = [line],
        };
        (await host.Send(call)).Code.ShouldBe("MEDIA_TYPE_NOT_ACCEPTABLE");
        (await host.Send(call with { Without = ["Content-Type"] })).Code.ShouldBe("MEDIA_TYPE_NOT_ACCEPTABLE");
    }

    [Theory]
    [MatrixData(
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:00Z",
        "2026-11-23T20:00+08:00",
        "2026-11-23T12:00:00.1Z",
        "2026-11-23T12:00:00.198926Z",
        "2026-11-23T12:00:00.1989260Z",
        "2026-11-23T12:00:00.198926012Z",
        "2026-11-23T12:00:00+00:00",
        "2026-11-23T12:00:00.000+0000",
        "2026-11-23T17:30:00.253+05:30",
        "2026-11-23T08:30:00-0330",
        "1795435200000",
        "2026-11-23T11:55:00Z",
        "2026-11-23T20:05:00+08:00"
    )]
    public async Task Every_format_of_Request_Time_is_accepted_within_five_minutes(
        string time,
        DatabaseProvider provider
    )
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Time = time,
        };
        (await host.Send(call)).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MatrixData(
        "2026-11-23T11:54:59.999Z",
        "2026-11-23T12:05:00.001Z",
        "2026-11-23T12:05:00.0000001Z",
        "1795435200",
        "2026-11-23T12:00:00",
        "2026-11-23 12:00:00Z",
        "2026-11-23T12:00:00.0123456789Z",
        "2026-11-23T25:00:00Z",
        "Mon, 23 Nov 2026 12:00:00 GMT",
        "now",
        ""
    )]
    public async Task Malformed_or_out_of_range_Request_Time_is_refused(string time, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Time = time,
        };
        var answer = await host.Send(call);
        answer.Code.ShouldBe("PARAM_ILLEGAL");
        answer.Message.ShouldContain("Request-Time");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Missing_or_repeated_required_header_is_named(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall { Client = await host.AddClient(), At = host.Now };
        var usual = Encoding.UTF8.GetString(call.ToBytes()).Split("\r\n");
        foreach (var name in new[] { "Client-Id", "Request-Time", "Signature" })
        {
            var missing = await host.Send(call with { Without = [name] });
            missing.Code.ShouldBe("PARAM_ILLEGAL");
            missing.Message.ShouldBe($"The header {name} is missing.");

            // A different value, and the same value repeated.
            foreach (
                var line in new[]
                {
                    $"{name}: x",
                    usual.Single(usualLine => usualLine.StartsWith($"{name}:", StringComparison.Ordinal)),
                }
            )
            {
                var twice = call with { Lines = [line] };
                var answer = await Wire.Exchange(host.PublicPort, twice.ToBytes(), "POST");
                answer.ShouldBeSigned("POST", call.Target, name == "Client-Id" ? "" : call.Client.Id.Value);
                answer.Code.ShouldBe("PARAM_ILLEGAL");
                answer.Message.ShouldBe($"The header {name} came more than once; give it once.");
            }
        }
    }

    [Theory]
    [MatrixData(
        "",
        "a b",
        "a/b",
        "'; DROP TABLE payments; --",
        "12345678901234567890123456789012345678901234567890123456789012345",
        "DEMO_CLIENT.2026-11-25T11:00:00.000+08:00.{\"result\":{\"resultCode\":\"SUCCESS\",\"resultStatus\":\"S\"}}",
        "DEMO_CLIENT.1764039600000",
        "DEMO_CLIENT."
    )]
    public async Task Malformed_Client_Id_is_refused_and_neither_echoed_nor_signed(string id, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Without = ["Client-Id"],
            Lines = [$"Client-Id: {id}"],
        };
        var answer = await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST");
        answer.ShouldBeSigned("POST", call.Target, clientId: "");
        answer.Code.ShouldBe("PARAM_ILLEGAL");
        answer.Message.ShouldContain("Client-Id");
    }

    [Theory]
    [MatrixData(
        "algorithm=RSA256, keyVersion=1, signature={0}",
        "algorithm=RSA256,keyVersion=1,signature={0}",
        "signature={0},keyVersion=1,algorithm=RSA256",
        " keyVersion = 1 ,  signature = {0} , algorithm = RSA256 ",
        "algorithm=rsa256,keyversion=1,SIGNATURE={0}",
        "algorithm=SHA256withRSA,keyVersion=1,signature={0}",
        "keyVersion=1,signature={0}",
        "algorithm=RSA256,signature={0}",
        "signature={0}",
        "algorithm=RSA256,keyVersion=1,signature={0},nonce=7"
    )]
    public async Task Every_format_of_the_Signature_header_is_accepted(string form, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Form = form,
        };
        (await host.Send(call)).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MatrixData(
        "PARAM_ILLEGAL: ",
        "PARAM_ILLEGAL: {0}x",
        "PARAM_ILLEGAL: algorithm=RSA256,keyVersion=1",
        "PARAM_ILLEGAL: algorithm=RSA256,keyVersion=1,signature={0},signature={0}",
        "PARAM_ILLEGAL: keyVersion=1,keyVersion=1,signature={0}",
        "KEY_NOT_FOUND: keyVersion=2,signature={0}",
        "KEY_NOT_FOUND: keyVersion=,signature={0}",
        "KEY_NOT_FOUND: keyVersion=one,signature={0}",
        "KEY_NOT_FOUND: keyVersion=-1,signature={0}",
        "KEY_NOT_FOUND: keyVersion=4294967297,signature={0}",
        "INVALID_SIGNATURE: algorithm=RSA512,keyVersion=1,signature={0}",
        "INVALID_SIGNATURE: algorithm=,keyVersion=1,signature={0}",
        "INVALID_SIGNATURE: algorithm=none,keyVersion=1,signature=",
        "INVALID_SIGNATURE: keyVersion=1,signature=",
        "INVALID_SIGNATURE: keyVersion=1,signature=AAAA",
        "INVALID_SIGNATURE: keyVersion=1,signature=%ZZ*"
    )]
    public async Task Malformed_Signature_header_is_refused_with_the_specified_code(
        string row,
        DatabaseProvider provider
    )
    {
        var host = await hosts.On(provider);
        var (code, form) = (row.Split(": ")[0], row.Split(": ")[1]);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Form = form,
        };
        (await host.Send(call)).Code.ShouldBe(code);
    }

    private static readonly Dictionary<string, Func<byte[], string>> Encodings = new(StringComparer.Ordinal)
    {
        ["base64"] = Convert.ToBase64String,
        ["percent-encoded base64"] = bytes => Uri.EscapeDataString(Convert.ToBase64String(bytes)),
        ["percent-encoded base64 in small hex"] = bytes => Escaped(Convert.ToBase64String(bytes)).ToLowerHex(),
        ["base64url"] = bytes => Convert.ToBase64String(bytes).Replace('+', '-').Replace('/', '_'),
    };

    public static MatrixTheoryData<string, bool, DatabaseProvider> SignatureEncodings =>
        new(Encodings.Keys, [true, false], Both.Providers);

    [Theory]
    [MemberData(nameof(SignatureEncodings))]
    public async Task Every_encoding_of_the_signature_is_accepted(string name, bool padded, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Encode = bytes =>
            {
                var text = Encodings[name](bytes);
                return padded
                    ? text
                    : text.Replace("=", "", StringComparison.Ordinal)
                        .Replace("%3D", "", StringComparison.OrdinalIgnoreCase);
            },
        };
        (await host.Send(call)).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Space_in_a_signature_is_not_read_as_a_plus(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var calls = Enumerable
            .Range(0, 100)
            .Select(i => new CancelCall
            {
                Client = client,
                At = host.Now.AddMilliseconds(i),
                Encode = Convert.ToBase64String,
            });
        var plus = calls.First(call =>
            Encoding.Latin1.GetString(call.ToBytes()).Contains('+', StringComparison.Ordinal)
        );
        (await host.Send(plus)).Code.ShouldBe("ORDER_NOT_EXIST");
        var space = plus with { Encode = bytes => Convert.ToBase64String(bytes).Replace('+', ' ') };
        (await host.Send(space)).Code.ShouldBe("INVALID_SIGNATURE");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Newest_active_key_verifies_unless_keyVersion_names_another(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (now, future, past) = (host.Now, host.Now.AddSeconds(1), host.Now.AddSeconds(-1));
        var client = await host.AddClient(
            keys:
            [
                Key(1, KeyPair.Merchant),
                Key(2, KeyPair.Other, from: now, until: future),
                Key(3, KeyPair.Merchant, from: future),
                Key(4, KeyPair.Merchant, until: now),
                new ClientKey
                {
                    Version = 5,
                    PublicKey = KeyPair.Merchant.PublicKey,
                    RevokedAt = past,
                },
            ]
        );
        await Answers("signature={0}", KeyPair.Other, "ORDER_NOT_EXIST");
        await Answers("signature={0}", KeyPair.Merchant, "INVALID_SIGNATURE");
        await Answers("keyVersion=1,signature={0}", KeyPair.Merchant, "ORDER_NOT_EXIST");
        await Answers("keyVersion=1,signature={0}", KeyPair.Other, "INVALID_SIGNATURE");
        await Answers("keyVersion=2,signature={0}", KeyPair.Other, "ORDER_NOT_EXIST");
        foreach (var version in new[] { 3, 4, 5, 6 })
            await Answers($"keyVersion={version},signature={{0}}", KeyPair.Merchant, "KEY_NOT_FOUND");

        client = await host.AddClient(keys: [Key(1, KeyPair.Merchant, until: now)]);
        await Answers("signature={0}", KeyPair.Merchant, "KEY_NOT_FOUND");
        client = await host.AddClient(keys: []);
        await Answers("signature={0}", KeyPair.Merchant, "KEY_NOT_FOUND");

        async Task Answers(string form, KeyPair key, string code) =>
            (
                await host.Send(
                    new CancelCall
                    {
                        Client = client,
                        At = now,
                        Form = form,
                        Key = key,
                    }
                )
            ).Code.ShouldBe(code);

        static ClientKey Key(int version, KeyPair pair, DateTimeOffset? from = null, DateTimeOffset? until = null) =>
            new()
            {
                Version = version,
                PublicKey = pair.PublicKey,
                NotBefore = from,
                NotAfter = until,
            };
    }

    public static TheoryData<string, string, DatabaseProvider> SignedTargets
    {
        get
        {
            var data = new TheoryData<string, string, DatabaseProvider>();
            foreach (var provider in Both.Providers)
            {
                data.Add("/v2/payments/cancel", "/v2/payments/cancel", provider);
                data.Add("/v2/payments/cancel?a=%20b&c=d", "/v2/payments/cancel?a=%20b&c=d", provider);
                data.Add("/v2/pay%6Dents/c%61ncel", "/v2/pay%6Dents/c%61ncel", provider);
                data.Add("/v2/x/../payments/./cancel", "/v2/x/../payments/./cancel", provider);
                data.Add("https://wallet.example/v2/payments/cancel", "/v2/payments/cancel", provider);
                data.Add("http://wallet.example:81/v2/payments/cancel?q", "/v2/payments/cancel?q", provider);
                data.Add("http://localhost/v2/payments/c%61ncel", "/v2/payments/c%61ncel", provider);
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(SignedTargets))]
    public async Task Path_is_signed_as_sent(string target, string path, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Target = target,
            SignedPath = path,
        };
        (await host.Send(call)).Code.ShouldBe("ORDER_NOT_EXIST");
        var other = await Wire.Exchange(host.PublicPort, (call with { SignedPath = path + "?" }).ToBytes(), "POST");
        other.ShouldBeSigned("POST", path, call.Client.Id.Value);
        other.Code.ShouldBe("INVALID_SIGNATURE");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Header_names_are_accepted_in_any_case(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var call = new CancelCall { Client = await host.AddClient(), At = host.Now };
        var text = Encoding.Latin1.GetString(call.ToBytes());
        foreach (var name in new[] { "Client-Id", "Request-Time", "Signature", "Content-Type", "Content-Length" })
        {
            var lower = text.Replace($"{name}:", $"{name.ToLowerInvariant()}:", StringComparison.Ordinal);
            text = lower.Replace("client-id:", "CLIENT-ID:", StringComparison.Ordinal);
        }
        var answer = await Wire.Exchange(host.PublicPort, Encoding.Latin1.GetBytes(text), "POST");
        answer.ShouldBeSigned("POST", call.Target, call.Client.Id.Value);
        answer.Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Body_is_signed_as_sent(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        const string pretty =
            "\r\n{\r\n  \"paymentId\" : \"\\u00701\",\n\t\"extendInfo\": \"\\u00e4 ä \\ud83d\\ude00\"\n}  ";
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Json = pretty,
        };
        var compact = JsonSerializer.SerializeToUtf8Bytes(JsonDocument.Parse(pretty));
        (await host.Send(call with { SignedBody = compact })).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Send(call with { SignedBody = Encoding.UTF8.GetBytes(pretty.Trim()) })).Code.ShouldBe(
            "INVALID_SIGNATURE"
        );
        foreach (var size in new[] { 1, 7, 10_000 })
        {
            var answer = await host.Send(call with { Chunks = size });
            answer.Code.ShouldBe("SUCCESS");
            answer.Member("extendInfo").ShouldBe("ä ä 😀");
        }
        (await host.Send(call)).Code.ShouldBe("SUCCESS");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Signature_is_valid_only_for_its_client_and_time(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (client, other) = (await host.AddClient(), await host.AddClient());
        var call = new CancelCall { Client = client, At = host.Now };
        var stolen = call with { Without = ["Client-Id"], Lines = [$"Client-Id: {other.Id.Value}"] };
        var answer = await Wire.Exchange(host.PublicPort, stolen.ToBytes(), "POST");
        answer.ShouldBeSigned("POST", call.Target, other.Id.Value);
        answer.Code.ShouldBe("INVALID_SIGNATURE");

        var later = $"Request-Time: {call.RequestTime.Replace("+00:00", "Z", StringComparison.Ordinal)}";
        var renewed = call with { Without = ["Request-Time"], Lines = [later] };
        (await host.Send(renewed)).Code.ShouldBe("INVALID_SIGNATURE");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Body_may_have_up_to_64_KiB(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        foreach (int? chunks in new int?[] { null, 1000, 100_000 })
        {
            await Answers(64 * 1024, chunks, "ORDER_NOT_EXIST");
            await Answers((64 * 1024) + 1, chunks, "PARAM_ILLEGAL");
        }
        await Answers(900_000, null, "PARAM_ILLEGAL");

        async Task Answers(int size, int? chunks, string code)
        {
            var call = new CancelCall
            {
                Client = client,
                At = host.Now,
                Json = """{"paymentId":"p1"}""".PadRight(size),
                Chunks = chunks,
            };
            (await host.Send(call)).Code.ShouldBe(code);
        }
    }

    // Bodies, with the text that each message must contain.
    private static readonly Dictionary<string, string> IllegalBodies = new(StringComparer.Ordinal)
    {
        [""] = "body",
        ["null"] = "body",
        ["[]"] = "body",
        ["\"p1\""] = "body",
        ["{"] = "body",
        ["{}"] = "paymentId",
        ["""{"PaymentId":"p1"}"""] = "paymentId",
        ["""{"paymentId":null,"paymentRequestId":null}"""] = "paymentId",
        ["""{"paymentId":""}"""] = "paymentId",
        ["""{"paymentId":"","paymentRequestId":"req-p1"}"""] = "paymentId",
        ["""{"paymentId":"p1","paymentRequestId":""}"""] = "paymentRequestId",
        ["""{"paymentRequestId":"req p1"}"""] = "paymentRequestId",
        ["""{"paymentId":"p1\u0000"}"""] = "paymentId",
        ["""{"paymentId":"ä"}"""] = "paymentId",
        ["""{"paymentId":1}"""] = "paymentId",
        ["""{"paymentId":["p1"]}"""] = "paymentId",
        ["""{"paymentId":"p1","paymentRequestId":true}"""] = "paymentRequestId",
        ["""{"paymentId":"p1","extendInfo":{}}"""] = "extendInfo",
        ["""{"paymentId":"p1","paymentId":"p1"}"""] = "paymentId is given twice",
        ["""{"paymentId":"p1","payment\u0049d":"p2"}"""] = "paymentId is given twice",
        ["""{"paymentId":"p1","x":1,"x":2}"""] = "twice",
        ["""{"paymentId":"p1",}"""] = "comma",
        ["""{"paymentId":"p1"} {}"""] = "follows",
        ["""{"paymentId":"p1"/**/}"""] = "comment",
        ["""{"paymentId":"p1","extendInfo":"\ud83d"}"""] = "extendInfo holds half of a surrogate pair",
        ["{'paymentId':'p1'}"] = "single quotation marks",
    };

    public static MatrixTheoryData<string, DatabaseProvider> Illegal => Both.Times(IllegalBodies.Keys);

    [Theory]
    [MemberData(nameof(Illegal))]
    public async Task Body_that_breaks_a_rule_is_refused_and_the_rule_named(string json, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var before = await host.Dump(client);
        var answer = await host.Cancel(client, json);
        answer.Code.ShouldBe("PARAM_ILLEGAL");
        answer.Message.ShouldContain(IllegalBodies[json]);
        (await host.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Values_are_accepted_up_to_their_maximum_length(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var longest = new string('x', 60) + "._-Z";
        await host.AddPayment(client, State.Processing, longest[..60]);
        await host.AddPayment(client, State.Processing, "p2");

        (await host.Cancel(client, Json("paymentId", longest))).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Cancel(client, Json("paymentId", longest + "x"))).Code.ShouldBe("PARAM_ILLEGAL");
        var byRequest = await host.Cancel(client, Json("paymentRequestId", "req-" + longest[..60]));
        byRequest.Member("paymentRequestId").ShouldBe("req-" + longest[..60]);

        var info = new string('ä', 4094) + "😀";
        var tooLong = await host.Cancel(client, $$"""{"paymentId":"p2","extendInfo":"{{info}}x"}""");
        tooLong.Code.ShouldBe("PARAM_ILLEGAL");
        tooLong.Message.ShouldContain("extendInfo");
        var answer = await host.Cancel(client, $$"""{"paymentId":"p2","extendInfo":"{{info}}"}""");
        answer.Member("extendInfo").ShouldBe(info);

        static string Json(string name, string value) => $$"""{"{{name}}":"{{value}}"}""";
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Body_in_another_encoding_than_UTF_8_is_refused(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        const string json = """{"paymentId":"p1","extendInfo":"ä"}""";
        foreach (var encoding in new[] { Encoding.Latin1, Encoding.Unicode, Encoding.UTF32 })
        {
            var call = new CancelCall
            {
                Client = client,
                At = host.Now,
                Body = encoding.GetBytes(json),
            };
            (await host.Send(call)).Code.ShouldBe("PARAM_ILLEGAL");
        }
        (await host.Cancel(client, json)).Code.ShouldBe("SUCCESS");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Unknown_members_are_ignored_and_empty_fields_left_out(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var answer = await host.Cancel(
            client,
            """{"merchantAccountId":null,"a":{"b":[1,{}]},"paymentId":"p1","extendInfo":"","$type":"x"}"""
        );
        using var document = JsonDocument.Parse(answer.Body);
        document
            .RootElement.EnumerateObject()
            .Select(member => member.Name)
            .ShouldBe(["result", "paymentId", "paymentRequestId", "cancelTime"]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Request_of_a_published_SDK_is_served(DatabaseProvider provider)
    {
        var file = Path.Combine(AppContext.BaseDirectory, "vectors", "signed-request.json");
        using var vector = JsonDocument.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        var spki = vector.RootElement.GetProperty("merchantPublicKeySpkiBase64").GetString();
        var capture = vector.RootElement.GetProperty("captures")[0];
        var headers = capture
            .GetProperty("headers")
            .EnumerateArray()
            .Select(header => (Name: header[0].GetString()!, Value: header[1].GetString()!))
            .ToList();
        string Header(string name) => headers.Single(header => header.Name == name).Value;
        var (method, target) = (
            capture.GetProperty("method").GetString()!,
            capture.GetProperty("requestTarget").GetString()!
        );
        var clientId = Header("client-id");
        var sentAt = DateTimeOffset.Parse(Header("request-time"), CultureInfo.InvariantCulture);
        var request =
            $"{method} {target} HTTP/1.1\r\n"
            + string.Concat(headers.Select(header => $"{header.Name}: {header.Value}\r\n"))
            + $"\r\n{capture.GetProperty("body").GetString()}";

        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(database, new FakeTimeProvider(sentAt));
        var key = PublicKey.Parse($"-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----");
        var client = await host.AddClient(keys: [new ClientKey { Version = 1, PublicKey = key }], id: clientId);
        await host.AddPayment(client, State.Success, "20191127190741010007013213123");

        var answer = await Wire.Exchange(host.PublicPort, Encoding.ASCII.GetBytes(request), method);
        answer.ShouldBeSigned(method, target, clientId);
        answer.Code.ShouldBe("SUCCESS");
        answer.Member("paymentRequestId").ShouldBe("req-20191127190741010007013213123");

        var forged = request.Replace("201231231313123123", "201231231313123124", StringComparison.Ordinal);
        answer = await Wire.Exchange(host.PublicPort, Encoding.ASCII.GetBytes(forged), method);
        answer.Code.ShouldBe("INVALID_SIGNATURE");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Answer_time_is_in_the_wallets_time_zone(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var answer = await host.Cancel(await host.AddClient());
        answer.Header("response-time").ShouldBe("2026-11-23T20:00:00.000+08:00");
    }

    private static string Escaped(string text) => Uri.EscapeDataString(text);
}

internal static class HexText
{
    /// <summary>Converts the hex digits of percent-escapes to lower case.</summary>
    public static string ToLowerHex(this string escaped) =>
        escaped
            .Replace("%2B", "%2b", StringComparison.Ordinal)
            .Replace("%2F", "%2f", StringComparison.Ordinal)
            .Replace("%3D", "%3d", StringComparison.Ordinal);
}
