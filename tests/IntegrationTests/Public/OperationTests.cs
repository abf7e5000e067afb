using System.Text;
using CancelService.Api.Public;
using CancelService.Application.Protocol;
using CancelService.Infrastructure.Persistence;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Public;

/// <summary>
/// Goal: the exchange serves every registered operation, and handles all steps before the body for them.
/// </summary>
public sealed class OperationTests(PostgresServer postgres)
{
    [Fact]
    public async Task Second_operation_is_served_signed_and_guarded_like_the_first()
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

        public Api.Public.Answer Conclude(Api.Public.Answer answer, VerifiedRequest request) => answer;

        public Task<Api.Public.Answer> Execute(VerifiedRequest request, CancellationToken cancellationToken)
        {
            var body = Encoding.UTF8.GetString(request.Body.Bytes);
            if (body == "break")
                throw new InvalidOperationException("A bug.");
            var text =
                """{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"Success"},"""
                + $$""" "by":"{{request.Client.Id}}","key":{{request.KeyVersion}},"body":{{body}} }""";
            return Task.FromResult(new Api.Public.Answer(ResultCode.Success, Encoding.UTF8.GetBytes(text)));
        }
    }
}
