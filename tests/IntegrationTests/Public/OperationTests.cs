using System.Text;
using CancelService.Api.Exchange;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using CancelService.Protocol;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Public;

/// <summary>The exchange serves every operation that is registered, and decides for all of them what comes before the body.</summary>
public sealed class OperationTests(PostgresServer postgres)
{
    [Fact]
    public async Task A_second_operation_is_served_signed_and_guarded_like_the_first()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(
            database,
            with: services => services.AddSingleton<IOperation, Echo>(),
            settings: ["--Api:Prefixes:0=/api"]
        );
        var client = await host.AddClient();
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Target = "/api/v2/echo",
            Json = """{"a":1}""",
        };

        var answer = await host.Send(call);
        answer.Code.ShouldBe("SUCCESS");
        answer.Text.ShouldEndWith($$""" "by":"{{client.Id.Value}}","key":1,"body":{"a":1} }""");
        (await host.Send(call with { Key = KeyPair.Other })).Code.ShouldBe("INVALID_SIGNATURE");
        (await host.Send(call with { Method = "GET" })).Code.ShouldBe("METHOD_NOT_SUPPORTED");
        (await host.Send(call with { Target = "/v2/echo" })).Code.ShouldBe("INVALID_API");
        (await host.Send(call with { Json = "break" })).Code.ShouldBe("UNKNOWN_EXCEPTION");
        (await host.Send(call with { Target = "/api/v2/payments/cancel" })).Code.ShouldBe("PARAM_ILLEGAL");
    }

    private sealed class Echo : IOperation
    {
        public string Path => "/v2/echo";

        public string Name => "echo";

        public IReadOnlyList<ResultCode> Order => [];

        public IReadOnlyList<string> Members => [];

        public OperationDescription Description => new("Repeats the body", typeof(object), typeof(object));

        public string Problem(IReadOnlyList<string?> values) => "";

        public RequestRate RateOf(Contract contract) => new(contract.RequestsPerSecond, contract.Burst);

        public Api.Exchange.Answer Conclude(Api.Exchange.Answer answer, VerifiedRequest request) => answer;

        public Task<Api.Exchange.Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken)
        {
            var body = Encoding.UTF8.GetString(request.Body.Bytes);
            if (body == "break")
                throw new InvalidOperationException("A bug.");
            var text =
                """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"""
                + $$""" "by":"{{request.Client.Id}}","key":{{request.KeyVersion}},"body":{{body}} }""";
            return Task.FromResult(new Api.Exchange.Answer(ResultCode.Success, Encoding.UTF8.GetBytes(text)));
        }
    }
}
