using System.Diagnostics;

namespace CancelService.ShippingTests.Fixtures;

/// <summary>Completed program run in the repository's root.</summary>
/// <param name="Status">Exit code.</param>
/// <param name="Output">Text of its standard output.</param>
/// <param name="Error">Text of its standard error.</param>
internal sealed record Command(int Status, string Output, string Error)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>Runs a program and returns its standard output; fails unless its exit code is 0.</summary>
    public static async Task<string> Run(string program, params string[] arguments)
    {
        var ended = await Try(program, arguments);
        return ended.Status == 0
            ? ended.Output
            : throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} ended with {ended.Status}:\n{ended.Output}{ended.Error}"
            );
    }

    /// <summary>True when the machine has the program.</summary>
    public static async Task<bool> IsThere(string program) =>
        (await Try("sh", "-c", $"command -v {program}")).Status == 0;

    /// <summary>Runs a program and accepts any exit code.</summary>
    public static Task<Command> Try(string program, params string[] arguments) =>
        Try(program, arguments, new Dictionary<string, string>(StringComparer.Ordinal), Repository.Root);

    /// <summary>Runs a program in a given directory, with additional environment variables.</summary>
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
