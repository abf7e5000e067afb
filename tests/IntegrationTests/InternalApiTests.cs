using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CancelService.Api.Internal;
using CancelService.Application.Accounts;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Persistence;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests;

/// <summary>Who may call what on the internal port.</summary>
public sealed class InternalAccessTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    // Every endpoint with the scope that it demands.
    private static readonly Dictionary<string, string> Endpoints = new(StringComparer.Ordinal)
    {
        ["PUT /clients/{clientId}/payments/{paymentId}"] = Scopes.PaymentsWrite,
        ["GET /clients/{clientId}/payments/{paymentId}"] = Scopes.PaymentsRead,
        ["GET /clients/{clientId}/payments"] = Scopes.PaymentsRead,
        ["POST /clients/{clientId}/payments/{paymentId}/authorize"] = Scopes.PaymentsWrite,
        ["POST /clients/{clientId}/payments/{paymentId}/succeed"] = Scopes.PaymentsWrite,
        ["POST /clients/{clientId}/payments/{paymentId}/capture"] = Scopes.PaymentsWrite,
        ["POST /clients/{clientId}/payments/{paymentId}/refund"] = Scopes.PaymentsWrite,
        ["POST /clients/{clientId}/payments/{paymentId}/fail"] = Scopes.PaymentsWrite,
        ["GET /clients/{clientId}/cancellations"] = Scopes.PaymentsRead,
        ["GET /clients/{clientId}/late-reports"] = Scopes.PaymentsRead,
        ["GET /cancellations"] = Scopes.PaymentsRead,
        ["GET /clients"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}"] = Scopes.ClientsRead,
        ["PUT /clients/{clientId}"] = Scopes.ClientsWrite,
        ["GET /clients/{clientId}/keys"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}/keys/{version:int}"] = Scopes.ClientsRead,
        ["PUT /clients/{clientId}/keys/{version:int}"] = Scopes.ClientsWrite,
        ["DELETE /clients/{clientId}/keys/{version:int}"] = Scopes.ClientsWrite,
        ["POST /clients/{clientId}/diagnose"] = Scopes.ClientsRead,
        ["GET /changes"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}/accounts/{currency}"] = Scopes.ClientsRead,
        ["POST /clients/{clientId}/accounts/{currency}/deposits"] = Scopes.AccountsWrite,
        ["POST /clients/{clientId}/accounts/{currency}/payouts"] = Scopes.AccountsWrite,
        ["GET /notifications"] = Scopes.PaymentsRead,
        ["POST /notifications/requeue"] = Scopes.PaymentsWrite,
        ["POST /notifications/{clientId}/{paymentId}/requeue"] = Scopes.PaymentsWrite,
    };

    public static TheoryData<string> AllEndpoints => [.. Endpoints.Keys];

    private Task<TestHost> Host => hosts.On(DatabaseProvider.Sqlite);

    [Fact]
    public async Task The_table_of_endpoints_is_complete()
    {
        var mapped = (await Host)
            .Services.GetRequiredService<IEnumerable<EndpointDataSource>>()
            .SelectMany(source => source.Endpoints)
            .OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.RoutePattern.RawText!.StartsWith("/internal/v1", StringComparison.Ordinal))
            .SelectMany(
                endpoint => endpoint.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods,
                (endpoint, method) => $"{method} {endpoint.RoutePattern.RawText!["/internal/v1".Length..].TrimEnd('/')}"
            );
        mapped.ShouldBe(Endpoints.Keys, ignoreOrder: true);
    }

    [Theory]
    [MemberData(nameof(AllEndpoints))]
    public async Task An_endpoint_is_open_to_its_scope_alone(string endpoint)
    {
        var others = string.Join(' ', Scopes.All.Where(scope => scope != Endpoints[endpoint]));
        (await Call(endpoint, null, anonymous: true)).Status.ShouldBe(401);
        (await Call(endpoint, "junk")).Status.ShouldBe(401);
        (await Call(endpoint, Bearer.Token(others))).Status.ShouldBe(403);
        (await Call(endpoint, Bearer.Token(""))).Status.ShouldBe(403);
        (await Call(endpoint, Bearer.Token(Endpoints[endpoint] + "x"))).Status.ShouldBe(403);
        (await Call(endpoint, Bearer.Token(Endpoints[endpoint]))).Status.ShouldNotBeOneOf(401, 403, 405, 500, 503);
        (await Call(endpoint, Bearer.Token($"other {Endpoints[endpoint]}"))).Status.ShouldNotBeOneOf(401, 403);
    }

    [Theory]
    [InlineData("algorithm none")]
    [InlineData("another issuer")]
    [InlineData("another audience")]
    [InlineData("expired")]
    [InlineData("another key")]
    [InlineData("a changed payload")]
    public async Task A_token_that_is_not_ours_for_us_and_now_is_no_token(string flaw)
    {
        var scope = Scopes.ClientsRead;
        var token = flaw switch
        {
            "algorithm none" => Bearer.Token(scope, algorithm: "none"),
            "another issuer" => Bearer.Token(scope, issuer: "somebody"),
            "another audience" => Bearer.Token(scope, audience: "something"),
            "expired" => Bearer.Token(scope, expiresInDays: -1),
            "another key" => Bearer.Token(scope, key: RandomNumberGenerator.GetBytes(32)),
            _ => Forged(Bearer.Token("none"), Bearer.Token(scope)),
        };
        (await (await Host).Call("GET", "/clients", token: token)).Status.ShouldBe(401);
        (await (await Host).Call("GET", "/clients", token: Bearer.Token(scope))).Status.ShouldBe(200);

        static string Forged(string signed, string payload) =>
            $"{payload[..payload.LastIndexOf('.')]}{signed[signed.LastIndexOf('.')..]}";
    }

    [Theory]
    [MemberData(nameof(AllEndpoints))]
    public async Task Nothing_of_the_internal_api_answers_on_the_public_port(string endpoint)
    {
        var host = await Host;
        var (method, path) = Split(endpoint);
        foreach (var target in (string[])[path, $"http://127.0.0.1:{host.InternalPort}{path}"])
        foreach (var name in (string[])["localhost", $"127.0.0.1:{host.InternalPort}"])
        {
            var request = $"{method} {target} HTTP/1.1\r\nHost: {name}\r\nAuthorization: Bearer {Bearer.All}\r\n\r\n";
            var answer = await Wire.Exchange(host.PublicPort, Encoding.ASCII.GetBytes(request), method);
            answer.ShouldBeSigned(method, path, "");
            answer.Code.ShouldBe("INVALID_API");
        }
    }

    [Fact]
    public async Task The_cancel_does_not_answer_on_the_internal_port()
    {
        var host = await Host;
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        using var request = new HttpRequestMessage(HttpMethod.Post, CancelCall.Path);
        request.Content = new StringContent("""{"paymentId":"p1"}""", Encoding.UTF8, "application/json");
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {Bearer.All}");
        using var answer = await host.Internal.SendAsync(request, TestContext.Current.CancellationToken);
        ((int)answer.StatusCode).ShouldBe(404);
        (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Processing);
    }

    [Fact]
    public async Task The_health_needs_no_token()
    {
        using var answer = await (await Host).Internal.GetAsync(
            new Uri("/healthz/live", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        answer.IsSuccessStatusCode.ShouldBeTrue();
    }

    private async Task<Reply> Call(string endpoint, string? token, bool anonymous = false)
    {
        var (method, path) = Split(endpoint);
        return await (await Host).Call(
            method,
            path["/internal/v1".Length..],
            method is "GET" or "DELETE" ? null : "{}",
            token,
            anonymous
        );
    }

    private static (string Method, string Path) Split(string endpoint)
    {
        var parts = endpoint.Split(' ');
        return (
            parts[0],
            "/internal/v1"
                + parts[1]
                    .Replace("{clientId}", "NOBODY", StringComparison.Ordinal)
                    .Replace("{paymentId}", "p1", StringComparison.Ordinal)
                    .Replace("{version:int}", "1", StringComparison.Ordinal)
                    .Replace("{currency}", "USD", StringComparison.Ordinal)
        );
    }
}

/// <summary>The core's side: payments are made known, and what happens to them is reported.</summary>
public sealed class InternalPaymentsTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private static readonly string[] Actions = ["authorize", "succeed", "capture", "refund", "fail"];

    // What each event, of one minor unit where it has an amount, makes of a payment; - is refused.
    private static readonly Dictionary<string, (State State, string Cells)> Transitions = new(StringComparer.Ordinal)
    {
        ["processing"] = (State.Processing, "- SUCCESS - - FAILED"),
        ["processing authorisation"] = (State.ProcessingAuthorization, "AUTHORIZED - - - FAILED"),
        ["authorised"] = (State.Authorized, "- - CAPTURED - FAILED"),
        ["paid"] = (State.Success, "- - - REFUNDED -"),
        ["partly captured"] = (State.PartlyCaptured, "- - CAPTURED REFUNDED -"),
        ["captured"] = (State.Captured, "- - - REFUNDED -"),
        ["partly refunded"] = (State.PartlyRefunded, "- - - REFUNDED -"),
        ["refunded"] = (State.Refunded, "- - - - -"),
        ["captured, then refunded"] = (State.CapturedThenRefunded, "- - - - -"),
        ["failed"] = (State.Failed, "- - - - -"),
        ["hold lapsed"] = (State.HoldLapsed, "- - - - -"),
    };

    // What the core is told to do about the money of each event, by the state in which the payment was cancelled. A failure
    // of a payment that took no money is good news: recorded, and nothing to do.
    private static readonly Dictionary<string, (State State, string Cells)> Remedy = new(StringComparer.Ordinal)
    {
        ["processing"] = (State.Processing, "release-hold refund-payer refund-payer - recorded"),
        ["authorised"] = (State.Authorized, "release-hold refund-payer refund-payer - recorded"),
        ["paid"] = (State.Success, "release-hold none refund-payer - -"),
        ["failed"] = (State.Failed, "release-hold refund-payer refund-payer - recorded"),
    };

    public static MatrixTheoryData<string, DatabaseProvider> TransitionRows => Both.Times(Transitions.Keys);

    public static MatrixTheoryData<string, DatabaseProvider> RemedyRows => Both.Times(Remedy.Keys);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_payment_is_registered_once_and_known_afterwards(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();

        var created = (await host.Register(client, payer: "payer-7")).ShouldBe(201);

        created["status"].ShouldBe("PROCESSING");
        created["paymentRequestId"].ShouldBe("req-p1");
        created["amount.minorUnits"].ShouldBe("1000");
        created["payer"].ShouldBe("payer-7");
        created["version"].ShouldBe("1");
        created["cancellation"].ShouldBeNull();
        var dump = await host.Dump(client);
        (await host.Register(client, payer: "payer-7")).ShouldBe(200).Text.ShouldBe(created.Text);
        (await host.Dump(client)).ShouldBe(dump);

        // Known is known, whatever has become of it.
        (await host.Report(client, "succeed", "e1")).ShouldBe(200);
        (await host.Register(client, payer: "payer-7")).ShouldBe(200)["status"].ShouldBe("SUCCESS");
    }

    [Theory]
    [MatrixData("kind", "amount", "currency", "payer", "no payer", "initiatedAt")]
    public async Task A_payment_that_is_known_with_other_content_stays_as_it_is(string what, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Register(client, payer: "payer-7")).ShouldBe(201);
        var dump = await host.Dump(client);

        var reply = what switch
        {
            "kind" => await host.Register(client, kind: "AUTHORIZATION", payer: "payer-7"),
            "amount" => await host.Register(client, amount: InternalWire.Amount(1001), payer: "payer-7"),
            "currency" => await host.Register(client, amount: InternalWire.Amount(currency: "EUR"), payer: "payer-7"),
            "payer" => await host.Register(client, payer: "payer-8"),
            "no payer" => await host.Register(client),
            _ => await host.Register(client, initiatedAt: "2026-11-23T12:00:00.000001Z", payer: "payer-7"),
        };

        reply.ShouldBeProblem(409, "payment-differs");
        (await host.Dump(client)).ShouldBe(dump);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task The_time_of_initiation_is_compared_to_the_microsecond_in_any_zone(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234567Z")).ShouldBe(201);
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234567Z")).ShouldBe(200);
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234560Z")).ShouldBe(200);
        (await host.Register(client, initiatedAt: "2026-11-23T19:00:00.1234569+08:00")).ShouldBe(200);

        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234570Z")).ShouldBeProblem(
            409,
            "payment-differs"
        );
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234559Z")).ShouldBeProblem(
            409,
            "payment-differs"
        );
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Identifiers_correspond_one_to_one_for_ever_per_client(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Register(client, "p1", "r1")).ShouldBe(201);
        (await host.Register(client, "p2", "r2")).ShouldBe(201);
        var dump = await host.Dump(client);

        (await host.Register(client, "p1", "r3")).ShouldBeProblem(409, "mapping-conflict");
        (await host.Register(client, "p3", "r1")).ShouldBeProblem(409, "mapping-conflict");
        (await host.Register(client, "p1", "r2")).ShouldBeProblem(409, "mapping-conflict");
        (await host.Register(client, "p2", "r1")).ShouldBeProblem(409, "mapping-conflict");

        (await host.Dump(client)).ShouldBe(dump);
        (await host.Register(await host.AddClient(), "p1", "r2")).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task What_does_not_exist_is_not_found(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var nobody = client with { Id = new("NOBODY") };
        (await host.Register(nobody)).ShouldBeProblem(404, "not-found");
        foreach (var action in Actions)
            (await host.Report(client, action, "e1", minorUnits: 1)).ShouldBeProblem(404, "not-found");
        foreach (
            var path in (string[])
                [
                    $"/clients/{client.Id}/payments/p1",
                    $"/clients/{client.Id}/payments?paymentRequestId=req-p1",
                    $"/clients/{client.Id}/accounts/USD",
                    $"/clients/{client.Id}/accounts/usd",
                    $"/clients/{client.Id}/keys/9",
                    "/clients/NOBODY",
                    "/clients/NOBODY/keys",
                    "/clients/NO%20BODY/payments/p1",
                    "/clients/NO%20BODY/cancellations",
                    "/clients/NO%20BODY/late-reports",
                ]
        )
            (await host.Call("GET", path)).ShouldBeProblem(404, "not-found");

        await host.Register(client);
        var other = await host.AddClient();
        (await host.Call("GET", $"/clients/{other.Id}/payments/p1")).ShouldBeProblem(404, "not-found");
        (await host.Report(other, "succeed", "e1")).ShouldBeProblem(404, "not-found");
    }

    [Theory]
    [InlineData(
        "paymentRequestId",
        """{"kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "paymentRequestId",
        """{"paymentRequestId":"a b","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "kind",
        """{"paymentRequestId":"r","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.minorUnits",
        """{"paymentRequestId":"r","kind":"PAYMENT","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.minorUnits",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":0,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.minorUnits",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1000000000000001,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.currency",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.currency",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"usd"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "initiatedAt",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}}"""
    )]
    [InlineData(
        "initiatedAt",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-25T12:00:00Z"}"""
    )]
    [InlineData(
        "initiatedAt",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"1999-12-31T00:00:00Z"}"""
    )]
    [InlineData(
        "payer",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z","payer":""}"""
    )]
    [InlineData(
        "payer",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z","payer":"\u0000"}"""
    )]
    [InlineData(
        "",
        """{"paymentRequestId":"r","kind":"GIFT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData("", """{"paymentRequestId":1}""")]
    [InlineData("", "[]")]
    [InlineData("", "{")]
    [InlineData("", "")]
    public async Task A_malformed_registration_is_refused_with_the_field(string field, string json)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var reply = await host.Call("PUT", $"/clients/{client.Id}/payments/p1", json);
        reply.Status.ShouldBe(400, reply.Text);
        if (field.Length > 0)
        {
            reply.ShouldBeProblem(400, "invalid-request");
            reply["detail"].ShouldNotBeNull().ShouldStartWith(field);
        }
        (await host.Find(client)).ShouldBeNull();
    }

    [Theory]
    [InlineData("paymentId", "/payments/p%20", "PUT", "{}")]
    [InlineData("eventId", "/payments/p1/succeed", "POST", "{}")]
    [InlineData("eventId", "/payments/p1/succeed", "POST", """{"eventId":"a b"}""")]
    [InlineData("amount.minorUnits", "/payments/p1/capture", "POST", """{"eventId":"e"}""")]
    [InlineData(
        "amount.minorUnits",
        "/payments/p1/refund",
        "POST",
        """{"eventId":"e","amount":{"minorUnits":-1,"currency":"USD"}}"""
    )]
    [InlineData(
        "amount.currency",
        "/payments/p1/refund",
        "POST",
        """{"eventId":"e","amount":{"minorUnits":1,"currency":"US"}}"""
    )]
    [InlineData("paymentRequestId", "/payments", "GET", null)]
    [InlineData("paymentRequestId", "/payments?paymentRequestId=a%20b", "GET", null)]
    [InlineData("limit", "/cancellations?limit=0", "GET", null)]
    [InlineData("limit", "/cancellations?limit=501", "GET", null)]
    [InlineData("limit", "/late-reports?limit=-1", "GET", null)]
    [InlineData("limit", "/accounts/USD?limit=501", "GET", null)]
    [InlineData("limit", "/keys?limit=501", "GET", null)]
    [InlineData("id", "/accounts/USD/deposits", "POST", """{"minorUnits":1}""")]
    [InlineData("amount.minorUnits", "/accounts/USD/payouts", "POST", """{"id":"t"}""")]
    [InlineData("amount.currency", "/accounts/usd/payouts", "POST", """{"id":"t","minorUnits":1}""")]
    [InlineData("name", "", "PUT", """{"enabled":true}""")]
    [InlineData("name", "", "PUT", """{"name":"","enabled":true}""")]
    [InlineData("enabled", "", "PUT", """{"name":"n"}""")]
    [InlineData("contract.window", "", "PUT", """{"name":"n","enabled":true,"contract":{"window":"tomorrow"}}""")]
    [InlineData("contract.window", "", "PUT", """{"name":"n","enabled":true,"contract":{"window":"PT0S"}}""")]
    [InlineData("contract.window", "", "PUT", """{"name":"n","enabled":true,"contract":{"window":"P367D"}}""")]
    [InlineData(
        "contract.window",
        "",
        "PUT",
        """{"name":"n","enabled":true,"contract":{"window":"T+1 24:15 +08:00"}}"""
    )]
    [InlineData(
        "contract.window",
        "",
        "PUT",
        """{"name":"n","enabled":true,"contract":{"window":"T+1 00:15 Mars/Base"}}"""
    )]
    [InlineData(
        "contract.requestsPerSecond",
        "",
        "PUT",
        """{"name":"n","enabled":true,"contract":{"requestsPerSecond":0}}"""
    )]
    [InlineData("contract.burst", "", "PUT", """{"name":"n","enabled":true,"contract":{"burst":100001}}""")]
    [InlineData("version", "/keys/0", "PUT", """{"publicKey":"x"}""")]
    [InlineData("publicKey", "/keys/2", "PUT", "{}")]
    [InlineData(
        "notAfter",
        "/keys/2",
        "PUT",
        """{"publicKey":"x","notBefore":"2026-01-02T00:00:00Z","notAfter":"2026-01-02T00:00:00Z"}"""
    )]
    public async Task What_is_malformed_is_refused_with_the_field(
        string field,
        string path,
        string method,
        string? json
    )
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        await host.Register(client);
        var dump = await host.Dump(client);
        var reply = await host.Call(method, $"/clients/{client.Id}{path}", json);
        reply.ShouldBeProblem(400, "invalid-request");
        reply["detail"].ShouldNotBeNull().ShouldStartWith(field);
        (await host.Dump(client)).ShouldBe(dump);
    }

    [Theory]
    [MemberData(nameof(TransitionRows))]
    public async Task An_event_moves_a_payment_as_the_state_table_says(string row, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var (state, cells) = Transitions[row];
        var expected = cells.Split(' ');
        for (var i = 0; i < Actions.Length; i++)
        {
            var (action, id) = (Actions[i], $"p{i}");
            await host.AddPayment(client, state, id);
            await host.Post(client, State.Amount); // So that only the state can refuse a refund.
            var (before, dump) = (await host.Detail(client, id), await host.Dump(client));

            var reply = await host.Report(client, action, "e1", id, action is "capture" or "refund" ? 1 : null);

            if (expected[i] == "-")
            {
                reply.ShouldBeProblem(409, "transition-refused");
                reply["paymentStatus"].ShouldBe(before["payment.status"]);
                (await host.Dump(client)).ShouldBe(dump);
                continue;
            }
            reply.ShouldBe(200)["status"].ShouldBe(expected[i], $"{row}, {action}");
            var after = await host.Detail(client, id);
            after["payment"].ShouldBe(reply.Text);
            var last = after.Json.GetProperty("history").EnumerateArray().Last();
            last.GetProperty("action").GetString().ShouldBe(action.ToUpperInvariant());
            last.GetProperty("eventId").GetString().ShouldBe("e1");
            last.GetProperty("actor").GetString().ShouldBe(Bearer.Subject);
            last.GetProperty("to").GetString().ShouldBe(expected[i]);
            await host.Rows(client, id);
        }
    }

    [Theory]
    [MemberData(nameof(RemedyRows))]
    public async Task Late_money_is_refused_on_record_with_what_to_do_about_it(string row, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var (state, cells) = Remedy[row];
        var expected = cells.Split(' ');
        for (var i = 0; i < Actions.Length; i++)
        {
            var (action, id) = (Actions[i], $"p{i}");
            await host.AddPayment(client, state, id);
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
            var (before, dump) = (await host.Rows(client, id), await host.Dump(client));
            var balance = await host.Balance(client);

            Task<Reply> Late() => host.Report(client, action, "late", id, action is "capture" or "refund" ? 1 : null);
            var reply = await Late();

            if (expected[i] == "-")
            {
                reply.ShouldBeProblem(409, "transition-refused");
                reply["paymentStatus"].ShouldBe("CANCELLED");
                (await host.Dump(client)).ShouldBe(dump);
                continue;
            }
            if (expected[i] == "recorded")
                reply.ShouldBe(200)["status"].ShouldBe("CANCELLED");
            else
            {
                reply.ShouldBeProblem(409, "payment-cancelled");
                reply["remedy"].ShouldBe(expected[i], $"{row}, {action}");
                reply["paymentStatus"].ShouldBe("CANCELLED");
                DateTimeOffset.Parse(reply["cancelTime"]!, CultureInfo.InvariantCulture).ShouldBe(host.Now);
            }
            var recorded = await host.Dump(client);
            WithoutTrace(await Late()).ShouldBe(WithoutTrace(reply));
            (await host.Dump(client)).ShouldBe(recorded);
            var after = await host.Rows(client, id);
            after.History.Count.ShouldBe(before.History.Count + 1);
            (after.Status, after.Effect, after.Outbox).ShouldBe((before.Status, before.Effect, before.Outbox));
            after.Transfers.ShouldBe(before.Transfers);
            (await host.Balance(client)).ShouldBe(balance);
            // And the merchant's answer is what it was.
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
        }
        var refused = (await host.Call("GET", $"/clients/{client.Id}/late-reports")).ShouldBe(200).Items;
        refused.Count.ShouldBe(3);
        refused
            .Select(e => e.GetProperty("action").GetString())
            .ShouldBe(["AUTHORIZE", "SUCCEED", "CAPTURE"], ignoreOrder: true);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Captures_add_up_to_the_amount_and_no_further(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Authorized);
        (await host.Report(client, "capture", "e1", minorUnits: 400)).ShouldBe(200)["captured"].ShouldBe("400");
        (await host.Report(client, "capture", "e2", minorUnits: 601)).ShouldBeProblem(409, "transition-refused");
        (await host.Report(client, "capture", "e3", minorUnits: 1, currency: "EUR")).ShouldBeProblem(
            409,
            "transition-refused"
        );
        (await host.Report(client, "capture", "e4", minorUnits: 600)).ShouldBe(200)["captured"].ShouldBe("1000");
        (await host.Report(client, "capture", "e5", minorUnits: 1)).ShouldBeProblem(409, "transition-refused");
        (await host.Balance(client)).ShouldBe(1000);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Refunds_debit_the_merchant_as_far_as_the_payment_and_the_balance_go(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        (await host.Post(client, -500)).ShouldBeTrue();
        var dump = await host.Dump(client);
        (await host.Report(client, "refund", "e1", minorUnits: 501)).ShouldBeProblem(409, "balance-not-enough");
        (await host.Report(client, "refund", "e2", minorUnits: 1001)).ShouldBeProblem(409, "transition-refused");
        (await host.Report(client, "refund", "e3", minorUnits: 1, currency: "EUR")).ShouldBeProblem(
            409,
            "transition-refused"
        );
        (await host.Dump(client)).ShouldBe(dump);
        (await host.Report(client, "refund", "e4", minorUnits: 400)).ShouldBe(200)["refunded"].ShouldBe("400");
        (await host.Balance(client)).ShouldBe(100);

        // A refusal is decided afresh, under the same eventId.
        await host.Post(client, 1000);
        (await host.Report(client, "refund", "e1", minorUnits: 501)).ShouldBe(200)["refunded"].ShouldBe("901");
        (await host.Report(client, "refund", "e5", minorUnits: 100)).ShouldBeProblem(409, "transition-refused");
        (await host.Balance(client)).ShouldBe(599);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task An_event_takes_effect_once_for_ever(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.Register(client, kind: "AUTHORIZATION");
        (await host.Report(client, "authorize", "e1")).ShouldBe(200);
        (await host.Report(client, "capture", "e2", minorUnits: 400)).ShouldBe(200);
        var dump = await host.Dump(client);

        (await host.Report(client, "capture", "e2", minorUnits: 400)).ShouldBe(200)["captured"].ShouldBe("400");
        (await host.Report(client, "authorize", "e1")).ShouldBe(200)["status"].ShouldBe("CAPTURED");
        (await host.Report(client, "capture", "e2", minorUnits: 401)).ShouldBeProblem(409, "event-differs");
        (await host.Report(client, "capture", "e2", minorUnits: 400, currency: "EUR")).ShouldBeProblem(
            409,
            "event-differs"
        );
        (await host.Report(client, "refund", "e2", minorUnits: 400)).ShouldBeProblem(409, "event-differs");
        (await host.Report(client, "fail", "e1")).ShouldBeProblem(409, "event-differs");
        (await host.Dump(client)).ShouldBe(dump);

        (await host.Report(client, "refund", "e3", minorUnits: 400)).ShouldBe(200);
        host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        dump = await host.Dump(client);
        (await host.Report(client, "capture", "e2", minorUnits: 400)).ShouldBe(200)["status"].ShouldBe("REFUNDED");
        (await host.Report(client, "refund", "e3", minorUnits: 400)).ShouldBe(200);
        (await host.Dump(client)).ShouldBe(dump);

        // The same identifier is another event with another payment.
        await host.Register(client, "p2");
        (await host.Report(client, "succeed", "e1", "p2")).ShouldBe(200);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task An_event_that_was_in_time_stays_so_after_the_cancel(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.Register(client);
        (await host.Report(client, "succeed", "e1")).ShouldBe(200);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        var dump = await host.Dump(client);
        (await host.Report(client, "succeed", "e1")).ShouldBe(200)["status"].ShouldBe("CANCELLED");
        (await host.Dump(client)).ShouldBe(dump);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_payment_that_was_cancelled_before_it_arrived_is_refused(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var cancelled = host.Now;
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        for (var i = 0; i < 2; i++)
        {
            var reply = await host.Register(client);
            reply.ShouldBeProblem(409, "cancelled-before-arrival");
            DateTimeOffset.Parse(reply["cancelTime"]!, CultureInfo.InvariantCulture).ShouldBe(cancelled);
        }
        (await host.Find(client)).ShouldBeNull();
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");

        // Only that paymentRequestId, and only of that client.
        (await host.Register(client, "p1", "other")).ShouldBe(201);
        (await host.Register(await host.AddClient())).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_cancel_by_paymentId_is_not_remembered(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Cancel(client)).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Register(client)).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_cancel_by_both_identifiers_is_remembered(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Cancel(client, """{"paymentId":"p1","paymentRequestId":"req-p1"}""")).Code.ShouldBe(
            "ORDER_NOT_EXIST"
        );
        (await host.Register(client)).ShouldBeProblem(409, "cancelled-before-arrival");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_contract_can_do_without_remembering(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient(new Contract { RememberUnknown = false });
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        (await host.Register(client)).ShouldBe(201);

        // Also for what was remembered before it was so agreed.
        var changed = await host.AddClient();
        (await CancelUnknown(host, changed)).ShouldBe("ORDER_NOT_EXIST");
        await host.Call(
            "PUT",
            $"/clients/{changed.Id}",
            """{"name":"n","enabled":true,"contract":{"rememberUnknown":false}}"""
        );
        (await host.Register(changed)).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Cancels_before_arrival_are_remembered_for_a_time(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--UnknownPayments:RememberFor=01:00:00");
        var client = await host.AddClient();
        (await CancelUnknown(host, client)).ShouldBe("ORDER_NOT_EXIST");
        (await CancelUnknown(host, client, "p2")).ShouldBe("ORDER_NOT_EXIST");
        host.Clock.Advance(TimeSpan.FromHours(1) - TimeSpan.FromMicroseconds(1));
        (await host.Register(client)).ShouldBeProblem(409, "cancelled-before-arrival");
        (await CancelUnknown(host, client, "p2")).ShouldBe("ORDER_NOT_EXIST"); // Renewed.
        host.Clock.Advance(TimeSpan.FromMicroseconds(1));
        (await host.Register(client)).ShouldBe(201);
        (await host.Register(client, "p2")).ShouldBeProblem(409, "cancelled-before-arrival");
        await host.ShouldPassTheAudit();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task The_oldest_cancel_before_arrival_makes_room(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--UnknownPayments:MaxPerClient=2");
        var (client, other) = (await host.AddClient(), await host.AddClient());
        (await CancelUnknown(host, other, "p1")).ShouldBe("ORDER_NOT_EXIST");
        foreach (var id in (string[])["p1", "p2", "p3"])
        {
            host.Clock.Advance(TimeSpan.FromMicroseconds(1));
            (await CancelUnknown(host, client, id)).ShouldBe("ORDER_NOT_EXIST");
        }
        (await host.Register(client, "p1")).ShouldBe(201);
        (await host.Register(client, "p2")).ShouldBeProblem(409, "cancelled-before-arrival");
        (await host.Register(client, "p3")).ShouldBeProblem(409, "cancelled-before-arrival");
        (await host.Register(other, "p1")).ShouldBeProblem(409, "cancelled-before-arrival");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_payment_is_shown_with_its_history_its_transfers_and_its_cancellation(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.Register(client, payer: "payer-7");
        await host.Report(client, "succeed", "e1");
        await host.Cancel(client);
        await host.Report(client, "succeed", "e2");

        var detail = await host.Detail(client);

        detail["payment.status"].ShouldBe("CANCELLED");
        detail["payment.version"].ShouldBe("4");
        detail["payment.cancellation.effect"].ShouldBe("REFUNDED");
        DateTimeOffset
            .Parse(detail["payment.cancellation.cancelTime"]!, CultureInfo.InvariantCulture)
            .ShouldBe(host.Now);
        Members(
                detail,
                "history",
                "version",
                "action",
                "actor",
                "from",
                "to",
                "amount",
                "eventId",
                "remedy",
                "keyVersion"
            )
            .ShouldBe([
                $"1 REGISTER wallet-core - PROCESSING {InternalWire.Amount()} - - -",
                $"2 SUCCEED wallet-core PROCESSING SUCCESS {InternalWire.Amount()} e1 - -",
                $"3 CANCEL merchant SUCCESS CANCELLED {InternalWire.Amount()} - - 1",
                $"4 SUCCEED wallet-core CANCELLED CANCELLED {InternalWire.Amount()} e2 NONE -",
            ]);
        Members(detail, "transfers", "debit", "credit", "amount", "paymentId", "paymentVersion")
            .ShouldBe([
                $"PAYERS MERCHANT {InternalWire.Amount()} p1 2",
                $"MERCHANT PAYERS {InternalWire.Amount()} p1 3",
            ]);
        detail.Json.GetProperty("history")[2].GetProperty("traceId").GetString().ShouldNotBeNullOrEmpty();
        (await host.Call("GET", $"/clients/{client.Id}/payments?paymentRequestId=req-p1")).Text.ShouldBe(detail.Text);
    }

    private static async Task<string> CancelUnknown(TestHost host, TestClient client, string id = "p1") =>
        (await host.Cancel(client, $$"""{"paymentRequestId":"req-{{id}}"}""")).Code;

    private static IEnumerable<string> Members(Reply reply, string array, params string[] names) =>
        reply
            .Json.GetProperty(array)
            .EnumerateArray()
            .Select(item =>
                string.Join(
                    ' ',
                    names.Select(name =>
                        item.GetProperty(name) is { ValueKind: not JsonValueKind.Null } member ? $"{member}" : "-"
                    )
                )
            );

    // A problem may hold the trace of its request.
    private static string WithoutTrace(Reply reply) =>
        string.Join('\n', reply.Json.EnumerateObject().Where(m => m.Name != "traceId").Select(m => m.ToString()));
}

/// <summary>The operators' side: clients, contracts, keys and accounts.</summary>
public sealed class InternalClientsTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const string Cached = "--Clients:CacheTime=00:00:10";

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_client_is_created_with_the_usual_contract_and_replaced(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var id = $"NEW_{Guid.NewGuid():N}";

        var created = (await host.Call("PUT", $"/clients/{id}", """{"name":"A shop","enabled":true}""")).ShouldBe(200);

        created["name"].ShouldBe("A shop");
        created["enabled"].ShouldBe("True");
        created["contract.mayCancel"].ShouldBe("True");
        created["contract.window"].ShouldBe("T+1 00:15 +08:00");
        created["contract.requestsPerSecond"].ShouldBe("100");
        created["contract.burst"].ShouldBe("200");
        created["contract.rememberUnknown"].ShouldBe("True");
        (await host.Call("GET", $"/clients/{id}")).Text.ShouldBe(created.Text);

        var replaced = await host.Call(
            "PUT",
            $"/clients/{id}",
            """{"name":"B","enabled":false,"contract":{"mayCancel":false,"window":"PT24H","requestsPerSecond":1,"burst":2,"rememberUnknown":false}}"""
        );
        replaced["contract"]
            .ShouldBe("""{"mayCancel":false,"window":"P1D","requestsPerSecond":1,"burst":2,"rememberUnknown":false}""");
        replaced["enabled"].ShouldBe("False");
        (await host.Call("PUT", $"/clients/{id}", """{"name":"A shop","enabled":true}""")).Text.ShouldBe(created.Text);
    }

    [Theory]
    [InlineData("T+1 00:15 +08:00", "T+1 00:15 +08:00")]
    [InlineData("T+0 23:59:59 Asia/Shanghai", "T+0 23:59:59 Asia/Shanghai")]
    [InlineData("T+366 00:00 UTC", "T+366 00:00 UTC")]
    [InlineData("P7D", "P7D")]
    [InlineData("PT90M", "PT1H30M")]
    public async Task A_window_of_either_kind_is_kept(string given, string shown)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var reply = await host.Call(
            "PUT",
            $"/clients/{client.Id}",
            $$$"""{"name":"n","enabled":true,"contract":{"window":"{{{given}}}"}}"""
        );
        reply.ShouldBe(200)["contract.window"].ShouldBe(shown);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Clients_and_keys_are_listed_page_by_page(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        foreach (var id in (string[])["c", "a", "e", "B", "d"])
            await host.AddClient(id: id);

        var listed = await Paged(host, "/clients?limit=2", c => c.GetProperty("clientId").GetString());

        listed.ShouldBe(["a", "B", "c", "d", "e"], ignoreOrder: true);
        for (var version = 2; version <= 5; version++)
            await PutKey(host, "a", version, KeyPair.Other.PublicKey.Pem);
        (await Paged(host, "/clients/a/keys?limit=2", k => k.GetProperty("version").ToString())).ShouldBe([
            "1",
            "2",
            "3",
            "4",
            "5",
        ]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_key_is_registered_kept_and_revoked_for_good(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var other = new CancelCall
        {
            Client = client,
            At = host.Now,
            Key = KeyPair.Other,
            Form = "algorithm=RSA256, keyVersion=2, signature={0}",
        };
        (await host.Send(other)).Code.ShouldBe("KEY_NOT_FOUND");

        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBe(200)["version"].ShouldBe("2");
        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBe(200);
        (await PutKey(host, client.Id.Value, 2, KeyPair.Merchant.PublicKey.Pem)).ShouldBeProblem(409, "key-differs");
        (await host.Send(other)).Code.ShouldBe("SUCCESS");

        // The validity of the same key can be changed.
        (
            await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem, notAfter: "2026-11-23T20:00:00+08:00")
        ).ShouldBe(200);
        (await host.Send(other)).Code.ShouldBe("KEY_NOT_FOUND");
        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBe(200);
        (await host.Send(other)).Code.ShouldBe("SUCCESS");

        var path = $"/clients/{client.Id}/keys/2";
        (await host.Call("DELETE", path)).ShouldBe(204);
        (await host.Send(other)).Code.ShouldBe("KEY_NOT_FOUND");
        var revoked = (await host.Call("GET", path)).ShouldBe(200);
        revoked["revokedAt"].ShouldNotBeNull();
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        (await host.Call("DELETE", path)).ShouldBe(204);
        (await host.Call("GET", path)).Text.ShouldBe(revoked.Text);
        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBeProblem(409, "key-differs");
        (await PutKey(host, client.Id.Value, 2, KeyPair.Merchant.PublicKey.Pem)).ShouldBeProblem(409, "key-differs");
        (await host.Call("DELETE", $"/clients/{client.Id}/keys/3")).ShouldBeProblem(404, "not-found");
        (await PutKey(host, "NOBODY", 1, KeyPair.Other.PublicKey.Pem)).ShouldBeProblem(404, "not-found");
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS"); // With version 1, as before.
    }

    [Theory]
    [InlineData("RSA 1024")]
    [InlineData("EC")]
    [InlineData("private")]
    [InlineData("junk")]
    public async Task A_key_of_another_kind_is_not_accepted(string kind)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        using var weak = RSA.Create(1024);
        using var curve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var pem = kind switch
        {
            "RSA 1024" => weak.ExportSubjectPublicKeyInfoPem(),
            "EC" => curve.ExportSubjectPublicKeyInfoPem(),
            "private" => KeyPair.Other.PrivatePem,
            _ => "junk",
        };
        (await PutKey(host, client.Id.Value, 2, pem)).ShouldBeProblem(422, "key-not-accepted");
        (await host.Call("GET", $"/clients/{client.Id}/keys")).Items.Count.ShouldBe(1);
    }

    [Theory]
    [MatrixData("key", "validity", "contract", "client")]
    public async Task A_change_is_seen_here_at_once_and_elsewhere_within_the_cache_time(
        string what,
        DatabaseProvider provider
    )
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var here = await TestHost.Start(database, settings: [Cached]);
        await using var elsewhere = await TestHost.Start(
            database,
            new FakeTimeProvider(TestHost.Noon),
            settings: [Cached]
        );
        var client = await here.AddClient();
        await here.AddPayment(client, State.Processing);
        (await here.Cancel(client)).Code.ShouldBe("SUCCESS");
        (await elsewhere.Cancel(client)).Code.ShouldBe("SUCCESS");

        var (reply, refusal) = what switch
        {
            "key" => (await here.Call("DELETE", $"/clients/{client.Id}/keys/1"), "KEY_NOT_FOUND"),
            "validity" => (
                await PutKey(here, client.Id.Value, 1, client.Key.PublicKey.Pem, notAfter: "2026-11-23T11:59:59Z"),
                "KEY_NOT_FOUND"
            ),
            "contract" => (
                await Put("""{"name":"n","enabled":true,"contract":{"mayCancel":false}}"""),
                "ACCESS_DENIED"
            ),
            _ => (await Put("""{"name":"n","enabled":false}"""), "CLIENT_INVALID"),
        };

        reply.Status.ShouldBeOneOf(200, 204);
        (await here.Cancel(client)).Code.ShouldBe(refusal);
        elsewhere.Clock.Advance(TimeSpan.FromSeconds(7.5) - TimeSpan.FromTicks(1)); // Three quarters at least.
        (await elsewhere.Cancel(client)).Code.ShouldBe("SUCCESS");
        elsewhere.Clock.Advance(TimeSpan.FromSeconds(2.5) + TimeSpan.FromTicks(1));
        (await elsewhere.Cancel(client)).Code.ShouldBe(refusal);

        Task<Reply> Put(string json) => here.Call("PUT", $"/clients/{client.Id}", json);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task A_transfer_is_posted_once_for_ever(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();

        var deposit = (await Transfer(host, client, "deposits", "t1", 1000)).ShouldBe(201);
        (deposit["debit"], deposit["credit"], deposit["reference"]).ShouldBe(("SETTLEMENT", "MERCHANT", "t1"));
        deposit["amount"].ShouldBe(InternalWire.Amount());
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        (await Transfer(host, client, "deposits", "t1", 1000)).ShouldBe(200).Text.ShouldBe(deposit.Text);
        var payout = (await Transfer(host, client, "payouts", "t2", 900)).ShouldBe(201);
        var dump = await host.Dump(client);
        (await Transfer(host, client, "payouts", "t2", 900)).ShouldBe(200).Text.ShouldBe(payout.Text);

        (await Transfer(host, client, "deposits", "t1", 1001)).ShouldBeProblem(409, "transfer-differs");
        (await Transfer(host, client, "payouts", "t1", 1000)).ShouldBeProblem(409, "transfer-differs");
        (await Transfer(host, client, "deposits", "t1", 1000, "EUR")).ShouldBeProblem(409, "transfer-differs");
        (await Transfer(host, client, "payouts", "t3", 101)).ShouldBeProblem(409, "balance-not-enough");
        (await Transfer(host, client, "payouts", "t3", 1, "EUR")).ShouldBeProblem(409, "balance-not-enough");
        (await Transfer(host, client with { Id = new("NOBODY") }, "deposits", "t1", 1)).ShouldBeProblem(
            404,
            "not-found"
        );
        (await host.Dump(client)).ShouldBe(dump);
        (await host.Balance(client)).ShouldBe(100);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task An_account_is_shown_oldest_transfer_first_page_by_page(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        for (var i = 1; i <= 20; i++)
        {
            (await Transfer(host, client, "deposits", $"t{i}", i)).ShouldBe(201);
            host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        }

        var account = (await host.Call("GET", $"/clients/{client.Id}/accounts/USD")).ShouldBe(200);

        account["balance"].ShouldBe("210");
        account["next"].ShouldBeNull();
        (await Paged(host, $"/clients/{client.Id}/accounts/USD?limit=3", Units, "transfers")).ShouldBe(
            Enumerable.Range(1, 20).Select(i => $"{i}")
        );

        static string Units(JsonElement entry) => entry.GetProperty("amount").GetProperty("minorUnits").ToString();
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task An_account_whose_transfers_were_stored_in_another_order_is_shown_oldest_first(
        DatabaseProvider provider
    )
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        for (var i = 20; i >= 1; i--)
        {
            await host.Accounts.Post(
                new PostedTransfer(
                    Guid.CreateVersion7(host.Now.AddSeconds(i)),
                    client.Id,
                    $"t{i}",
                    Domain.Ledger.Transfer.Of(Domain.Ledger.TransferKind.Deposit, new(i, new("USD"))),
                    "operator",
                    host.Now.AddSeconds(i)
                ),
                CancellationToken.None
            );
        }

        (
            await Paged(
                host,
                $"/clients/{client.Id}/accounts/USD?limit=3",
                entry => entry.GetProperty("amount").GetProperty("minorUnits").ToString(),
                "transfers"
            )
        ).ShouldBe(Enumerable.Range(1, 20).Select(i => $"{i}"));
    }

    private static async Task<List<string?>> Paged(
        TestHost host,
        string path,
        Func<JsonElement, string?> item,
        string array = "items"
    )
    {
        var all = new List<string?>();
        string? next = null;
        do
        {
            var page = (await host.Call("GET", path + (next is null ? "" : $"&after={next}"))).ShouldBe(200);
            all.AddRange(page.Json.GetProperty(array).EnumerateArray().Select(item));
            next = page["next"];
            all.Count.ShouldBeLessThan(100);
        } while (next is not null);
        return all;
    }

    private static Task<Reply> Transfer(
        TestHost host,
        TestClient client,
        string kind,
        string id,
        long minorUnits,
        string currency = "USD"
    ) =>
        host.Call(
            "POST",
            $"/clients/{client.Id}/accounts/{currency}/{kind}",
            $$"""{"id":"{{id}}","minorUnits":{{minorUnits}}}"""
        );

    private static Task<Reply> PutKey(
        TestHost host,
        string clientId,
        int version,
        string pem,
        string? notAfter = null
    ) =>
        host.Call(
            "PUT",
            $"/clients/{clientId}/keys/{version}",
            JsonSerializer.Serialize(new { publicKey = pem, notAfter })
        );
}
