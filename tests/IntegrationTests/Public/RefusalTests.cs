using System.IO.Compression;
using System.Text;
using CancelService.Api.Exchange;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: each honest mistake gets its own code and a message with the fix, also in a long series.</summary>
public sealed class RefusalTests(PostgresServer postgres)
{
    /// <summary>Goal: an oversized body is refused without waiting for the rest of it.</summary>
    [Theory]
    [InlineData(null, "")]
    [InlineData(100_000, "0\r\n\r\n")]
    public async Task Oversized_body_is_refused_before_it_has_arrived_completely(int? chunks, string end)
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
    public async Task Idle_instance_answers_200_different_refusals_on_one_connection()
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
    public async Task Repeated_refusal_costs_one_signature_per_second()
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
        host.Clock.Advance(TimeSpan.FromMilliseconds(300)); // A refusal gives its time in whole seconds.
        using var connection = new KeptConnection(host.PublicPort);
        for (var i = 0; i < 100; i++)
        {
            var answer = await connection.Send(forged.ToBytes());
            answer.ShouldBeSigned("POST", forged.Target, client.Id.Value);
            answer.Header("response-time").ShouldBe("2026-11-23T20:00:00.000+08:00");
        }
        // A final answer gives its exact time.
        await host.AddPayment(client, State.Processing);
        var final = await host.Cancel(client);
        final.Code.ShouldBe("SUCCESS");
        final.Header("response-time").ShouldBe("2026-11-23T20:00:00.300+08:00");
    }

    [Fact]
    public async Task Compressed_body_is_refused_and_named()
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
        // A proxy that decompresses may leave the header in place.
        var plain = call with
        {
            Body = null,
            Lines = ["Content-Encoding: gzip"],
        };
        (await host.Send(plain)).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Fact]
    public async Task Byte_order_mark_is_skipped_by_the_parser_and_covered_by_the_signature()
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
    public async Task Emoji_is_echoed_unchanged_and_repeated_byte_for_byte(DatabaseProvider provider)
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
    public async Task Prefix_stripped_by_the_proxy_is_covered_by_both_signatures()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Api:StrippedPrefix=/api/open"
        );
        var client = await host.AddClient();
        // The merchant sends and signs /api/open/v2/...; the proxy strips the prefix.
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
