using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Logging;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: for each incident on the public port, the log names the client, the key version and the reason.
/// </summary>
public sealed class IncidentLogTests(PostgresServer postgres)
{
    private const string Exchange = "ExchangeLog";

    private static CancelCall Call(TestHost host, TestClient client) => new() { Client = client, At = host.Now };

    // Incident, and the code, key version and reason of its log line.
    [Theory]
    [InlineData("body", "PARAM_ILLEGAL", "1", "paymentId is given twice at byte 18.")]
    [InlineData("rule", "PARAM_ILLEGAL", "1", "paymentId or paymentRequestId is required.")]
    [InlineData("time", "PARAM_ILLEGAL", "", "The header Request-Time has no offset; end it with Z or with an offset")]
    [InlineData("accept", "MEDIA_TYPE_NOT_ACCEPTABLE", "", "Accept")]
    [InlineData("content type", "MEDIA_TYPE_NOT_ACCEPTABLE", "", "Content-Type")]
    [InlineData("unknown client", "CLIENT_INVALID", "7", "no such client")]
    [InlineData("disabled", "CLIENT_INVALID", "7", "disabled")]
    [InlineData("no key", "KEY_NOT_FOUND", "7", "no key of this version")]
    [InlineData("revoked", "KEY_NOT_FOUND", "2", "revoked")]
    [InlineData("expired", "KEY_NOT_FOUND", "3", "not valid now")]
    [InlineData("algorithm", "INVALID_SIGNATURE", "1", "another algorithm")]
    [InlineData("not base64", "INVALID_SIGNATURE", "1", "not base64")]
    [InlineData("forged", "INVALID_SIGNATURE", "1", "does not verify")]
    [InlineData("rate", "REQUEST_TRAFFIC_EXCEED_LIMIT", "1", "")]
    [InlineData("unknown payment", "ORDER_NOT_EXIST", "1", "payment none, request req-none")]
    public async Task Refusal_is_logged_with_client_key_version_trace_and_reason(
        string incident,
        string code,
        string keyVersion,
        string reason
    )
    {
        using var log = new LogLines();
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, log);
        var key = KeyPair.Merchant.PublicKey;
        var client = await host.AddClient(
            incident == "rate" ? new Contract { RequestsPerSecond = 1, Burst = 1 } : null,
            enabled: incident != "disabled",
            keys:
            [
                new() { Version = 1, PublicKey = key },
                new()
                {
                    Version = 2,
                    PublicKey = key,
                    RevokedAt = host.Now,
                },
                new()
                {
                    Version = 3,
                    PublicKey = key,
                    NotAfter = host.Now,
                },
            ]
        );
        var call = Call(host, client);
        call = incident switch
        {
            "body" => call with { Json = """{"paymentId":"a","paymentId":"SECRET"}""" },
            "rule" => call with { Json = "{}" },
            "time" => call with { Time = "2026-11-23T12:00:00" },
            "accept" => call with { Lines = ["Accept: image/png"] },
            "content type" => call with { Lines = ["Content-Type: text/plain"] },
            "unknown client" => call with { Client = client with { Id = new ClientId("NOBODY") } },
            "unknown payment" => call with { Json = """{"paymentId":"none","paymentRequestId":"req-none"}""" },
            "algorithm" => call with { Form = "algorithm=none,keyVersion=1,signature={0}" },
            "not base64" => call with { Form = "keyVersion=1,signature=*{0}" },
            "forged" => call with { Key = KeyPair.Other },
            _ => call,
        };
        if (keyVersion is "2" or "3" or "7")
            call = call with { Form = $"keyVersion={keyVersion},signature={{0}}" };

        Answer answer;
        do answer = await host.Send(call);
        while (incident == "rate" && answer.Code == "ORDER_NOT_EXIST");

        answer.Code.ShouldBe(code);
        var line = log.Of(Exchange)[^1];
        line.Level.ShouldBe(LogLevel.Information);
        line.Text.ShouldStartWith(
            $"Answered {code} to {call.Client.Id.Value}, key {(keyVersion == "" ? "(null)" : keyVersion)},"
        );
        line.Text.ShouldMatch("trace [0-9a-f]{32}|trace 0H");
        line.Text.ShouldContain(reason);
        line.Text.ShouldNotContain("SECRET");
        if (code == "PARAM_ILLEGAL")
            line.Text.ShouldContain(answer.Message);
    }

    [Theory]
    [InlineData("refused", "the database is out of reach: ")]
    [InlineData("silent", "no answer from the database within 1 s")]
    public async Task Outage_logs_one_line_per_answer_and_its_cause_at_a_limited_rate(string outage, string cause)
    {
        using var log = new LogLines();
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        var port = TcpForwarder.ClosedPort();
        await using var network =
            outage == "silent" ? new TcpForwarder(database.ConnectionString, port, silent: true) : null;
        await using var host = await TestHost.Start(
            database,
            waitForReady: false,
            log: log,
            settings:
            [
                TcpForwarder.Setting(database.ConnectionString, port),
                "--Database:Timeout=00:00:01",
                "--Database:MigrateAtStart=false",
            ]
        );
        var client = new TestClient(new ClientId("C"), KeyPair.Merchant);

        for (var i = 0; i < 3; i++)
            (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");
        host.Clock.Advance(TimeSpan.FromSeconds(10));
        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");

        var lines = log.Of(Exchange);
        lines
            .Count(line => line.Text.StartsWith("Answered UNKNOWN_EXCEPTION to C, key 1,", StringComparison.Ordinal))
            .ShouldBe(4);
        lines
            .Count(line =>
                line.Text.StartsWith("Answered", StringComparison.Ordinal)
                && line.Text.Contains(cause, StringComparison.Ordinal)
            )
            .ShouldBe(4);
        var causes = lines.Where(line => line.Level == LogLevel.Error).ToList();
        causes
            .Select(line => line.Text[..line.Text.IndexOf(" more", StringComparison.Ordinal)].Split(". ")[^1])
            .ShouldBe(["0", "2"]);
        causes.ShouldAllBe(line => line.Text.StartsWith($"Outcomes are unknown: {cause}", StringComparison.Ordinal));
        lines.ShouldAllBe(line => line.Exception == null && !line.Text.Contains('\n', StringComparison.Ordinal));
    }

    [Fact]
    public async Task Database_error_is_logged_with_its_SQLSTATE_and_stack_trace()
    {
        using var log = new LogLines();
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, log);
        var client = await host.AddClient();
        await host.Execute("ALTER TABLE clients RENAME TO lost");

        (await host.Cancel(client)).Code.ShouldBe("UNKNOWN_EXCEPTION");

        var cause = log.Of(Exchange).Single(line => line.Level == LogLevel.Error);
        cause.Text.ShouldStartWith("Outcomes are unknown: the database refused with SQLSTATE 42P01: ");
        cause.Exception.ShouldNotBeNull();
    }

    [Fact]
    public async Task Throttled_request_is_logged_with_the_limit_it_exceeded()
    {
        using var log = new LogLines();
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            log,
            "--Limits:UnverifiedAnswersPerSecond=1",
            "--Limits:UnverifiedAnswersBurst=1"
        );
        var client = await host.AddClient();
        var paths = Enumerable.Range(0, 20).Select(i => Call(host, client) with { Target = $"/{i}" });
        foreach (var call in paths)
            await Wire.Exchange(host.PublicPort, call.ToBytes(), "POST");

        var line = log.Of(Exchange).First(line => line.Level == LogLevel.Warning);
        line.Text.ShouldStartWith("Turned away with 503: Limits:UnverifiedAnswersPerSecond is reached. 0 more");
        line.Text.ShouldContain($"client {client.Id.Value}, trace ");
    }
}
