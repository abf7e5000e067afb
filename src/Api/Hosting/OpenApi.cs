using System.Reflection;
using CancelService.Api.Exchange;
using CancelService.Api.Internal;
using CancelService.Protocol;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;

namespace CancelService.Api.Hosting;

/// <summary>
/// The OpenAPI documents of both ports. The build writes them to docs/openapi, and CI fails on a difference from the
/// checked-in files. The sandbox shows them at <c>/scalar</c>.
/// </summary>
public static class OpenApi
{
    /// <summary>Whether the process is the build's tool that generates the documents.</summary>
    public static bool IsBuilding => Assembly.GetEntryAssembly()?.GetName().Name == "GetDocument.Insider";

    /// <summary>Removes background work and checks of settings: the build's tool has no settings.</summary>
    public static void OnlyDescribe(IServiceCollection services) =>
        services
            .RemoveAll<IHostedService>()
            .RemoveAll<IStartupValidator>()
            .AddSingleton(new WalletClock(TimeZoneInfo.Utc)); // The wallet's zone is a setting.

    /// <summary>Adds both documents.</summary>
    public static IServiceCollection AddOpenApiDocuments(this IServiceCollection services) =>
        services
            .AddOpenApi(
                "internal",
                document =>
                    document
                        .AddSchemaTransformer(
                            (schema, context, _) =>
                            {
                                if (
                                    context.ParameterDescription?.ParameterDescriptor?.ParameterType
                                    == typeof(OffsetTime?)
                                )
                                    schema.Format = "date-time";
                                return Task.CompletedTask;
                            }
                        )
                        .AddDocumentTransformer(
                            (description, _, _) =>
                            {
                                description.Info = new OpenApiInfo
                                {
                                    Title = "CancelService, internal port",
                                    Version = "v1",
                                    Description =
                                        "For the wallet's core and operators. Needs a JWT with the right scope. Times "
                                        + "are UTC with an offset; amounts are minor units. Errors are problem details "
                                        + "(RFC 9457); docs/internal-api.md lists them.",
                                };
                                description.Servers = [];
                                var scheme = new OpenApiSecurityScheme
                                {
                                    Type = SecuritySchemeType.Http,
                                    Scheme = "bearer",
                                    BearerFormat = "JWT",
                                };
                                description.AddComponent("bearer", scheme);
                                description.Security =
                                [
                                    new() { [new OpenApiSecuritySchemeReference("bearer", description)] = [] },
                                ];
                                return Task.CompletedTask;
                            }
                        )
            )
            .AddOpenApi(
                "public",
                document =>
                {
                    document.ShouldInclude = _ => false;
                    document.AddDocumentTransformer(DescribeOperations);
                }
            );

    // One exchange answers every path of the public port, so there are no routes to describe.
    private static async Task DescribeOperations(
        OpenApiDocument description,
        OpenApiDocumentTransformerContext context,
        CancellationToken cancellationToken
    )
    {
        description.Info = new OpenApiInfo
        {
            Title = "CancelService, public port",
            Version = "v2",
            Description = "For merchants' servers. docs/api.md describes the signatures of requests and answers.",
        };
        description.Servers = [];
        description.Paths = [];
        foreach (var operation in context.ApplicationServices.GetServices<IOperation>())
        {
            var page = operation.Description;
            var request = await context.GetOrCreateSchemaAsync(page.Request, null, cancellationToken);
            var response = await context.GetOrCreateSchemaAsync(page.Response, null, cancellationToken);
            description.Paths[operation.Path] = new OpenApiPathItem
            {
                Operations = new Dictionary<HttpMethod, OpenApiOperation>
                {
                    [HttpMethod.Post] = Describe(operation, request, response),
                },
            };
        }
    }

    private static OpenApiOperation Describe(IOperation operation, OpenApiSchema request, OpenApiSchema response) =>
        new()
        {
            OperationId = operation.Name,
            Summary = operation.Description.Summary,
            Description =
                "Result codes: "
                + string.Join(
                    ", ",
                    operation
                        .Order.Append(ResultCode.UnknownException)
                        .Select(code => code.Code)
                        .Distinct(StringComparer.Ordinal)
                )
                + ".",
            Parameters =
            [
                Header("Client-Id", "The client's identifier: 1 to 64 letters, digits, '_' or '-'."),
                Header(
                    "Request-Time",
                    "The time of the request: ISO 8601 with an offset, or milliseconds since 1970. It may "
                        + "differ from the "
                        + "wallet's clock by Api:RequestTimeTolerance, by default 5 minutes."
                ),
                Header("Signature", "algorithm=RSA256, keyVersion=<version>, signature=<text>"),
            ],
            RequestBody = new OpenApiRequestBody { Required = true, Content = Json(request) },
            Responses = new OpenApiResponses
            {
                ["200"] = new OpenApiResponse
                {
                    Description = "The signed answer, whatever the outcome: resultStatus tells success from refusal.",
                    Headers = new Dictionary<string, IOpenApiHeader>(StringComparer.Ordinal)
                    {
                        ["client-id"] = AnswerHeader("The request's Client-Id; empty when it was malformed."),
                        ["response-time"] = AnswerHeader(
                            "The time of the answer: ISO 8601 with the offset of the wallet's time zone."
                        ),
                        ["signature"] = AnswerHeader(
                            "algorithm=RSA256,keyVersion=<version>,signature=<percent-encoded base64>"
                        ),
                    },
                    Content = Json(response),
                },
            },
        };

    private static OpenApiParameter Header(string name, string text) =>
        new()
        {
            Name = name,
            In = ParameterLocation.Header,
            Required = true,
            Description = text,
            Schema = new OpenApiSchema { Type = JsonSchemaType.String },
        };

    private static OpenApiHeader AnswerHeader(string text) =>
        new()
        {
            Description = text,
            Schema = new OpenApiSchema { Type = JsonSchemaType.String },
        };

    private static Dictionary<string, OpenApiMediaType> Json(OpenApiSchema schema) =>
        new(StringComparer.Ordinal) { ["application/json"] = new OpenApiMediaType { Schema = schema } };
}
