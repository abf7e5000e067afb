using System.Security.Cryptography;
using System.Text;
using CancelService.Application.Pipeline;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: each internal endpoint demands its scope, and no internal endpoint answers on the public port.
/// </summary>
public sealed class InternalAccessTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    // Every endpoint with its required scope.
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
        ["GET /payments"] = Scopes.PaymentsRead,
        ["GET /clients"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}"] = Scopes.ClientsRead,
        ["PUT /clients/{clientId}"] = Scopes.ClientsWrite,
        ["GET /clients/{clientId}/keys"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}/keys/{version:int}"] = Scopes.ClientsRead,
        ["PUT /clients/{clientId}/keys/{version:int}"] = Scopes.ClientsWrite,
        ["DELETE /clients/{clientId}/keys/{version:int}"] = Scopes.ClientsWrite,
        ["POST /clients/{clientId}/diagnose"] = Scopes.ClientsRead,
        ["GET /changes"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}/accounts"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}/accounts/{currency}"] = Scopes.ClientsRead,
        ["GET /clients/{clientId}/transfers/{id}"] = Scopes.ClientsRead,
        ["POST /clients/{clientId}/accounts/{currency}/deposits"] = Scopes.AccountsWrite,
        ["POST /clients/{clientId}/accounts/{currency}/payouts"] = Scopes.AccountsWrite,
        ["GET /notifications"] = Scopes.PaymentsRead,
        ["POST /notifications/requeue"] = Scopes.PaymentsWrite,
        ["POST /notifications/{clientId}/{paymentId}/requeue"] = Scopes.PaymentsWrite,
    };

    public static TheoryData<string> AllEndpoints => [.. Endpoints.Keys];

    private Task<TestHost> Host => hosts.On(DatabaseProvider.Sqlite);

    [Fact]
    public async Task Table_of_endpoints_is_complete()
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
    public async Task Endpoint_accepts_only_its_own_scope(string endpoint)
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
    public async Task Forged_expired_or_foreign_token_is_rejected(string flaw)
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
    public async Task Internal_API_does_not_answer_on_the_public_port(string endpoint)
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
    public async Task Cancel_does_not_answer_on_the_internal_port()
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
    public async Task Health_endpoints_need_no_token()
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
