using System.Xml.Linq;
using CancelService.Infrastructure.Operators;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;

namespace CancelService.OperatorConsole;

/// <summary>
/// Keeps the keys of Data Protection in the service's database, so that every instance reads what another has protected.
/// </summary>
internal sealed class DatabaseKeys(ProtectionKeys keys) : IXmlRepository
{
    private const string Loader = "Microsoft.AspNetCore.DataProtection.Internal.DataProtectionHostedService";

    /// <summary>Adds Data Protection with these keys.</summary>
    public static void Add(IServiceCollection services)
    {
        services.AddDataProtection().SetApplicationName("CancelService");
        services
            .AddOptions<KeyManagementOptions>()
            .Configure<ProtectionKeys>((options, keys) => options.XmlRepository = new DatabaseKeys(keys));
        // The framework would read the keys at start, and delay it while the database is away.
        foreach (var loader in services.Where(service => service.ImplementationType?.FullName == Loader).ToList())
            services.Remove(loader);
    }

    public IReadOnlyCollection<XElement> GetAllElements() => [.. keys.All().Select(XElement.Parse)];

    public void StoreElement(XElement element, string friendlyName) =>
        keys.Add(friendlyName, element.ToString(SaveOptions.DisableFormatting));
}
