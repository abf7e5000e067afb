using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using CancelService.Harness;

namespace CancelService.Load;

/// <summary>
/// Allocates the unused payments of a database, signs the requests that cancel them, and sends these to the instances
/// in phases of traffic.
/// </summary>
internal sealed partial class Supply(Testbed stage, Report report, int connections, params ServiceProcess[] instances)
{
    /// <summary>The prefix of payments that are spread over many clients.</summary>
    public const string Spread = "pay";

    /// <summary>The prefix of payments that all belong to one client.</summary>
    public const string Hot = "hot";

    /// <summary>The prefix of payments whose window has closed.</summary>
    public const string Late = "late";

    /// <summary>The prefix of payments that do not exist.</summary>
    public const string Unknown = "none";

    // The rate of the fastest phase so far. A phase signs 50 % more requests than that, so that it never runs out.
    private double _perSecond = 1000;

    private readonly Dictionary<string, long> _next = new(StringComparer.Ordinal);

    /// <summary>Returns the number of the next unused payment.</summary>
    public long Next(string which) => _next.GetValueOrDefault(which);

    /// <summary>Reserves payments; returns the number of the first.</summary>
    public long Take(string which, long count)
    {
        var first = Next(which);
        _next[which] = first + count;
        return first;
    }

    /// <summary>Signs requests about the next payments on all cores; by default cancels.</summary>
    public SignedRequest[] Sign(string which, int count, bool forged = false, string path = SignedRequest.Cancel) =>
        SignedRequest.Many(
            stage.Merchant,
            Next(which),
            count,
            i =>
                (
                    which == Hot ? "hot" : string.Create(CultureInfo.InvariantCulture, $"client-{i % Testbed.Clients}"),
                    string.Create(CultureInfo.InvariantCulture, $"{which}-{i}")
                ),
            forged,
            path
        );

    /// <summary>Cancels payments in a closed loop; returns the phase and the answered requests.</summary>
    public (Phase Phase, SignedRequest[] Requests) Closed(
        string scenario,
        int round,
        string which,
        TimeSpan time,
        ServiceProcess[]? by = null
    )
    {
        var requests = Sign(which, (int)(_perSecond * 1.5 * time.TotalSeconds) + 1000);
        var phase = Measure(
            scenario,
            round,
            by ?? instances,
            targets => Traffic.Closed(targets, requests, connections, time, "SUCCESS", stage.Wallet.PublicKey)
        );
        if (phase.Requests == requests.Length)
            Console.WriteLine($"   all {requests.Length} requests were sent before the time was up");
        _perSecond = Math.Max(_perSecond, phase.PerSecond);
        Take(which, phase.Requests);
        return (phase, requests[..phase.Requests]);
    }

    /// <summary>Cancels a fixed number of payments without a time limit.</summary>
    public Phase Exactly(string scenario, string which, int count)
    {
        var requests = Sign(which, count);
        Take(which, count);
        return Measure(
            scenario,
            1,
            instances,
            targets =>
                Traffic.Closed(targets, requests, connections, TimeSpan.MaxValue, "SUCCESS", stage.Wallet.PublicKey)
        );
    }

    /// <summary>Replays the same requests in a closed loop.</summary>
    public Phase Repeated(string scenario, int round, SignedRequest[] requests, string code, TimeSpan time) =>
        Measure(
            scenario,
            round,
            instances,
            targets => Traffic.Closed(targets, requests, connections, time, code, stage.Wallet.PublicKey, repeat: true)
        );

    /// <summary>Cancels payments in an open loop at the given rate.</summary>
    public Phase Open(string scenario, int round, string which, double perSecond, TimeSpan time)
    {
        var requests = Sign(which, (int)(perSecond * time.TotalSeconds));
        Take(which, requests.Length);
        return Measure(
            scenario,
            round,
            instances,
            targets => Traffic.Open(targets, requests, connections, perSecond, "SUCCESS", stage.Wallet.PublicKey)
        );
    }

    /// <summary>
    /// Replays the same requests in an open loop on more connections than the service admits requests.
    /// </summary>
    public Phase Pressed(
        string scenario,
        int round,
        SignedRequest[] requests,
        double perSecond,
        int crowd,
        TimeSpan time
    ) =>
        Measure(
            scenario,
            round,
            instances,
            targets =>
                Traffic.Open(targets, requests, crowd, perSecond, "SUCCESS", stage.Wallet.PublicKey, repeatFor: time)
        );

    private Phase Measure(
        string scenario,
        int round,
        ServiceProcess[] by,
        Func<IReadOnlyList<ServiceProcess>, Measured> send
    )
    {
        var (service, database, allocated, wal) = (ServiceCpu(), stage.DatabaseCpu(), Allocated(by), Wal());
        var measured = send(by);
        var phase = new Phase(scenario, round, measured.PerSecond)
        {
            Requests = measured.Requests,
            Errors = measured.Errors,
            Unknown = measured.Unknown,
            P50 = measured.P50,
            P99 = measured.P99,
            P999 = measured.P999,
            ServiceCpu = (ServiceCpu() - service).TotalMilliseconds / measured.Requests,
            DatabaseCpu = (stage.DatabaseCpu() - database) / measured.Requests,
            Allocated = (Allocated(by) - allocated) / measured.Requests,
            Wal = (Wal() - wal) / measured.Requests,
            TurnedAway = measured.TurnedAwayShare,
            TurnedAwayP99 = double.IsNaN(measured.TurnedAwayP99) ? null : measured.TurnedAwayP99,
        };
        report.Add(phase);
        return phase;

        double Wal() => stage.Wal().GetAwaiter().GetResult();

        TimeSpan ServiceCpu()
        {
            var sum = TimeSpan.Zero;
            foreach (var instance in by)
            {
                using var process = Process.GetProcessById(instance.Process.Id);
                sum += process.TotalProcessorTime;
            }
            return sum;
        }
    }

    private static double Allocated(ServiceProcess[] instances) =>
        instances.Sum(instance =>
        {
            var metrics = instance.Metrics().GetAwaiter().GetResult();
            var total = TotalAllocated().Match(metrics);
            return total.Success
                ? double.Parse(total.Groups["n"].Value, CultureInfo.InvariantCulture)
                : throw new InvalidOperationException("/metrics has no counter of allocated bytes.");
        });

    [GeneratedRegex(
        @"^dotnet_gc_heap_total_allocated_bytes_total\S* (?<n>[0-9.E+]+)",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex TotalAllocated();
}
