namespace CancelService.Api.Sandbox;

/// <summary>What a process with a sandbox has beside the others.</summary>
internal static class SandboxServices
{
    /// <summary>Adds the sandbox. From here on the service goes by a clock that can be put ahead.</summary>
    public static IServiceCollection AddSandbox(this IServiceCollection services) =>
        services
            .AddSingleton<TestClock>()
            .AddSingleton<TimeProvider>(provider => provider.GetRequiredService<TestClock>())
            .AddSingleton<SandboxGuard>()
            .AddSingleton<Scenarios>()
            .AddSingleton<DemoMerchant>()
            .AddSingleton<RecentRequests>();

    /// <summary>Has the public port's requests kept for the sandbox, and turned away when a scenario wants that.</summary>
    public static RequestDelegate Watch(IServiceProvider services, RequestDelegate respond)
    {
        var (recent, scenarios) = (
            services.GetRequiredService<RecentRequests>(),
            services.GetRequiredService<Scenarios>()
        );
        return http => recent.Keep(http, kept => scenarios.Respond(kept, respond));
    }
}
