using CancelService.Api.Exchange;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Signing;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace CancelService.Api.Internal;

/// <summary>The endpoint that explains refused requests.</summary>
public static class DiagnoseApi
{
    /// <summary>
    /// Adds the doctor. It knows the wallet's key and the examined client's keys, but no other client's.
    /// </summary>
    public static IServiceCollection AddDoctor(this IServiceCollection services) =>
        services.AddSingleton(provider =>
        {
            var api = provider.GetRequiredService<IOptions<ApiOptions>>().Value;
            return new RequestDoctor(
                new Practice(
                    [
                        .. provider
                            .GetServices<IOperation>()
                            .Select(operation => new ServedOperation(
                                operation.Name,
                                [.. api.Paths(operation.Path)],
                                operation.Members,
                                operation.Problem
                            )),
                    ],
                    api.StrippedPrefix,
                    api.RequestTimeTolerance,
                    [
                        new StrangeKey(
                            "key-wallet",
                            "the wallet's own key",
                            provider.GetRequiredService<WalletKey>().PublicKey.Pem
                        ),
                    ]
                )
            );
        });

    /// <summary>Converts a client for the doctor.</summary>
    public static ExaminedClient Examined(Client client)
    {
        ArgumentNullException.ThrowIfNull(client);
        return new(
            client.Id.Value,
            client.Enabled,
            [
                .. client.Keys.Select(key => new ExaminedKey(
                    key.Version,
                    key.PublicKey.Pem,
                    key.NotBefore,
                    key.NotAfter,
                    key.RevokedAt
                )),
            ]
        );
    }

    /// <summary>Maps the endpoint under <c>/internal/v1</c>.</summary>
    public static void MapDiagnose(this RouteGroupBuilder internalApi) =>
        internalApi
            .MapPost("/clients/{clientId}/diagnose", Diagnose)
            .WithTags("Clients")
            .Accepts<string>("*/*") // Otherwise a call without a token would get 415 before 401.
            .RequireAuthorization(Scopes.ClientsRead);

    /// <summary>
    /// Explains to the byte why a request of the client is refused. The body is the request: raw HTTP, a curl command,
    /// an entry of an HAR file, or a line of a log. The parameter at is the time of the request; without it, an old
    /// Request-Time is a cause only if there is no other.
    /// </summary>
    public static async Task<Results<Ok<Diagnosis>, ProblemHttpResult>> Diagnose(
        string clientId,
        OffsetTime? at,
        HttpRequest request,
        IClients clients,
        RequestDoctor doctor,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!ClientId.IsWellFormed(clientId) || await clients.Find(new(clientId), cancellationToken) is not { } client)
            return Problems.NotFound("client");
        using var paste = new MemoryStream();
        await request.Body.CopyToAsync(paste, cancellationToken); // The port bounds every body.
        return PastedRequest.Read(paste.ToArray(), out var problem) is { } pasted
            ? TypedResults.Ok(
                doctor.Examine(pasted, Examined(client), at?.Value ?? time.GetUtcNow(), cameNow: at is not null)
            )
            : Problems.Invalid(problem);
    }
}
