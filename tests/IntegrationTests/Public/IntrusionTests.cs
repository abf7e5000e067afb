using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Public;

/// <summary>Goal: forged tokens do not open the internal API, and the public port gives no way into it.</summary>
public sealed class IntrusionTests(GuardedHost guarded) : IClassFixture<GuardedHost>
{
    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    public static string[] Settings =>
        [
            "--Authentication:Schemes:Bearer:ValidIssuer=issuer",
            "--Authentication:Schemes:Bearer:ValidAudience=cancelservice",
            "--Authentication:Schemes:Bearer:SigningKeys:0:Issuer=issuer",
            $"--Authentication:Schemes:Bearer:SigningKeys:0:Value={Convert.ToBase64String(Key)}",
        ];

    private static long Now => TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    private static readonly string Good = Token();

    // Authorization headers, with the status that each must get.
    private static readonly Dictionary<string, (string Authorization, int Status)> Tokens = new(StringComparer.Ordinal)
    {
        ["no token"] = ("", 401),
        ["an empty token"] = ("Bearer ", 401),
        ["three dots"] = ("Bearer ...", 401),
        ["another scheme"] = ($"Basic {Good}", 401),
        ["the none algorithm"] = ($"Bearer {Token(algorithm: "none", signature: "")}", 401),
        ["the none algorithm in other letters"] = ($"Bearer {Token(algorithm: "nOnE", signature: "")}", 401),
        ["the none algorithm with a good signature"] = ($"Bearer {Token(algorithm: "none")}", 401),
        ["no signature"] = ($"Bearer {Token(signature: "")}", 401),
        ["a signature cut off"] = ($"Bearer {Good[..^4]}", 401),
        ["claims changed after signing"] = ($"Bearer {Spliced()}", 401),
        ["another key"] = ($"Bearer {Token(key: new byte[32])}", 401),
        ["the wallet's public key as an HMAC key"] = (
            $"Bearer {Token(key: Encoding.ASCII.GetBytes(KeyPair.Wallet.PublicKey.Pem))}",
            401
        ),
        ["an asymmetric algorithm's name"] = ($"Bearer {Token(algorithm: "RS256")}", 401),
        ["a key id that is a path"] = ($"Bearer {Token(key: [0], keyId: "/dev/null")}", 401),
        ["another issuer"] = ($"Bearer {Token(issuer: "issuer2")}", 401),
        ["no issuer"] = ($"Bearer {Token(issuer: null)}", 401),
        ["another audience"] = ($"Bearer {Token(audience: "other")}", 401),
        ["no audience"] = ($"Bearer {Token(audience: null)}", 401),
        ["expired"] = ($"Bearer {Token(expires: Now - 3600)}", 401),
        ["no expiry"] = ($"Bearer {Token(expires: null)}", 401),
        ["not yet valid"] = ($"Bearer {Token(notBefore: Now + 3600)}", 401),
        ["no scope"] = ($"Bearer {Token(scope: null)}", 403),
        ["the scope to read"] = ($"Bearer {Token(scope: Scopes.ClientsRead)}", 403),
        ["a scope that begins alike"] = ($"Bearer {Token(scope: Scopes.ClientsWrite + "r")}", 403),
        ["a scope in other letters"] = ($"Bearer {Token(scope: "Clients:Write")}", 403),
        ["a scope of all"] = ($"Bearer {Token(scope: "*")}", 403),
        ["the scope with a tabulator"] = ($"Bearer {Token(scope: "x\t" + Scopes.ClientsWrite)}", 403),
    };

    public static TheoryData<string> BadTokens => [.. Tokens.Keys];

    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task Token_without_permission_changes_nothing(string what)
    {
        var (authorization, status) = Tokens[what];
        var id = $"by-{Tokens.Keys.ToList().IndexOf(what)}";
        (await Put(id, authorization)).ShouldBe(status);
        (await Exists(id)).ShouldBeFalse();
    }

    [Fact]
    public async Task Token_in_the_query_or_sent_twice_is_ignored()
    {
        (await Put("by-query", "", $"?access_token={Good}")).ShouldBe(401);
        (await Put("by-two", $"Bearer {Token(key: new byte[32])}\r\nAuthorization: Bearer {Good}")).ShouldBe(401);
        (await Exists("by-query")).ShouldBeFalse();
        (await Exists("by-two")).ShouldBeFalse();
        (await Put("by-good", $"Bearer {Good}")).ShouldBe(200);
        (await Exists("by-good")).ShouldBeTrue();
    }

    // Targets and header lines that request the internal API on the public port.
    public static TheoryData<string> WaysIn =>
        [
            "/internal/v1/clients/{0}",
            "//internal/v1/clients/{0}",
            "/INTERNAL/v1/clients/{0}",
            "/%69nternal/v1/clients/{0}",
            "/internal%2Fv1%2Fclients%2F{0}",
            "/v2/payments/cancel/../../../internal/v1/clients/{0}",
            "/v2/payments/cancel/%2e%2e/%2e%2e/%2e%2e/internal/v1/clients/{0}",
            "/v2/payments/cancel;/../internal/v1/clients/{0}",
            "http://127.0.0.1:8081/internal/v1/clients/{0}",
            "http://localhost:{1}/internal/v1/clients/{0}",
            "/internal/v1/clients/{0} Host: 127.0.0.1:{1}",
            "/internal/v1/clients/{0} X-Forwarded-Port: {1}",
            "/internal/v1/clients/{0} X-Forwarded-Host: localhost:{1}",
            "/internal/v1/clients/{0} X-Forwarded-Prefix: /internal",
            "/v2/payments/cancel X-Original-URL: /internal/v1/clients/{0}",
            "/v2/payments/cancel X-Rewrite-URL: /internal/v1/clients/{0}",
            "/v2/payments/cancel X-HTTP-Method-Override: PUT",
        ];

    [Theory]
    [MemberData(nameof(WaysIn))]
    public async Task Public_port_gives_no_access_to_the_internal_API_even_with_a_valid_token(string way)
    {
        var host = guarded.Host;
        var parts = string.Format(System.Globalization.CultureInfo.InvariantCulture, way, "intruder", host.InternalPort)
            .Split(' ', 2);
        var answer = await Send(host.PublicPort, parts[0], $"Bearer {Good}", parts.Length > 1 ? parts[1] : null);
        (answer.Status is 200 or 400).ShouldBeTrue();
        if (answer.Status == 200)
            answer.Code.ShouldBeOneOf("INVALID_API", "METHOD_NOT_SUPPORTED");
        (await Exists("intruder")).ShouldBeFalse();
    }

    [Theory]
    [InlineData("/healthz/live")]
    [InlineData("/healthz/ready")]
    [InlineData("/metrics")]
    [InlineData("/openapi/api_internal.json")]
    [InlineData("/scalar")]
    [InlineData("/internal/v1/clients")]
    public async Task Internal_endpoints_do_not_answer_on_the_public_port(string path)
    {
        var request = Encoding.ASCII.GetBytes(
            $"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {Good}\r\n\r\n"
        );
        var answer = await Wire.Exchange(guarded.Host.PublicPort, request, "GET");
        answer.ShouldBeSigned("GET", path, "");
        answer.Code.ShouldBe("INVALID_API");
    }

    [Fact]
    public async Task Internal_port_does_not_answer_merchants()
    {
        var host = guarded.Host;
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        using var json = new StringContent("""{"paymentId":"p1"}""", Encoding.UTF8, "application/json");
        var path = new Uri(CancelCall.Path, UriKind.Relative);
        using var answer = await host.Internal.PostAsync(path, json, TestContext.Current.CancellationToken);
        answer.StatusCode.ShouldBe(System.Net.HttpStatusCode.NotFound);
        (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Success);
    }

    [Theory]
    [InlineData("/v2/payments/cancel")]
    [InlineData("localhost:443")]
    public async Task CONNECT_opens_no_tunnel(string target)
    {
        // HTTP 200 to a CONNECT would open a tunnel.
        var request = Encoding.ASCII.GetBytes($"CONNECT {target} HTTP/1.1\r\nHost: {target.TrimStart('/')}\r\n\r\n");
        var answer = await Wire.Exchange(guarded.Host.PublicPort, request, "CONNECT");
        answer.Status.ShouldBeInRange(400, 499);
    }

    [Theory]
    [InlineData("\r\n\r\n12\r\n", "\r\n\r\n7FFFFFFFFFFFFFFF\r\n")]
    [InlineData("\r\n0\r\n\r\n", "\r\n0\r\nX: \0\r\n\r\n")]
    public async Task Malformed_chunked_body_is_a_client_error(string good, string broken)
    {
        var client = await guarded.Host.AddClient();
        var call = new CancelCall
        {
            Client = client,
            At = guarded.Host.Now,
            Chunks = 1000,
        };
        var text = Encoding.Latin1.GetString(call.ToBytes());
        text.ShouldContain(good);
        var request = Encoding.Latin1.GetBytes(text.Replace(good, broken, StringComparison.Ordinal));
        var answer = await Wire.Exchange(guarded.Host.PublicPort, request, "POST");
        answer.Status.ShouldBe(400);
    }

    private async Task<int> Put(string id, string authorization, string query = "") =>
        (await Send(guarded.Host.InternalPort, $"/internal/v1/clients/{id}{query}", authorization, null)).Status;

    private async Task<bool> Exists(string id)
    {
        await using var db = guarded.Host.Db();
        return db.Set<Client>().AsEnumerable().Any(client => client.Id.Value == id);
    }

    private static async Task<Answer> Send(int port, string target, string authorization, string? line)
    {
        const string body = """{"name":"Intruder","enabled":true}""";
        var host = line?.StartsWith("Host:", StringComparison.Ordinal) is true ? "" : "Host: localhost\r\n";
        var request =
            $"PUT {target} HTTP/1.1\r\n{host}{(line is null ? "" : $"{line}\r\n")}"
            + (authorization.Length == 0 ? "" : $"Authorization: {authorization}\r\n")
            + $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}";
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(System.Net.IPAddress.Loopback, port);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        using var received = new MemoryStream();
        await stream.CopyToAsync(received);
        var text = Encoding.UTF8.GetString(received.ToArray());
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return new Answer(
            int.Parse(text.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture),
            [],
            Encoding.UTF8.GetBytes(text[(end + 4)..])
        );
    }

    private static string Token(
        string algorithm = "HS256",
        string? issuer = "issuer",
        string? audience = "cancelservice",
        string? scope = Scopes.ClientsWrite,
        long? expires = 4_000_000_000,
        long? notBefore = null,
        byte[]? key = null,
        string? keyId = null,
        string? signature = null
    )
    {
        var header = new Dictionary<string, object?>(StringComparer.Ordinal) { ["alg"] = algorithm, ["kid"] = keyId };
        var claims = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["iss"] = issuer,
            ["aud"] = audience,
            ["sub"] = "intruder",
            ["exp"] = expires,
            ["nbf"] = notBefore,
            ["scope"] = scope,
        };
        var unsigned = $"{Encoded(header)}.{Encoded(claims)}";
        signature ??= Base64Url.EncodeToString(HMACSHA256.HashData(key ?? Key, Encoding.ASCII.GetBytes(unsigned)));
        return $"{unsigned}.{signature}";

        static string Encoded(Dictionary<string, object?> json) =>
            Base64Url.EncodeToString(
                JsonSerializer.SerializeToUtf8Bytes(
                    json.Where(member => member.Value is not null).ToDictionary(StringComparer.Ordinal)
                )
            );
    }

    // Claims of one token with the signature of another.
    private static string Spliced()
    {
        var read = Token(scope: Scopes.ClientsRead).Split('.');
        var write = Good.Split('.');
        return $"{write[0]}.{write[1]}.{read[2]}";
    }
}

/// <summary>Host that trusts the tokens of <see cref="IntrusionTests"/>; the database does not matter here.</summary>
public sealed class GuardedHost(PostgresServer postgres) : IAsyncLifetime
{
    public TestHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync() =>
        Host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, IntrusionTests.Settings);

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
