using System.Reflection;

namespace CancelService.Api;

/// <summary>The version and commit of the build, as in <c>--version</c>, the log, the metrics and the image.</summary>
public static class BuildInfo
{
    private static readonly string[] Parts = Full.Split('+', 2);

    /// <summary>Version and revision: <c>1.0.0+9fceb02…</c>.</summary>
    public static string Full =>
        typeof(BuildInfo).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? "";

    /// <summary>The version, as in CHANGELOG.md: <c>1.0.0</c>.</summary>
    public static string Version => Parts[0];

    /// <summary>The commit of the build; empty when the build did not know it.</summary>
    public static string Revision => Parts is [_, var revision] ? revision : "";
}
