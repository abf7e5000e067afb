using System.Diagnostics;

namespace CancelService.ShippingTests.Fixtures;

/// <summary>A program of the machine, run to its end in the repository's root.</summary>
/// <param name="Status">What it ended with.</param>
/// <param name="Output">What it wrote to its standard output.</param>
/// <param name="Error">What it wrote to its standard error.</param>
internal sealed record Command(int Status, string Output, string Error)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>Runs a program, and returns its standard output; fails when it fails.</summary>
    public static async Task<string> Run(string program, params string[] arguments)
    {
        var ended = await Try(program, arguments);
        return ended.Status == 0
            ? ended.Output
            : throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} ended with {ended.Status}:\n{ended.Output}{ended.Error}"
            );
    }

    /// <summary>Whether the machine has a program.</summary>
    public static async Task<bool> IsThere(string program) =>
        (await Try("sh", "-c", $"command -v {program}")).Status == 0;

    /// <summary>Runs a program, whatever it ends with.</summary>
    public static Task<Command> Try(string program, params string[] arguments) =>
        Try(program, arguments, new Dictionary<string, string>(StringComparer.Ordinal), Repository.Root);

    /// <summary>Runs a program with more in its environment, in a directory.</summary>
    public static async Task<Command> Try(
        string program,
        string[] arguments,
        IReadOnlyDictionary<string, string> environment,
        string directory
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = directory,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process =
            Process.Start(start) ?? throw new InvalidOperationException($"{program} could not be started.");
        using var bound = new CancellationTokenSource(Patience);
        var output = process.StandardOutput.ReadToEndAsync(bound.Token);
        var error = process.StandardError.ReadToEndAsync(bound.Token);
        try
        {
            await process.WaitForExitAsync(bound.Token);
            return new Command(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} took more than {Patience}.", e);
        }
    }
}
