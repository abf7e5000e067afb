using System.Security.Cryptography;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: the internal API rejects each unreadable or ambiguous part of a request and names it.</summary>
public sealed class BindingTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const string Payment = """
        {"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},
        "initiatedAt":"2026-11-23T12:00:00Z"}
        """;

    [Theory]
    // A time without an offset would mean a different instant in each instance's time zone.
    [InlineData("2026-11-23T12:00:00Z", "2026-11-23T12:00:00", "initiatedAt must be a time with an offset")]
    [InlineData("2026-11-23T12:00:00Z", "2026-11-23", "initiatedAt must be a time with an offset")]
    [InlineData("2026-11-23T12:00:00Z", "2026-11-23 12:00:00Z", "initiatedAt must be a time with an offset")]
    [InlineData("2026-11-23T12:00:00Z", "2026-13-23T12:00:00Z", "initiatedAt must be a time with an offset")]
    [InlineData("\"2026-11-23T12:00:00Z\"", "1763899200", "initiatedAt must be a time with an offset")]
    [InlineData(
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:05:01Z",
        "initiatedAt must be a time with an offset, since 2000 and at"
    )]
    [InlineData("\"minorUnits\":1,", "\"minorUnits\":15.5,", "amount.minorUnits must be a whole number")]
    [InlineData("\"minorUnits\":1,", "\"minorUnits\":1e3,", "amount.minorUnits must be a whole number")]
    [InlineData("\"minorUnits\":1,", "\"minorUnits\":9223372036854775808,", "amount.minorUnits must be a whole number")]
    [InlineData("\"minorUnits\":1,", "\"minorUnits\":\"1\",", "amount.minorUnits must be a whole number")]
    [InlineData("\"minorUnits\":1,", "\"minorUnits\":1,\"minorUnits\":500,", "minorUnits is given more than once")]
    [InlineData("\"minorUnits\":1,", "\"minorUnits\":1,\"MinorUnits\":500,", "MinorUnits is given more than once")]
    [InlineData("\"kind\":\"PAYMENT\"", "\"kind\":\"PAY\"", "kind must be PAYMENT or AUTHORIZATION")]
    [InlineData("\"kind\":\"PAYMENT\"", "\"kind\":1", "kind must be PAYMENT or AUTHORIZATION")]
    [InlineData(
        "\"kind\":\"PAYMENT\"",
        "\"kind\":\"PAYMENT\",\"kind\":\"AUTHORIZATION\"",
        "kind is given more than once"
    )]
    [InlineData(
        "\"kind\":\"PAYMENT\"",
        "\"kind\":\"PAYMENT\",\"payor\":\"p\"",
        "payor is not a member that this request knows"
    )]
    [InlineData("\"r\"", "17", "paymentRequestId must be a string")]
    [InlineData("{\"minorUnits\":1,\"currency\":\"USD\"}", "[1]", "amount must be an object")]
    [InlineData("{\"paymentRequestId\"", "{bad", "The body is not JSON: see line 1, byte 2")]
    [InlineData("\"2026-11-23T12:00:00Z\"}", "\"2026-11-23T12:00:00Z\",}", "The body is not JSON")]
    public async Task Unreadable_member_is_rejected_and_named(string part, string instead, string detail)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        Payment.ShouldContain(part);

        var reply = await host.Call(
            "PUT",
            $"/clients/{client.Id}/payments/p1",
            Payment.Replace(part, instead, StringComparison.Ordinal)
        );

        Refused(reply, 400, detail);
        (await host.Find(client)).ShouldBeNull();
    }

    [Theory]
    [InlineData("/cancellations?from=2026-11-25&to=2026-11-26T00:00:00Z", "from must be a time with an offset")]
    [InlineData(
        "/cancellations?from=2026-11-25T00:00:00&to=2026-11-26T00:00:00Z",
        "from must be a time with an offset"
    )]
    [InlineData("/cancellations?from=2026-11-25T00:00:00+08:00&to=2026-11-26T00:00:00Z", "written %2B")]
    [InlineData("/cancellations?from=2026-11-25T00:00:00Z&to=x", "to must be a time with an offset")]
    [InlineData("/cancellations", "from and to must be given")]
    [InlineData("/clients?limit=x", "limit must be a whole number")]
    [InlineData("/clients?limit=0", "limit must be 1 to 500")]
    [InlineData("/clients/DEMO/keys?after=zzz", "after must be a whole number")]
    [InlineData("/clients/DEMO/accounts/USD?after=zzz", "after must be a UUID")]
    public async Task Unreadable_parameter_is_rejected_and_named(string path, string detail) =>
        Refused(await (await hosts.On(DatabaseProvider.Sqlite)).Call("GET", path), 400, detail);

    [Fact]
    public async Task A_time_in_a_query_may_have_any_offset()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        (await host.Call("GET", "/cancellations?from=2026-11-25T00:00:00%2B08:00&to=2026-11-26T00:00Z")).ShouldBe(200);
    }

    [Fact]
    public async Task Missing_or_non_JSON_body_is_rejected_with_instructions()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var path = $"/clients/{client.Id}/payments/p1";

        Refused(await host.Call("PUT", path), 400, "The request needs a body");
        Refused(await host.Call("PUT", path, Payment, contentType: "text/plain"), 415, "The body must be JSON");
    }

    // The JSON is ambiguous: parsers may read either amount.
    [Fact]
    public async Task Deposit_with_two_amounts_is_rejected()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();

        var reply = await host.Call(
            "POST",
            $"/clients/{client.Id}/accounts/USD/deposits",
            """{"id":"d","minorUnits":1,"MinorUnits":500}"""
        );

        Refused(reply, 400, "MinorUnits is given more than once");
        (await host.Balance(client)).ShouldBe(0);
    }

    [Fact]
    public async Task Key_whose_end_has_no_offset_is_rejected()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var pem = KeyPair.Other.PublicKey.Pem.ReplaceLineEndings("\\n");

        var reply = await host.Call(
            "PUT",
            $"/clients/{client.Id}/keys/2",
            $$"""{"publicKey":"{{pem}}","notAfter":"2026-11-25"}"""
        );

        Refused(reply, 400, "notAfter must be a time with an offset");
    }

    // RFC 8693 names the claim "scope", Entra ID and others "scp"; a list equals a space-separated text.
    [Theory]
    [InlineData("scope", "x clients:read", 200)]
    [InlineData("scp", "clients:read x", 200)]
    [InlineData("scp", "x|clients:read", 200)]
    [InlineData("scope", "x|clients:read", 200)]
    [InlineData("scp", "clients:write", 403)]
    [InlineData("scopes", "clients:read", 403)]
    public async Task Scopes_are_read_from_either_claim(string claim, string value, int status)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        object scopes = value.Contains('|', StringComparison.Ordinal) ? value.Split('|') : value;
        (await host.Call("GET", "/clients", token: Bearer.TokenWith(claim, scopes))).Status.ShouldBe(status);
    }

    // The caller is not at fault, and the core would stop retrying after a 401.
    [Fact]
    public async Task Unreachable_issuer_is_answered_with_503_not_401()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Authentication:Schemes:Bearer:Authority=https://127.0.0.1:1"
        );

        // Signed by an unknown key, so only the issuer can validate it.
        var token = Bearer.Token(Scopes.ClientsRead, key: RandomNumberGenerator.GetBytes(32));
        var reply = await host.Call("GET", "/clients", token: token);

        reply.ShouldBeProblem(503, "issuer-away");
        reply.Text.ShouldNotContain("127.0.0.1");
    }

    private static void Refused(Reply reply, int status, string detail)
    {
        reply.ShouldBeProblem(status, "invalid-request");
        reply["detail"].ShouldNotBeNull().ShouldContain(detail);
        reply.Text.ShouldNotContain("System.");
    }
}
