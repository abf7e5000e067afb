using Microsoft.Extensions.Options;

namespace CancelService.Api.Hosting;

/// <summary>
/// The boundary for a host that adds to the service, such as the sandbox. The published service has no extension.
/// </summary>
public interface IHostExtension
{
    /// <summary>The sections that the host adds to the settings, each with its bound type.</summary>
    IReadOnlyDictionary<string, Type> Sections { get; }

    /// <summary>Adds settings before they are checked, and services after the service's own.</summary>
    void Add(WebApplicationBuilder builder);

    /// <summary>Wraps the exchange of the public port.</summary>
    RequestDelegate Wrap(IServiceProvider services, RequestDelegate respond);

    /// <summary>Maps endpoints on the internal port.</summary>
    void Map(WebApplication app);
}

/// <summary>
/// An extended host's work on the database at start. The instance is not ready before it is done.
/// </summary>
public interface IDatabasePreparation
{
    /// <summary>Runs before the schema is migrated. The database may not exist yet.</summary>
    /// <exception cref="OptionsValidationException">
    /// The database must not be used; the message has the reason.
    /// </exception>
    Task BeforeMigration(CancellationToken cancellationToken);

    /// <summary>Runs on the migrated schema.</summary>
    Task AfterMigration(CancellationToken cancellationToken);
}
