using System.Globalization;

namespace CancelService.Harness;

/// <summary>
/// Seeds and lengths of the tests that draw their input. Without a setting the seed is fixed and the run is short;
/// build.cake sets others.
/// </summary>
public static class Seeds
{
    /// <summary>CANCELSERVICE_SEED, which all of them take; 1 by default.</summary>
    public static int Common { get; } = Setting("CANCELSERVICE_SEED", 1);

    /// <summary>The number in an environment variable of a test's own.</summary>
    public static int Setting(string name, int byDefault) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } given
            ? int.Parse(given, CultureInfo.InvariantCulture)
            : byDefault;
}
