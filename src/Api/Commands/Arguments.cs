using System.Text.RegularExpressions;

namespace CancelService.Api.Commands;

/// <summary>
/// A command line, taken apart: settings go to the host's configuration, everything else to the parser.
/// </summary>
/// <param name="Settings">
/// Settings in the forms that the configuration reads: <c>--A:B=value</c> or two entries.
/// </param>
/// <param name="Command">The command, its options and its arguments.</param>
/// <param name="Problem">A setting without a value, as a message; null when every setting has one.</param>
internal sealed partial record Arguments(IReadOnlyList<string> Settings, IReadOnlyList<string> Command, string? Problem)
{
    /// <summary>Options without a colon that .NET's host reads; it takes their names in any case.</summary>
    public static readonly IReadOnlyList<string> HostOptions =
    [
        "--environment",
        "--contentRoot",
        "--applicationName",
        "--urls",
        "--http_ports",
        "--https_ports",
        "--AllowedHosts",
    ];

    /// <summary>Takes a command line apart. Everything behind <c>--</c> belongs to the command.</summary>
    public static Arguments Of(IReadOnlyList<string> args)
    {
        var (settings, command, problem) = (new List<string>(), new List<string>(), default(string));
        for (var i = 0; i < args.Count; i++)
        {
            if (args[i] == "--")
            {
                command.AddRange(args.Skip(i));
                break;
            }
            if (!IsSetting(args[i]))
            {
                command.Add(args[i]);
                continue;
            }
            settings.Add(args[i]);
            if (args[i].Contains('=', StringComparison.Ordinal))
                continue;
            // The configuration would take an option for the value, or drop a name without a value.
            if (i + 1 < args.Count && !args[i + 1].StartsWith("--", StringComparison.Ordinal))
                settings.Add(args[++i]);
            else
                problem ??= $"{args[i]} has no value. Write {args[i]}=value.";
        }
        return new(settings, command, problem);
    }

    private static bool IsSetting(string argument)
    {
        var name = argument.Split('=', 2)[0];
        return Setting().IsMatch(name)
            || (argument.Contains('=', StringComparison.Ordinal) && BareSetting().IsMatch(name))
            || name.StartsWith("--OTEL_", StringComparison.OrdinalIgnoreCase)
            || HostOptions.Contains(name, StringComparer.OrdinalIgnoreCase);
    }

    // The name of a section has no hyphen, so that --may-requeue:true is no setting.
    [GeneratedRegex("^(?:--|/)[A-Za-z][A-Za-z0-9_]*:[^/]+$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Setting();

    [GeneratedRegex(@"^[A-Za-z][A-Za-z0-9_]*:[^/\\]+$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex BareSetting();
}
