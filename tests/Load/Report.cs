using System.Globalization;
using System.Text.Json;

namespace CancelService.Load;

/// <summary>One measured phase.</summary>
/// <param name="Scenario">The name of the traffic.</param>
/// <param name="Round">The number of the alternation, from 1.</param>
/// <param name="PerSecond">Answers or transactions per second.</param>
internal sealed record Phase(string Scenario, int Round, double PerSecond)
{
    public int Requests { get; init; }

    public int Errors { get; init; }

    /// <summary>The number of errors that are answers of unknown outcome (U).</summary>
    public int Unknown { get; init; }

    /// <summary>The median latency in milliseconds.</summary>
    public double? P50 { get; init; }

    /// <summary>The 99th percentile of the latency in milliseconds.</summary>
    public double? P99 { get; init; }

    /// <summary>The 99.9th percentile of the latency in milliseconds.</summary>
    public double? P999 { get; init; }

    /// <summary>The CPU time of the service per answer in milliseconds.</summary>
    public double? ServiceCpu { get; init; }

    /// <summary>The CPU time of PostgreSQL per answer in milliseconds.</summary>
    public double? DatabaseCpu { get; init; }

    /// <summary>The bytes that the service allocated per answer.</summary>
    public double? Allocated { get; init; }

    /// <summary>The bytes that PostgreSQL wrote to its write-ahead log per answer.</summary>
    public double? Wal { get; init; }

    /// <summary>The share of requests that were rejected with a plain 503.</summary>
    public double? TurnedAway { get; init; }

    /// <summary>The 99th percentile of the latency of rejections in milliseconds.</summary>
    public double? TurnedAwayP99 { get; init; }

    /// <summary>The goodput: answers per second without rejections.</summary>
    public double Good => PerSecond * (1 - (TurnedAway ?? 0));
}

/// <summary>A figure of the report: the median of one value a round, with minimum and maximum.</summary>
internal sealed record Figure(string Name, IReadOnlyList<double> Values, string? Target = null)
{
    public double Median => Values.Order().ElementAtOrDefault(Values.Count / 2);

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Name, -58} {Median, 9:0.###}   [{Values.DefaultIfEmpty().Min():0.###} .. {Values.DefaultIfEmpty().Max():0.###}]   {(Target is null ? "" : $"target {Target}")}"
        );
}

/// <summary>Collects phases and figures, prints them at once and writes them as JSON at the end.</summary>
internal sealed class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly List<Phase> _phases = [];
    private readonly List<Figure> _figures = [];

    public int Errors => _phases.Sum(phase => phase.Errors);

    public int Unknown => _phases.Sum(phase => phase.Unknown);

    public void Add(Phase phase)
    {
        _phases.Add(phase);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{phase.Round, 2} {phase.Scenario, -22} {phase.PerSecond, 8:0}/s"
                    + $"{Shown("p50", phase.P50, "0.0 ms")}{Shown("p99", phase.P99, "0.0 ms")}{Shown("p99.9", phase.P999, "0.0 ms")}"
                    + $"{Shown("service", phase.ServiceCpu, "0.000 ms")}{Shown("postgres", phase.DatabaseCpu, "0.000 ms")}"
                    + $"{Shown("allocated", phase.Allocated, "0 B")}{Shown("WAL", phase.Wal, "0 B")}"
                    + $"{(phase.TurnedAway is > 0 ? Shown("turned away", phase.TurnedAway, "0.0 %") + Shown("p99 of that", phase.TurnedAwayP99, "0.0 ms") : "")}"
                    + $"{(phase.Errors > 0 ? Shown("ERRORS", phase.Errors, "0") : "")}"
            )
        );

        static string Shown(string name, double? value, string format) =>
            value is null ? "" : $"  {name} {value.Value.ToString(format, CultureInfo.InvariantCulture)}";
    }

    public void Add(Figure figure)
    {
        _figures.Add(figure);
        Console.WriteLine(figure);
    }

    /// <summary>Returns the phases of a scenario in the order of their rounds.</summary>
    public IReadOnlyList<Phase> Of(string scenario) => [.. _phases.Where(phase => phase.Scenario == scenario)];

    /// <summary>Adds the ratio of the throughput of two scenarios, one value a round.</summary>
    public void Ratio(string name, string scenario, string to, string? target = null) =>
        Add(
            new Figure(
                name,
                [.. Of(scenario).Zip(Of(to)).Select(pair => pair.First.PerSecond / pair.Second.PerSecond)],
                target
            )
        );

    public void Save(string file) =>
        File.WriteAllText(
            file,
            JsonSerializer.Serialize(
                new
                {
                    At = TimeProvider.System.GetUtcNow(),
                    Figures = _figures.Select(f => new
                    {
                        f.Name,
                        f.Median,
                        f.Values,
                        f.Target,
                    }),
                    Phases = _phases,
                },
                Indented
            )
        );
}
