using Microsoft.Extensions.Options;

namespace CancelService.Api.Hosting;

/// <summary>
/// The boundary for a host that is the service and more, such as the wallet to try things in. The published service
/// has no extension.
/// </summary>
public interface IHostExtension
{
    /// <summary>The sections of the settings that the host adds, each with the type that it is bound to.</summary>
    IReadOnlyDictionary<string, Type> Sections { get; }

    /// <summary>Adds settings, before they are checked, and services, behind the service's own.</summary>
    void Add(WebApplicationBuilder builder);

    /// <summary>Wraps the exchange of the public port.</summary>
    RequestDelegate Wrap(IServiceProvider services, RequestDelegate respond);

    /// <summary>Maps endpoints on the internal port.</summary>
    void Map(WebApplication app);
}

/// <summary>
/// Work of an extended host on the database, which is part of an instance's preparation: the instance is ready when it is done.
/// </summary>
public interface IDatabasePreparation
{
    /// <summary>Runs before the schema is migrated. The database may not exist yet.</summary>
    /// <exception cref="OptionsValidationException">The database must not be used; the message says why.</exception>
    Task BeforeMigration(CancellationToken cancellationToken);

    /// <summary>Runs on the migrated schema.</summary>
    Task AfterMigration(CancellationToken cancellationToken);
}
