using System.IO.Compression;
using System.Text;
using CancelService.Api.Exchange;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>A developer's honest mistakes get their codes, in a row and by the hundred; each sentence says what to change.</summary>
public sealed class RefusalTests(PostgresServer postgres)
{
    /// <summary>Nobody waits for the rest of a body that is refused whatever it says.</summary>
    [Theory]
    [InlineData(null, "")]
    [InlineData(100_000, "0\r\n\r\n")]
    public async Task A_body_over_the_limit_is_refused_before_all_of_it_has_come(int? chunks, string end)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var call = new CancelCall
        {
            Client = await host.AddClient(),
            At = host.Now,
            Body = new byte[(64 * 1024) + 1],
            Chunks = chunks,
        };
        var missing = chunks is null ? call.Body.Length : end.Length;

        var answer = await Wire.Exchange(host.PublicPort, call.ToBytes()[..^missing], "POST");

        answer.Status.ShouldBe(200);
        answer.Code.ShouldBe("PARAM_ILLEGAL");
    }

    [Fact]
    public async Task An_idle_instance_answers_200_different_refusals_in_a_row_on_one_connection()
    {
        var limits = new LimitsOptions();
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            $"--Limits:UnverifiedAnswersPerSecond={limits.UnverifiedAnswersPerSecond}",
            $"--Limits:UnverifiedAnswersBurst={limits.UnverifiedAnswersBurst}",
            $"--Limits:UnknownClientsPerSecond={limits.UnknownClientsPerSecond}"
        );
        var client = await host.AddClient();
        var good = new CancelCall { Client = client, At = host.Now };
        (CancelCall, string) Mistake(int i) =>
            (i % 8) switch
            {
                0 => (good with { Target = $"/nowhere/{i}" }, "INVALID_API"),
                1 => (good with { Method = "GET", Target = $"{CancelCall.Path}?{i}" }, "METHOD_NOT_SUPPORTED"),
                2 => (
                    good with
                    {
                        Lines = ["Accept: image/png"],
                        Target = $"{CancelCall.Path}?{i}",
                    },
                    "MEDIA_TYPE_NOT_ACCEPTABLE"
                ),
                3 => (good with { Time = "now", Target = $"{CancelCall.Path}?{i}" }, "PARAM_ILLEGAL"),
                4 => (good with { Client = client with { Id = new ClientId($"NOBODY-{i}") } }, "CLIENT_INVALID"),
                5 => (
                    good with
                    {
                        Form = "keyVersion=9,signature={0}",
                        Target = $"{CancelCall.Path}?{i}",
                    },
                    "KEY_NOT_FOUND"
                ),
                6 => (good with { Key = KeyPair.Other, Target = $"{CancelCall.Path}?{i}" }, "INVALID_SIGNATURE"),
                _ => (good with { Json = "[]", Target = $"{CancelCall.Path}?{i}" }, "PARAM_ILLEGAL"),
            };

        using var connection = new KeptConnection(host.PublicPort);
        for (var i = 0; i < 200; i++)
        {
            var (call, code) = Mistake(i);
            var answer = await connection.Send(call.ToBytes());
            answer.ShouldBeSigned(call.Method, call.Target, call.Client.Id.Value);
            answer.Code.ShouldBe(code);
        }
    }

    [Fact]
    public async Task The_same_refusal_of_the_same_request_costs_one_signature_a_second()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Limits:UnverifiedAnswersPerSecond=1",
            "--Limits:UnverifiedAnswersBurst=1",
            "--Clients:CacheTime=00:05:00"
        );
        var client = await host.AddClient();
        var forged = new CancelCall
        {
            Client = client,
            At = host.Now,
            Key = KeyPair.Other,
        };
        host.Clock.Advance(TimeSpan.FromMilliseconds(300)); // A refusal says its time in whole seconds.
        using var connection = new KeptConnection(host.PublicPort);
        for (var i = 0; i < 100; i++)
        {
            var answer = await connection.Send(forged.ToBytes());
            answer.ShouldBeSigned("POST", forged.Target, client.Id.Value);
            answer.Header("response-time").ShouldBe("2026-11-23T20:00:00.000+08:00");
        }
        // What is final says when it was given.
        await host.AddPayment(client, State.Processing);
        var final = await host.Cancel(client);
        final.Code.ShouldBe("SUCCESS");
        final.Header("response-time").ShouldBe("2026-11-23T20:00:00.300+08:00");
    }

    [Fact]
    public async Task A_compressed_body_is_told_so()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        using var compressed = new MemoryStream();
        await using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal))
            await gzip.WriteAsync("{\"paymentId\":\"p1\"}"u8.ToArray(), TestContext.Current.CancellationToken);
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Body = compressed.ToArray(),
        };
        foreach (var line in new[] { "X: y", "Content-Encoding: gzip" })
        {
            var answer = await host.Send(call with { Lines = [line] });
            answer.Code.ShouldBe("PARAM_ILLEGAL");
            answer.Message.ShouldStartWith("The body is compressed");
        }
        // A proxy that unpacks may leave the header behind.
        var plain = call with
        {
            Body = null,
            Lines = ["Content-Encoding: gzip"],
        };
        (await host.Send(plain)).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Fact]
    public async Task A_byte_order_mark_is_skipped_and_signed_like_every_other_byte()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var json = "{\"paymentId\":\"p1\"}"u8.ToArray();
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Body = [0xEF, 0xBB, 0xBF, .. json],
        };
        (await host.Send(call with { SignedBody = json })).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Send(call)).Code.ShouldBe("SUCCESS");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task An_emoji_is_answered_as_it_came_and_repeated_byte_for_byte(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        const string json = """{"paymentId":"p1","extendInfo":"order 17 😀 <é>"}""";
        var first = await host.Cancel(client, json);
        Encoding.UTF8.GetString(first.Body).ShouldContain("\"extendInfo\":\"order 17 😀 <é>\"");
        (await host.Cancel(client)).Body.ShouldBe(first.Body);
    }

    [Fact]
    public async Task A_prefix_that_the_proxy_strips_is_part_of_what_both_sides_sign()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Api:StrippedPrefix=/api/open"
        );
        var client = await host.AddClient();
        // The merchant sends and signs /api/open/v2/..., and this is what the proxy makes of it.
        var call = new CancelCall { Client = client, At = host.Now };
        foreach (var target in new[] { CancelCall.Path, "/v2/pay%6Dents/cancel?a=b" })
            (await host.Send(call with { Target = target, SignedPath = $"/api/open{target}" })).Code.ShouldBe(
                "ORDER_NOT_EXIST"
            );

        var unsigned = await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST");
        unsigned.ShouldBeSigned("POST", $"/api/open{CancelCall.Path}", client.Id.Value);
        unsigned.Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Send(call with { Target = "/nowhere", SignedPath = "/api/open/nowhere" })).Code.ShouldBe(
            "INVALID_API"
        );
        var absolute = call with
        {
            Target = $"https://wallet.example{CancelCall.Path}",
            SignedPath = $"/api/open{CancelCall.Path}",
        };
        (await host.Send(absolute)).Code.ShouldBe("ORDER_NOT_EXIST");
    }
}
