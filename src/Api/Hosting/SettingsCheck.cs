using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration.EnvironmentVariables;
using Microsoft.Extensions.Options;
using Serilog.Events;

namespace CancelService.Api.Hosting;

/// <summary>
/// Checks the names and formats of the settings before anything reads them: the configuration ignores a mistyped name,
/// and the process would run with the default. Each section's options check the values.
/// </summary>
public sealed class SettingsCheck
{
    // Sections that the framework reads.
    private static readonly string[] Framework = ["Authentication", "Kestrel", "Logging", "Serilog"];

    private readonly IConfiguration _configuration;
    private readonly Dictionary<string, Type> _sections;
    private readonly List<string> _failures = [];

    private SettingsCheck(IConfiguration configuration, IReadOnlyDictionary<string, Type> more)
    {
        _configuration = configuration;
        _sections = Sections.Concat(more).ToDictionary(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>The service's own sections, each with its bound type.</summary>
    public static readonly IReadOnlyDictionary<string, Type> Sections = new Dictionary<string, Type>(
        StringComparer.OrdinalIgnoreCase
    )
    {
        ["Api"] = typeof(Exchange.ApiOptions),
        ["AutoMapper"] = typeof(AutoMapperSettings),
        ["Changes"] = typeof(Internal.ChangesOptions),
        ["Clients"] = typeof(Infrastructure.Clients.ClientsOptions),
        ["Database"] = typeof(Infrastructure.Sql.DatabaseOptions),
        ["ForwardedHeaders"] = typeof(ForwardingOptions),
        ["Limits"] = typeof(Exchange.LimitsOptions),
        ["Notifications"] = typeof(Infrastructure.Notifications.NotificationsOptions),
        ["Ops"] = typeof(OperatorConsole.OpsOptions),
        ["RefusedCancels"] = typeof(Infrastructure.Payments.RefusedCancelsOptions),
        ["Shutdown"] = typeof(ShutdownOptions),
        ["UnknownPayments"] = typeof(Infrastructure.Payments.UnknownPaymentsOptions),
        ["Wallet"] = typeof(Infrastructure.Signing.WalletOptions),
    };

    /// <summary>Checks all sections.</summary>
    /// <param name="configuration">The settings.</param>
    /// <param name="more">Sections that the host adds to <see cref="Sections"/>.</param>
    /// <exception cref="OptionsValidationException">
    /// Settings are wrong; each failure names one and its remedy.
    /// </exception>
    public static void Run(IConfiguration configuration, IReadOnlyDictionary<string, Type> more)
    {
        var check = new SettingsCheck(configuration, more);
        check.Names();
        check.Levels();
        if (check._failures is not [])
            throw new OptionsValidationException("", typeof(SettingsCheck), check._failures);
    }

    /// <summary>Lists the members of a bound type that are settings.</summary>
    public static IEnumerable<PropertyInfo> Members(Type type)
    {
        ArgumentNullException.ThrowIfNull(type);
        return type.GetProperties().Where(member => member.CanWrite || IsList(member.PropertyType));
    }

    private void Names()
    {
        foreach (var section in _configuration.GetChildren())
        {
            if (_sections.TryGetValue(section.Key, out var type))
                Bound(section, type);
            else if (Framework.Contains(section.Key, StringComparer.OrdinalIgnoreCase) || !section.GetChildren().Any())
                continue;
            else if (Nearest(section.Key, _sections.Keys) is { Distance: <= 2 } near)
                Unknown(section.Path, near.Name);
            // The environment also has names of other programs.
            else if (IsOursToSet(section.Key))
                _failures.Add($"{section.Path} is no section of the settings. Remove it; README.md lists them.");
        }
    }

    private bool IsOursToSet(string section) =>
        _configuration is IConfigurationRoot root
        && root.Providers.Any(provider =>
            provider is not EnvironmentVariablesConfigurationProvider && provider.GetChildKeys([], section).Any()
        );

    private void Bound(IConfigurationSection section, Type type)
    {
        var members = Members(type).ToDictionary(member => member.Name, StringComparer.OrdinalIgnoreCase);
        var defaults = Activator.CreateInstance(type);
        foreach (var setting in section.GetChildren())
        {
            if (!members.TryGetValue(setting.Key, out var member))
                Unknown(setting.Path, $"{section.Path}:{Nearest(setting.Key, members.Keys).Name}");
            else if (IsList(member.PropertyType))
                Listed(setting);
            else
                Converted(setting, member.PropertyType, member.GetValue(defaults));
        }
    }

    private void Unknown(string path, string nearest) =>
        _failures.Add($"{path} is no setting. Did you mean {nearest}? README.md lists them.");

    private void Listed(IConfigurationSection list)
    {
        // JSON's empty list is an empty text here.
        if (!string.IsNullOrEmpty(list.Value))
            _failures.Add($"{list.Path} is a list. Number its entries: {list.Path}:0 for the first.");
        foreach (
            var entry in list.GetChildren().Where(entry => !int.TryParse(entry.Key, NumberStyles.None, null, out _))
        )
            _failures.Add($"{entry.Path} is no setting: {list.Path} is a list. Number its entries: {list.Path}:0.");
    }

    private void Converted(IConfigurationSection setting, Type type, object? byDefault)
    {
        if (setting.GetChildren().FirstOrDefault() is { } below)
            _failures.Add($"{below.Path} is no setting: {setting.Path} is a single value.");
        var isOptional = Nullable.GetUnderlyingType(type) is not null;
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (setting.Value is not { } value || type == typeof(string) || (isOptional && value.Length == 0))
            return;
        try
        {
            TypeDescriptor.GetConverter(type).ConvertFromInvariantString(value);
        }
        catch (Exception e)
            when (e is FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            _failures.Add($"{setting.Path} is '{Short(value)}'. Set it to {Form(type)}{Example(byDefault)}.");
        }
    }

    private static string Form(Type type) =>
        type == typeof(TimeSpan) ? "a span of time, days.hours:minutes:seconds"
        : type == typeof(bool) ? "true or false"
        : type.IsEnum ? string.Join(" or ", Enum.GetNames(type))
        : $"a whole number up to {type.GetField("MaxValue")?.GetValue(null)}";

    private static string Example(object? byDefault) =>
        byDefault is null or Enum
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $", such as its default {byDefault}");

    // Serilog itself fails with a stack trace.
    private void Levels()
    {
        var minimum = _configuration.GetSection("Serilog:MinimumLevel");
        foreach (
            var level in new[] { minimum, minimum.GetSection("Default") }.Concat(
                minimum.GetSection("Override").GetChildren()
            )
        )
        {
            if (
                level.Value is { } value
                && !(Enum.TryParse(value, ignoreCase: true, out LogEventLevel known) && Enum.IsDefined(known))
            )
                _failures.Add(
                    $"{level.Path} is '{Short(value)}'. Set it to "
                        + $"{string.Join(" or ", Enum.GetNames<LogEventLevel>())}."
                );
        }
    }

    private static bool IsList(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IList<>);

    private static string Short(string value) => value.Length > 40 ? $"{value[..40]}..." : value;

    private static (string Name, int Distance) Nearest(string name, IEnumerable<string> known) =>
        known.Select(other => (Name: other, Distance: Spelling.Distance(name, other))).MinBy(other => other.Distance);
}

/// <summary>The section <c>AutoMapper</c> of the settings.</summary>
public sealed class AutoMapperSettings
{
    /// <summary>The key of AutoMapper's commercial licence; see README.</summary>
    public string? LicenseKey { get; set; }
}
