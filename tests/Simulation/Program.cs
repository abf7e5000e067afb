using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace CancelService.Simulation;

/// <summary>The command line of the simulation.</summary>
public static class Program
{
    private const string Usage = """
        --seed N         the workload; by default a random one
        --operations N   the minimum number of operations (100000)
        --worlds N       the number of concurrent worlds (16)
        --world N        replay one world of the seed repeatedly until it fails
        --steps N,N      only these operations of that world
        --faults R:F,R:F with these faults, before these rounds
        """;

    /// <summary>
    /// Runs the simulation, or an instance of the service when the first argument is <c>instance</c>.
    /// </summary>
    /// <returns>0 on success, 1 when a violation was found, 2 when the simulation could not run.</returns>
    public static async Task<int> Main(string[] args)
    {
        ArgumentNullException.ThrowIfNull(args);
        if (args is ["instance", ..])
        {
            await Stage.Serve(args[1..]);
            return 0;
        }
        // Handle signals, so that processes and directories are removed on every exit.
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return await Run(args, Console.Out, stop.Token);

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }

    /// <summary>Runs the simulation with the given output until it ends or is cancelled.</summary>
    public static async Task<int> Run(string[] args, TextWriter output, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(args);
        ArgumentNullException.ThrowIfNull(output);
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i += 2)
        {
            if (i + 1 == args.Length || !Usage.Contains($"{args[i]} ", StringComparison.Ordinal))
            {
                await output.WriteLineAsync(Usage);
                return 2;
            }
            options[args[i]] = args[i + 1];
        }
        var seed = Number("--seed") ?? RandomNumberGenerator.GetInt32(1_000_000);
        await using var simulation = new Simulator(seed, Number("--worlds") ?? 16, output, cancellationToken);
        try
        {
            var passed = Number("--world") is { } world
                ? await simulation.Replay(
                    world,
                    options.GetValueOrDefault("--steps"),
                    options.GetValueOrDefault("--faults")
                )
                : await simulation.Run(Number("--operations") ?? 100_000);
            return passed ? 0 : 1;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await output.WriteLineAsync("Stopped.");
            return 2;
        }

        int? Number(string name) =>
            options.TryGetValue(name, out var text)
                ? int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture)
                : null;
    }
}
