using CancelService.Application.Reading;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Polly;
using Polly.CircuitBreaker;

namespace CancelService.Infrastructure.Notifications;

/// <summary>Registers the relay.</summary>
internal static class RelayServices
{
    /// <summary>
    /// Adds the outbox, the relay and its HTTP client. The outbox retries; the HTTP client has a timeout per attempt
    /// and a circuit breaker that opens when nearly all attempts fail.
    /// </summary>
    public static IServiceCollection AddRelay(this IServiceCollection services)
    {
        services
            .AddSingleton(provider =>
            {
                var database = provider.GetRequiredService<Database>();
                return new DueClients(() => database.Nodes);
            })
            .AddSingleton<Outbox>();
        services.AddSingleton<INotifications>(provider => provider.GetRequiredService<Outbox>());
        services.AddSingleton<CircuitBreakerStateProvider>().AddSingleton<OutboxMetrics>();
        services.AddHostedService(provider => provider.GetRequiredService<OutboxMetrics>());
        services.AddSingleton<Webhook>();
        services.AddHostedService(provider => new OutboxRelay(
            provider.GetRequiredService<Outbox>(),
            provider.GetRequiredService<Webhook>().Send,
            provider.GetRequiredService<OutboxMetrics>().Attempted,
            provider.GetRequiredService<IOptions<NotificationsOptions>>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<OutboxRelay>>()
        ));
        services
            .AddHttpClient(Webhook.HttpClientName, client => client.Timeout = Timeout.InfiniteTimeSpan)
            .RemoveAllLoggers() // The relay logs each event itself; the URL may hold a secret.
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan) // PooledConnectionLifetime follows DNS changes.
            .ConfigurePrimaryHttpMessageHandler(() =>
                new SocketsHttpHandler
                {
                    AllowAutoRedirect = false,
                    UseCookies = false,
                    PooledConnectionLifetime = TimeSpan.FromMinutes(2),
                    MaxResponseDrainSize = 64 * 1024,
                    MaxResponseHeadersLength = 64,
                }
            )
            .AddResilienceHandler(
                "attempt",
                (pipeline, context) =>
                {
                    var options = context.ServiceProvider.GetRequiredService<IOptions<NotificationsOptions>>().Value;
                    pipeline.TimeProvider = context.ServiceProvider.GetRequiredService<TimeProvider>();
                    pipeline
                        .AddCircuitBreaker(
                            new HttpCircuitBreakerStrategyOptions
                            {
                                // An outage of a receiver may look like 404, 401 or 302 as well as 503: count all.
                                ShouldHandle = attempt =>
                                    ValueTask.FromResult(attempt.Outcome is not { Result.IsSuccessStatusCode: true }),
                                StateProvider =
                                    context.ServiceProvider.GetRequiredService<CircuitBreakerStateProvider>(),
                                FailureRatio = 0.9,
                                MinimumThroughput = 20,
                                SamplingDuration = TimeSpan.FromSeconds(30),
                                BreakDuration = TimeSpan.FromSeconds(10),
                            }
                        )
                        .AddTimeout(options.AttemptTimeout);
                }
            );
        return services;
    }
}
