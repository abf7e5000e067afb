using CancelService.Api.Hosting;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox.Demo;
using CancelService.Sandbox.Endpoints;
using Microsoft.Extensions.Options;
using Scalar.AspNetCore;

namespace CancelService.Sandbox;

/// <summary>The sandbox's part of the host. It adds the section <c>Sandbox</c> to the service's settings.</summary>
public sealed class SandboxExtension : IHostExtension
{
    /// <inheritdoc/>
    public IReadOnlyDictionary<string, Type> Sections { get; } =
        new Dictionary<string, Type>(StringComparer.Ordinal) { ["Sandbox"] = typeof(SandboxOptions) };

    /// <inheritdoc/>
    public void Add(WebApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        RefuseForeignSecrets(builder.Configuration);
        var options = builder.Configuration.GetSection("Sandbox").Get<SandboxOptions>() ?? new();
        var keys = new DemoKeys(options.Directory);
        // The operator's settings come first, except for secrets: those are always the sandbox's own.
        var defaults = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Database:ConnectionString"] = "Data Source=data/sandbox.db",
            ["Database:MigrateAtStart"] = "true",
            ["Shutdown:DrainTime"] = "00:00:00",
        };
        foreach (var (name, value) in defaults)
        {
            if (builder.Configuration[name] is null)
                builder.Configuration[name] = value;
        }
        builder.Configuration["Wallet:SigningKeyPath"] = keys.WalletPrivateKeyPath;
        builder.Configuration["Notifications:Secrets:0"] = keys.WebhookSecret;

        builder.Services.AddOptions<SandboxOptions>().BindConfiguration("Sandbox");
        builder
            .Services.AddSingleton(keys)
            .AddSingleton<DemoWallet>()
            .AddSingleton<TestClock>()
            .AddSingleton<TimeProvider>(provider => provider.GetRequiredService<TestClock>())
            .AddSingleton<Scenarios>()
            .AddSingleton<DemoMerchant>()
            .AddSingleton<RecentRequests>()
            .AddSingleton<Visitors>()
            .AddSingleton<Receivers>()
            .AddSingleton<Unusual>()
            .AddSingleton(new WritePrecondition(SandboxDatabase.Precondition))
            .AddSingleton<SandboxDatabase>()
            .AddSingleton<IDatabasePreparation>(provider => provider.GetRequiredService<SandboxDatabase>())
            .AddHostedService(provider => provider.GetRequiredService<SandboxDatabase>());
        if (!OpenApi.IsBuilding)
            builder.Services.AddOpenApiDocuments();
    }

    /// <inheritdoc/>
    public RequestDelegate Wrap(IServiceProvider services, RequestDelegate respond)
    {
        var (recent, scenarios) = (
            services.GetRequiredService<RecentRequests>(),
            services.GetRequiredService<Scenarios>()
        );
        return http => recent.Keep(http, kept => scenarios.Respond(kept, respond));
    }

    /// <inheritdoc/>
    public void Map(WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.MapOpenApi();
        app.MapScalarApiReference(scalar =>
            // The browser loads nothing from foreign hosts.
            scalar
                .AddDocuments("internal", "public")
                .DisableDefaultFonts()
                .DisableTelemetry()
                .DisableAgent()
                .DisableMcp()
        );
        app.MapSandbox(() => app.Services.GetRequiredService<DatabaseStartup>().IsDone);
    }

    // Everybody who reaches the sandbox can have it sign, and sees its secrets.
    private static void RefuseForeignSecrets(ConfigurationManager configuration)
    {
        string[] foreign =
        [
            .. configuration["Wallet:SigningKeyPath"] is null ? Array.Empty<string>() : ["Wallet:SigningKeyPath"],
            .. configuration.GetSection("Notifications:Secrets").GetChildren().Select(secret => secret.Path),
        ];
        if (foreign.Length > 0)
            throw new OptionsValidationException(
                "Sandbox",
                typeof(SandboxOptions),
                foreign.Select(name =>
                    $"{name} is set, but the sandbox makes its own keys and secrets. "
                    + "Remove the setting, or run the service."
                )
            );
    }
}

/// <summary>The section <c>Sandbox</c> of the settings.</summary>
public sealed class SandboxOptions
{
    private static readonly string[] ThisMachine = ["localhost", "127.0.0.1", "::1"];

    /// <summary>The directory of the demo's keys. The sandbox makes the keys that it lacks.</summary>
    public string Directory { get; set; } = "data/demo";

    /// <summary>
    /// The hosts that the page for receivers of events may post to, by name or address. Without any: this machine.
    /// </summary>
    public IList<string> ReceiverHosts { get; } = [];

    /// <summary>The hosts in force.</summary>
    internal IReadOnlyList<string> Receivers => ReceiverHosts is [] ? ThisMachine : [.. ReceiverHosts];
}
