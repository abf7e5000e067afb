using System.Xml.Linq;
using CancelService.Infrastructure.Operators;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;

namespace CancelService.OperatorConsole;

/// <summary>
/// Keeps the keys of Data Protection in the service's database, so that every instance reads what another has
/// protected.
/// </summary>
public sealed class DatabaseKeys(ProtectionKeys keys) : IXmlRepository
{
    private const string Loader = "Microsoft.AspNetCore.DataProtection.Internal.DataProtectionHostedService";

    /// <summary>Adds Data Protection with these keys.</summary>
    public static void Add(IServiceCollection services)
    {
        services.AddDataProtection().SetApplicationName("CancelService");
        services
            .AddOptions<KeyManagementOptions>()
            .Configure<ProtectionKeys>((options, keys) => options.XmlRepository = new DatabaseKeys(keys));
    }

    /// <summary>
    /// Removes the framework's warm-up, which reads the keys at start: before the schema is migrated, or while the
    /// database is away. Cookies, antiforgery and OpenID add it again, so this comes after them.
    /// </summary>
    public static void RemoveWarmUp(IServiceCollection services)
    {
        foreach (var loader in services.Where(service => service.ImplementationType?.FullName == Loader).ToList())
            services.Remove(loader);
    }

    /// <inheritdoc/>
    public IReadOnlyCollection<XElement> GetAllElements() => [.. keys.All().Select(XElement.Parse)];

    /// <inheritdoc/>
    public void StoreElement(XElement element, string friendlyName) =>
        keys.Add(friendlyName, element.ToString(SaveOptions.DisableFormatting));
}
