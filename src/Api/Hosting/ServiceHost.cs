using System.Globalization;
using System.Security.Cryptography;
using CancelService.Api.Exchange;
using CancelService.Api.Failures;
using CancelService.Api.Internal;
using CancelService.Api.Operations.Cancel;
using CancelService.Api.Operations.Inquire;
using CancelService.Application;
using CancelService.Application.Cancelling;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure;
using CancelService.Infrastructure.Clients;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Signing;
using CancelService.Infrastructure.Sql;
using CancelService.OperatorConsole;
using CancelService.Protocol;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Serilog;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace CancelService.Api.Hosting;

/// <summary>Builds the process: settings, services, and the two ports.</summary>
public static class ServiceHost
{
    /// <summary>Builds the host from the settings.</summary>
    /// <param name="args">The settings of the command line.</param>
    /// <param name="replace">Replaces services, such as a test's clock.</param>
    /// <param name="extensions">Additions to the service.</param>
    public static WebApplication Build(
        string[] args,
        Action<IServiceCollection>? replace = null,
        params IHostExtension[] extensions
    )
    {
        ArgumentNullException.ThrowIfNull(extensions);
        var builder = WebApplication.CreateBuilder(
            new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory }
        );
        // Before the log is set up by them.
        SettingsCheck.Run(builder.Configuration, extensions.SelectMany(extension => extension.Sections).ToDictionary());
        AddServices(builder);
        foreach (var extension in extensions)
            extension.Add(builder);
        if (OpenApi.IsBuilding)
            builder.Services.AddOpenApiDocuments();
        DatabaseKeys.RemoveWarmUp(builder.Services);
        replace?.Invoke(builder.Services);

        var app = builder.Build();
        var exchange = app.Services.GetRequiredService<SignedExchange>;
        RequestDelegate respond = extensions.Aggregate<IHostExtension, RequestDelegate>(
            http => exchange().Respond(http),
            (inner, extension) => extension.Wrap(app.Services, inner)
        );
        app.Use((http, next) => http.Features.Get<InternalPort>() is null ? respond(http) : next(http));
        app.UseForwardedHeaders();
        app.MapInternalApi();
        foreach (var extension in extensions)
            extension.Map(app);
        app.MapOps();
        app.MapPrometheusScrapingEndpoint();
        app.MapHealthChecks("/healthz/live", new HealthCheckOptions { Predicate = _ => false });
        app.MapHealthChecks("/healthz/ready");
        return app;
    }

    private static void AddServices(WebApplicationBuilder builder)
    {
        AddLogging(builder);
        AddSettings(builder);
        AddPorts(builder);
        AddServices(builder.Services);
        builder.Services.AddOps(builder.Configuration);
        AddTelemetry(builder);
    }

    private static void AddServices(IServiceCollection services)
    {
        services.AddSingleton(TimeProvider.System).AddApplication().AddInfrastructure();
        services.AddSingleton<IReceiptFormat, ReceiptFormat>();
        services.AddAutoMapper(
            (provider, mapper) =>
            {
                mapper.LicenseKey = provider.GetRequiredService<IConfiguration>()["AutoMapper:LicenseKey"];
                mapper.AddProfile(new WireProfile(provider.GetRequiredService<WalletClock>()));
            },
            Array.Empty<Type>()
        );
        services
            .AddPublicApi()
            .AddSingleton<IOperation, CancelOperation>()
            .AddSingleton<IOperation, InquiryOperation>();
        services.AddSingleton(provider => new WalletClock(
            provider.GetRequiredService<IOptions<WalletOptions>>().Value.Zone
        ));
        services.AddSingleton(LoadWalletKey);
        services
            .AddSingleton<DatabaseStartup>()
            .AddHostedService(provider => provider.GetRequiredService<DatabaseStartup>());
        services.AddSingleton<Drain>().AddHostedService(provider => provider.GetRequiredService<Drain>());
        services
            .AddOptions<HostOptions>()
            .Configure<IOptions<ShutdownOptions>>(
                (host, shutdown) => host.ShutdownTimeout = shutdown.Value.DrainTime + shutdown.Value.GraceTime
            );
        services.AddSingleton<ApiMetrics>().AddHostedService<StartReport>();
        services.AddInternalApi().AddDoctor();
        services.AddSingleton(provider =>
        {
            var database = provider.GetRequiredService<IOptions<DatabaseOptions>>().Value;
            return new ConsoleHost(
                BuildInfo.Full,
                database.Provider.ToString(),
                database.Timeout,
                ApiMetrics.Answers,
                (failure, timeout) => UnknownCause.Of(failure, timeout).Text
            );
        });
        services.AddSingleton<Readiness>().AddHealthChecks().AddCheck<Readiness>("database");
    }

    // Prometheus scrapes /metrics on the internal port. OTEL_EXPORTER_OTLP_ENDPOINT also exports traces, metrics and
    // logs, with OpenTelemetry's own settings (OTEL_*).
    private static void AddTelemetry(WebApplicationBuilder builder)
    {
        var telemetry = builder
            .Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("cancelservice", serviceVersion: BuildInfo.Version))
            .WithMetrics(metrics =>
                metrics
                    .AddMeter(Telemetry.Name, "Npgsql")
                    .AddAspNetCoreInstrumentation()
                    .AddRuntimeInstrumentation()
                    .AddPrometheusExporter()
            );
        if (string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
            return;
        telemetry
            .WithTracing(traces => traces.AddSource(Telemetry.Name, "Npgsql").AddAspNetCoreInstrumentation())
            .WithLogging()
            .UseOtlpExporter();
        builder.Logging.AddFilter<OpenTelemetryLoggerProvider>("Microsoft", LogLevel.Warning);
    }

    private static WalletKey LoadWalletKey(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<WalletOptions>>().Value;
        var path = options.SigningKeyPath!; // Checked at start.
        try
        {
            return WalletKey.Load(path, options.KeyVersion);
        }
        catch (CryptographicException e)
        {
            throw new OptionsValidationException(
                "Wallet",
                typeof(WalletOptions),
                [$"Wallet:SigningKeyPath is '{path}': {e.Message}. Name a PEM file with an RSA private key."]
            );
        }
    }

    private static void AddSettings(WebApplicationBuilder builder)
    {
        Add<DatabaseOptions>("Database", options => options.Problem());
        Add<ClientsOptions>("Clients", options => options.Problem());
        Add<UnknownPaymentsOptions>("UnknownPayments", options => options.Problem());
        Add<RefusedCancelsOptions>("RefusedCancels", options => options.Problem());
        Add<NotificationsOptions>("Notifications", options => options.Problem());
        Add<ApiOptions>("Api", options => options.Problem());
        Add<ShutdownOptions>("Shutdown", options => options.Problem());
        Add<LimitsOptions>("Limits", options => options.Problem());
        Add<ChangesOptions>("Changes", _ => null);
        Add<OpsOptions>("Ops", options => options.Problem());
        Add<ForwardingOptions>("ForwardedHeaders", options => options.Problem());
        builder
            .Services.AddOptions<ForwardedHeadersOptions>()
            .Configure<IOptions<ForwardingOptions>>((headers, forwarding) => forwarding.Value.Configure(headers));
        Add<BearerSettings>(BearerSettings.Section, options => options.Problem());
        Add<WalletOptions>(
            "Wallet",
            options =>
                options.SigningKeyPath is null
                    ? "Wallet:SigningKeyPath is missing. Name a PEM file with the wallet's RSA private key; "
                        + "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 makes one."
                    : options.Problem()
        );

        void Add<T>(string section, Func<T, string?> problem)
            where T : class
        {
            builder.Services.AddOptions<T>().BindConfiguration(section).ValidateOnStart();
            builder.Services.AddSingleton<IValidateOptions<T>>(new Check<T>(problem));
        }
    }

    private sealed class Check<T>(Func<T, string?> problem) : IValidateOptions<T>
        where T : class
    {
        public ValidateOptionsResult Validate(string? name, T options) =>
            problem(options) is { } failure ? ValidateOptionsResult.Fail(failure) : ValidateOptionsResult.Success;
    }

    // Not the static Log: hosts of parallel tests must not share a logger.
    private static void AddLogging(WebApplicationBuilder builder)
    {
        var configuration = new LoggerConfiguration()
            .ReadFrom.Configuration(builder.Configuration)
            .Enrich.FromLogContext()
            // A body that breaks HTTP is a client error and gets 400. Its stack traces would let unverified requests
            // fill the log.
            .Filter.ByExcluding(line => line.Exception is BadHttpRequestException || IsUnreadBody(line));
        configuration = builder.Environment.IsDevelopment()
            ? configuration.WriteTo.Console(formatProvider: CultureInfo.InvariantCulture)
            : configuration.WriteTo.Console(new RenderedCompactJsonFormatter());
        builder.Logging.ClearProviders().AddSerilog(configuration.CreateLogger(), dispose: true);
    }

    // Kestrel drains an unread body, and reports a NUL in its trailer as a server error.
    private static bool IsUnreadBody(LogEvent line) =>
        line.Properties.GetValueOrDefault("EventId") is StructureValue { Properties: var id }
        && id.Any(part => part.Value is ScalarValue { Value: "RequestBodyDrainBodyReaderInvalidState" });

    // The ports are ordinary Kestrel endpoints in the settings. Only connections on the endpoint Internal are marked,
    // so an added endpoint is public and can't expose the internal API.
    private static void AddPorts(WebApplicationBuilder builder) =>
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // An absolute-form target outranks the Host header (RFC 9112, 3.2.2).
            kestrel.AllowHostHeaderOverride = true;
            var limits = kestrel.ApplicationServices.GetRequiredService<IOptions<LimitsOptions>>().Value;
            kestrel.Limits.MaxConcurrentConnections = limits.MaxConnections;
            kestrel.Limits.RequestHeadersTimeout = limits.HeadersTimeout;
            kestrel.Limits.KeepAliveTimeout = limits.KeepAliveTimeout;
            kestrel.Limits.MinRequestBodyDataRate = new(limits.MinBodyBytesPerSecond, TimeSpan.FromSeconds(5));
            kestrel.Limits.MaxRequestBufferSize = 64 * 1024; // Per connection, before the request is read.
            // More than the API's own limit of 64 KiB, so that a longer body still gets a signed answer.
            kestrel.Limits.MaxRequestBodySize = 1024 * 1024;
            kestrel
                .Configure(builder.Configuration.GetSection("Kestrel"))
                .Endpoint(
                    "Internal",
                    endpoint =>
                        endpoint.ListenOptions.Use(next =>
                            connection =>
                            {
                                connection.Features.Set(new InternalPort());
                                return next(connection);
                            }
                        )
                );
        });

    private sealed class InternalPort;
}
