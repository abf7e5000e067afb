using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace CancelService.Simulation;

/// <summary>
/// Runs many small worlds concurrently and injects faults that hit them all. The seed determines the plan of each world
/// and the number of operations before each fault. It does not determine the schedule, so a replay takes many tries.
/// </summary>
internal sealed partial class Simulator(
    int seed,
    int worldsAtATime,
    TextWriter output,
    CancellationToken cancellationToken
) : IAsyncDisposable
{
    private const int OperationsPerFault = 750;
    private const int OperationsPerLine = 10_000;
    private const int Revisited = 10;
    private const int Copies = 12;
    private static readonly TimeSpan ShrinksFor = TimeSpan.FromSeconds(60);

    private readonly ConcurrentDictionary<int, World> _finished = [];
    private Stage? _stage;
    private (int Number, World World, ViolationException Violation)? _failure;
    private int _copies;

    private Stage Stage => _stage ?? throw new InvalidOperationException("The stage has not started yet.");

    /// <summary>
    /// Simulates at least the given number of operations. Returns false after a violation, which it prints.
    /// </summary>
    public async Task<bool> Run(int operations)
    {
        await output.WriteLineAsync(
            $"seed {seed}: {operations:N0} operations. The same workload again: dotnet run --project tests/Simulation -- --seed {seed} --operations {operations}"
        );
        _stage = await Stage.Set();
        var start = Stopwatch.GetTimestamp();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var last = -1;
        var troubles = MakeTrouble(operations, end);
        await Task.WhenAll(Enumerable.Range(0, worldsAtATime).Select(_ => Task.Run(Work, CancellationToken.None)));
        await end.CancelAsync();
        await troubles;
        cancellationToken.ThrowIfCancellationRequested();
        await output.WriteLineAsync(Report(Stopwatch.GetElapsedTime(start), last + 1));
        if (_failure is null)
            await AuditDatabase();
        if (_failure is not var (failed, inWorld, violation))
            return await NameRareStates(operations);
        await Explain(failed, inWorld, violation);
        return false;

        async Task Work()
        {
            while (Stage.Operations < operations && !end.IsCancellationRequested)
            {
                var number = Interlocked.Increment(ref last);
                var world = New(
                    new Planner(seed, number).Make(),
                    string.Create(CultureInfo.InvariantCulture, $"W{number}"),
                    end.Token
                );
                await Watch(number, world, () => world.Run(), end);
                _finished[number] = world;
            }
        }
    }

    // Returns false when a long run missed a rare state, or too many worlds were inconclusive.
    private async Task<bool> NameRareStates(int operations)
    {
        var rare = new RareStates([.. Stage.Happened], Stage.Has);
        foreach (var world in _finished.Values)
            rare.Look(world);
        await output.WriteLineAsync(
            $"{rare.Seen.Count(state => state.Value > 0)} of {rare.Seen.Count} rare states: {string.Join(", ", rare.Seen.Select(state => $"{state.Key} {state.Value}"))}"
        );
        var inconclusive = _finished.Values.Count(world => world.IsInconclusive);
        await output.WriteLineAsync(
            $"{inconclusive} worlds were inconclusive: their concurrent attempts have too many orders to search"
        );
        if (operations >= RareStates.Enough && inconclusive * 20 > _finished.Count) // A few worlds prove little.
        {
            await output.WriteLineAsync($"\nFAILED: seed {seed}: more than 5 % of the worlds were inconclusive");
            return false;
        }
        if (operations < RareStates.Enough || !rare.Missed.Any())
            return true;
        await output.WriteLineAsync($"\nFAILED: seed {seed}: the run did not reach {string.Join(", ", rare.Missed)}");
        return false;
    }

    /// <summary>
    /// Replays one world of the seed, several copies at a time. Returns false after a violation, which it prints.
    /// </summary>
    public async Task<bool> Replay(int number, string? steps, string? faults)
    {
        _stage = await Stage.Set();
        var plan = new Planner(seed, number).Make();
        if (steps is not null)
        {
            var kept = steps.Split(',').Select(step => int.Parse(step, CultureInfo.InvariantCulture)).ToHashSet();
            plan = plan.Keep(op => kept.Contains(op.Number));
        }
        var troubles = (faults ?? "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(fault => fault.Split(':'))
            .Select(parts => (int.Parse(parts[0], CultureInfo.InvariantCulture), Fault.Parse(parts[1])))
            .ToList();
        for (var tries = 0; tries < 20; tries++)
        {
            if (await Fails(plan, troubles, number) is var (world, violation))
            {
                await output.WriteLineAsync($"seed {seed}, world {number} fails: {violation.Message}");
                await PrintHistory(world, violation.Attempt);
                return false;
            }
        }
        await output.WriteLineAsync($"seed {seed}, world {number} did not fail in {20 * Copies} runs.");
        return true;
    }

    public ValueTask DisposeAsync() => _stage?.DisposeAsync() ?? ValueTask.CompletedTask;

    private World New(Plan plan, string client, CancellationToken stop) =>
        new(
            Stage,
            plan,
            client,
            Stage.Clock.UtcTicks / TimeSpan.TicksPerMillisecond * TimeSpan.TicksPerMillisecond,
            stop
        );

    // The first violation ends the simulation.
    private async Task Watch(int number, World world, Func<Task> act, CancellationTokenSource end)
    {
        try
        {
            await act();
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // The simulation is over.
        }
        // Every other exception counts as a violation: it may come from an answer that can't be parsed.
        catch (Exception e)
        {
            lock (_finished)
                _failure ??= (number, world, e as ViolationException ?? new ViolationException(e.ToString()));
            await end.CancelAsync();
        }
    }

    // Injects faults by the number of operations, and rechecks earlier answers after faults that could lose them.
    private async Task MakeTrouble(int until, CancellationTokenSource end)
    {
        var random = new Random(seed);
        var (next, gap) = (0, 0);
        var deck = Fault.Deck(random, Stage.Has);
        while ((next += gap = random.Next(2 * OperationsPerFault)) < until)
        {
            deck = deck.Count > 0 ? deck : Fault.Deck(random, Stage.Has);
            var fault = deck.Dequeue();
            while (Stage.Operations < next && !end.IsCancellationRequested)
                await Task.Delay(5, CancellationToken.None);
            if (end.IsCancellationRequested)
                return;
            if (next / OperationsPerLine > (next - gap) / OperationsPerLine)
                await output.WriteLineAsync(Progress());
            await Stage.Happen(fault);
            if (fault.Trouble is >= Trouble.CutBefore and < Trouble.JumpToCutOff)
                continue;
            // The ledger of a promoted standby must be consistent while it serves.
            if (fault.Promotes && await Stage.VerifyLedger() is { } verdict)
            {
                await Blame(verdict);
                await end.CancelAsync();
                return;
            }
            var finished = _finished.ToArray();
            for (var i = 0; i < Revisited && finished.Length > 0; i++)
            {
                var (number, world) = finished[random.Next(finished.Length)];
                await Watch(number, world, () => world.AskAgain(end.Token), end);
            }
        }
    }

    private async Task AuditDatabase()
    {
        var start = Stopwatch.GetTimestamp();
        var summaries = await Stage.Summaries(null);
        foreach (var (number, world) in _finished)
        {
            if (Differs(world, summaries) is { } violation)
                _failure ??= (number, world, violation);
        }
        if (await Stage.VerifyLedger() is { } verdict)
            await Blame(verdict);
        if (_failure is null && await Stage.Told() is { } untold)
        {
            var number = ClientName().Match(untold) is { Success: true } told
                ? int.Parse(told.Groups["number"].Value, CultureInfo.InvariantCulture)
                : 0;
            _failure = (number, _finished[number], new ViolationException(untold));
        }
        if (_failure is null)
            await output.WriteLineAsync(
                $"every answer was true; the database agrees with the auditor on all {_finished.Count:N0} clients; the core received every cancellation, in {Stage.Core.Received:N0} events; verify-ledger found nothing ({Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s)"
            );
    }

    // Attributes a finding of verify-ledger to its world.
    private async Task Blame(string verdict)
    {
        await output.WriteLineAsync(verdict);
        if (
            ClientName().Match(verdict) is not { Success: true } name
            || !_finished.TryGetValue(
                int.Parse(name.Groups["number"].Value, CultureInfo.InvariantCulture),
                out var world
            )
        )
            throw new InvalidOperationException(verdict);
        _failure ??= (
            int.Parse(name.Groups["number"].Value, CultureInfo.InvariantCulture),
            world,
            new ViolationException(verdict)
        );
    }

    private static ViolationException? Differs(
        World world,
        IReadOnlyDictionary<string, (string Summary, Dictionary<int, string> Answers)> database
    )
    {
        var (summary, answers) = database.GetValueOrDefault(world.Client, ("", []));
        if (!world.IsInconclusive && !world.Summaries.Contains(summary))
            return new ViolationException(
                $"The database has for {world.Client}\n    {summary}\n  The auditor expects one of\n    {string.Join("\n    ", world.Summaries.Take(4))}"
            );
        foreach (var (payment, answer) in world.Answers)
        {
            if (answers.GetValueOrDefault(payment) != answer)
                return new ViolationException(
                    $"The answer of p{payment} of {world.Client} was {answer}; the database has {answers.GetValueOrDefault(payment)}"
                );
        }
        return null;
    }

    private async Task Explain(int number, World world, ViolationException violation)
    {
        await output.WriteLineAsync($"\nFAILED: seed {seed}, world {number}: {violation.Message}");
        await PrintHistory(world, violation.Attempt);

        // The faults that hit this world, with the round of each.
        var end = violation.Attempt?.Received ?? long.MaxValue;
        var troubles = Stage
            .Troubles.Where(t => t.At >= world.RoundStarts[0] && t.At <= end)
            .Select(t => (Round: world.RoundStarts.FindLastIndex(start => start <= t.At), t.Fault))
            .ToList();
        var plan = world.Plan.Until(world.RoundStarts.Count);
        var again = violation.Attempt is { Op.Id: World.Again };
        if (again)
            troubles = [];
        var start = Stopwatch.GetTimestamp();
        await output.WriteLineAsync($"\nShrinking, for {ShrinksFor.TotalSeconds} s at most ...");
        (World World, ViolationException Violation)? shortest = null;
        for (var tries = 0; tries < 4 && shortest is null && Stopwatch.GetElapsedTime(start) < ShrinksFor; tries++)
            shortest = await Fails(plan, troubles, number, again);
        if (shortest is null)
        {
            await output.WriteLineAsync(
                $"It did not fail again in {4 * Copies} runs. Only the history above shows the failure."
            );
            await PrintCommand(number, plan, troubles);
            return;
        }

        for (var size = plan.Rounds.Sum(round => round.Count) / 2; size >= 1; size /= 2)
        {
            var numbers = Removable(plan);
            for (var from = 0; from < numbers.Count; from += size)
            {
                var without = numbers.Skip(from).Take(size).ToHashSet();
                await Try(plan.Keep(op => !without.Contains(op.Number)), troubles);
            }
        }
        for (var i = troubles.Count - 1; i >= 0; i--)
            await Try(plan, [.. troubles.Where((_, index) => index != i)]);

        await output.WriteLineAsync(
            $"\nThe shortest plan that fails, after {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s: {shortest.Value.Violation.Message}"
        );
        await PrintHistory(shortest.Value.World, null);
        await PrintCommand(number, plan, troubles);

        async Task Try(Plan candidate, List<(int, Fault)> faults)
        {
            if (
                Stopwatch.GetElapsedTime(start) < ShrinksFor
                && await Fails(candidate, faults, number, again) is { } failed
            )
                (plan, troubles, shortest) = (candidate.Until(failed.World.RoundStarts.Count), faults, failed);
        }

        static List<int> Removable(Plan plan) =>
            [
                .. plan
                    .Rounds.Skip(Plan.Setup)
                    .SelectMany(round => round)
                    .Where(op => op.Act is not Act.PutKey)
                    .Select(op => op.Number)
                    .Reverse(),
            ];
    }

    // Runs several copies concurrently, each with a client of its own; the first injects the faults.
    private async Task<(World World, ViolationException Violation)?> Fails(
        Plan plan,
        List<(int Round, Fault Fault)> faults,
        int number,
        bool again = true
    )
    {
        _failure = null;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAll(
            Enumerable
                .Range(0, Copies)
                .Select(copy =>
                {
                    var world = New(
                        plan,
                        string.Create(CultureInfo.InvariantCulture, $"W{number}-{Interlocked.Increment(ref _copies)}"),
                        end.Token
                    );
                    return Watch(number, world, () => Play(world, copy), end);
                })
        );
        cancellationToken.ThrowIfCancellationRequested();
        return _failure is var (_, failed, violation) ? (failed, violation) : null;

        async Task Play(World world, int copy)
        {
            await world.Run(round => copy == 0 ? Inject(round) : Task.CompletedTask);
            if (Differs(world, await Stage.Summaries(world.Client)) is { } violation)
                throw violation;
            if (!again)
                return;
            await Task.Delay(1100, end.Token); // Answers truncate times to seconds.
            await world.AskAgain(end.Token);
        }

        async Task Inject(int round)
        {
            foreach (var (_, fault) in faults.Where(f => f.Round == round))
                await Stage.Happen(fault);
        }
    }

    private async Task PrintCommand(int number, Plan plan, List<(int Round, Fault Fault)> troubles)
    {
        var faults =
            troubles.Count == 0 ? "" : $" --faults {string.Join(',', troubles.Select(t => $"{t.Round}:{t.Fault}"))}";
        await output.WriteLineAsync(
            $"Replay it: dotnet run --project tests/Simulation -- --seed {seed} --world {number} --steps {string.Join(',', plan.Rounds.SelectMany(r => r).Select(op => op.Number))}{faults}"
        );
    }

    // Prints the attempts that concern the payment or account of the failed attempt; all attempts when it is null.
    private async Task PrintHistory(World world, Attempt? failed)
    {
        // Attempts of unknown outcome are reduced to the first and the last of their operation.
        var history = world
            .History.GroupBy(attempt => attempt.Op)
            .SelectMany(attempts => attempts.Where((a, i) => a.IsKnown || i == 0 || i == attempts.Count() - 1))
            .OrderBy(attempt => attempt.Sent)
            .ToList();
        var start = history[0].Sent;
        var lines = history
            .Where(attempt => failed is null || (attempt.Sent <= failed.Received && Concerns(attempt.Op, failed.Op)))
            .Select(attempt => (attempt.Sent, Text: Line(attempt)))
            .Concat(
                Stage
                    .Troubles.Where(t => t.At >= start && t.At <= (failed ?? history[^1]).Received)
                    .Select(t => (t.At, $"{Milliseconds(t.At), 10}             {t.Fault}"))
            )
            .OrderBy(line => line.Item1);
        await output.WriteLineAsync(
            "      sent    received  clock                    who          what, and the answer"
        );
        foreach (var (_, text) in lines)
            await output.WriteLineAsync(text);

        string Line(Attempt a) =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"{Milliseconds(a.Sent), 10}{Milliseconds(a.Received), 12}  {new DateTime(a.SentClock, DateTimeKind.Utc):yyyy-MM-dd HH:mm:ss.fff}  {a.Op.Actor + "@" + a.Instance, -11}  {a.Op} -> {a.Code ?? "?"} {(a.Detail.Length > 0 ? a.Detail : a.Op.Act is Act.Cancel && a.IsKnown ? "" : a.Text)}{(a == failed ? "   <-- this" : "")}"
            );

        string Milliseconds(long at) =>
            Stopwatch.GetElapsedTime(start, at).TotalMilliseconds.ToString("0.0", CultureInfo.InvariantCulture);
    }

    private static bool Concerns(Op op, Op failed)
    {
        var payment = failed.Payment >= 0 ? failed.Payment : failed.Request;
        return failed.Act is Act.ReadAccount or Act.Payout or Act.ReadCancellations or Act.ReadLateReports
            || op.Act is <= Act.RevokeKey or Act.Deposit or Act.Payout
            || op.Payment == payment
            || op.Request == payment;
    }

    private string Report(TimeSpan time, int worlds)
    {
        var faults = Stage
            .Happened.GroupBy(happening => happening.Fault.Trouble)
            .OrderBy(of => of.Key)
            .Select(of =>
                $"{of.Key} {of.Count()} ({of.Average(one => Stopwatch.GetElapsedTime(one.From, one.To).TotalSeconds):0.0} s)"
            );
        return $"{Stage.Operations:N0} operations in {time.TotalSeconds:0.0} s ({Stage.Operations / time.TotalSeconds:N0} a second), {Stage.Unknown:N0} unknown outcomes resolved, {worlds:N0} worlds\n"
            + $"faults: {string.Join(", ", faults)}\n"
            + $"answers: {string.Join(", ", Stage.Answers.OrderByDescending(a => a.Value).Select(a => $"{a.Key} {a.Value}"))}\n"
            + Progress();
    }

    private string Progress()
    {
        using var self = Process.GetCurrentProcess();
        return $"{Stage.Operations:N0} operations; processor time: this process {self.TotalProcessorTime.TotalSeconds:0} s, the instances {Stage.InstancesCpu.TotalSeconds:0} s";
    }

    [GeneratedRegex(@"\bW(?<number>[0-9]+)\b", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ClientName();
}
