using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CancelService.Api.Exchange;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: every operation of the public port is served, signed, limited, labelled, logged by name, diagnosed and described. The
/// barrier has its tests in FailoverTests.
/// </summary>
public sealed class OperationTests(PostgresServer postgres)
{
    public static TheoryData<string> Names => ["cancel", "inquiry", "echo"];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Operation_is_served_signed_and_guarded(string name)
    {
        await using var host = await Start();
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);
        var call = await Call(host, client, name);

        (await host.Send(call)).Code.ShouldBe("SUCCESS");
        (await host.Send(call with { Key = KeyPair.Other })).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Send(call with { Method = "GET" })).Code.ShouldBe("METHOD_NOT_SUPPORTED");
        (await host.Send(call with { Target = call.Target["/api".Length..] })).Code.ShouldBe("INVALID_API");
        (await host.Send(call with { Json = "[]" })).Code.ShouldBe("PARAM_ILLEGAL");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Operation_has_a_label_and_a_name_in_the_log(string name)
    {
        using var log = new LogLines();
        await using var host = await Start(log);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Success);

        await host.Send(await Call(host, client, name));

        log.Of(nameof(ExchangeLog))[^1].Text.ShouldContain($", {name} of payment p1, ");
        var metrics = await host.Internal.GetStringAsync(
            new Uri("/metrics", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        metrics
            .Split('\n')
            .ShouldContain(line =>
                line.StartsWith("cancelservice_answer_duration_seconds_count", StringComparison.Ordinal)
                && line.Contains("code=\"SUCCESS\"", StringComparison.Ordinal)
                && line.Contains($"operation=\"{name}\"", StringComparison.Ordinal)
            );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Operation_has_a_rate_of_its_own(string name)
    {
        await using var host = await Start();
        var terms = new Contract
        {
            RequestsPerSecond = name == "inquiry" ? 10_000 : 1,
            Burst = name == "inquiry" ? 10_000 : 1,
            InquiriesPerSecond = name == "inquiry" ? 1 : 10_000,
            InquiryBurst = name == "inquiry" ? 1 : 10_000,
        };
        var client = await host.AddClient(terms);
        await host.AddPayment(client, State.Success);
        var call = await Call(host, client, name);

        var codes = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < 1000 && !codes.Contains("REQUEST_TRAFFIC_EXCEED_LIMIT"); i++)
            codes.Add((await host.Send(call)).Code);

        codes.ShouldBe(["SUCCESS", "REQUEST_TRAFFIC_EXCEED_LIMIT"], ignoreOrder: true);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Operation_is_known_to_the_doctor(string name)
    {
        await using var host = await Start();
        var client = await host.AddClient();
        var call = await Call(host, client, name);

        (await Diagnose(host, client, call.ToBytes())).ShouldBe("SUCCESS");
        (await Diagnose(host, client, (call with { Json = "{\"paymentId\":1}" }).ToBytes())).ShouldBe("PARAM_ILLEGAL");
    }

    [Fact]
    public async Task Every_registered_operation_is_described_and_tested_here()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var operations = host.Services.GetServices<IOperation>().ToList();
        operations.Select(operation => operation.Name).Append("echo").ShouldBe(Names.Select(row => row.Data), true);

        using var document = JsonDocument.Parse(
            await File.ReadAllTextAsync(
                Path.Combine(Repository.Root, "docs", "openapi", "api_public.json"),
                TestContext.Current.CancellationToken
            )
        );
        var described = document.RootElement.GetProperty("paths");
        foreach (var operation in operations)
        {
            var post = described.GetProperty(operation.Path).GetProperty("post");
            post.GetProperty("operationId").GetString().ShouldBe(operation.Name);
            post.GetProperty("summary").GetString().ShouldBe(operation.Description.Summary);
            operation.Order.Take(SignedExchange.Order.Count).ShouldBe(SignedExchange.Order);
            operation.Order.ShouldAllBe(code => ResultCode.All.Contains(code));
        }
    }

    [Fact]
    public async Task Operation_that_fails_is_answered_with_U()
    {
        await using var host = await Start();
        var client = await host.AddClient();
        var call = await Call(host, client, "echo");

        (await host.Send(call with { Json = """{"paymentId":"break"}""" })).Code.ShouldBe("UNKNOWN_EXCEPTION");
    }

    private async Task<TestHost> Start(LogLines? log = null) =>
        await TestHost.Start(
            await TestDatabase.Create(DatabaseProvider.Sqlite, postgres),
            ownsDatabase: true,
            log: log,
            with: services => services.AddSingleton<IOperation, Echo>(),
            settings: ["--Api:Prefixes:0=/api", "--Serilog:MinimumLevel:Default=Information"]
        );

    private static Task<CancelCall> Call(TestHost host, TestClient client, string name)
    {
        var operation = host.Services.GetServices<IOperation>().Single(operation => operation.Name == name);
        return Task.FromResult(
            new CancelCall
            {
                Client = client,
                At = host.Now,
                Target = "/api" + operation.Path,
                Json = """{"paymentId":"p1"}""",
            }
        );
    }

    private static async Task<string?> Diagnose(TestHost host, TestClient client, byte[] paste)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post,
            $"/internal/v1/clients/{client.Id.Value}/diagnose?at={Uri.EscapeDataString(host.Now.ToString("O"))}"
        );
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.All);
        request.Content = new ByteArrayContent(paste);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        using var response = await host.Internal.SendAsync(request, TestContext.Current.CancellationToken);
        using var diagnosis = JsonDocument.Parse(
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)
        );
        return diagnosis.RootElement.GetProperty("code").GetString();
    }

    /// <summary>A third operation, which repeats its paymentId.</summary>
    private sealed class Echo : IOperation
    {
        public string Name => "echo";

        public string Path => "/v2/echo";

        public IReadOnlyList<ResultCode> Order =>
            [.. SignedExchange.Order, ResultCode.ParamIllegal, ResultCode.Success];

        public IReadOnlyList<string> Members { get; } = ["paymentId"];

        public OperationDescription Description => new("Repeats the body", typeof(object), typeof(object));

        public string Problem(IReadOnlyList<string?> values) => "";

        public RequestRate RateOf(Contract contract) => new(contract.RequestsPerSecond, contract.Burst);

        public Api.Exchange.Answer Conclude(Api.Exchange.Answer answer, VerifiedRequest request) =>
            answer.NamedBy(request);

        public Task<Api.Exchange.Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken) =>
            StringMembers.Read(request.Body, Members) switch
            {
                StringMembers.Given { Values: ["break"] } => throw new InvalidOperationException("A bug."),
                StringMembers.Given { Values: [var id] } => Task.FromResult(
                    new Api.Exchange.Answer(
                        ResultCode.Success,
                        Encoding.UTF8.GetBytes(
                            """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"""
                                + $"\"id\":\"{id}\"}}"
                        )
                    )
                ),
                StringMembers.Illegal illegal => Task.FromResult(Api.Exchange.Answer.Illegal(illegal.Problem)),
                _ => throw new InvalidOperationException("Another number of values."),
            };
    }
}
