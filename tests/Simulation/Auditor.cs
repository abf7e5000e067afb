using System.Diagnostics;
using System.Text.Json;

namespace CancelService.Simulation;

/// <summary>Thrown for an answer or a state of the database that can't be true.</summary>
internal sealed class ViolationException(string message, Attempt? attempt = null) : Exception(message)
{
    /// <summary>The attempt whose answer violates the rules; null for a violation in the database.</summary>
    public Attempt? Attempt { get; } = attempt;
}

/// <summary>
/// Checks one world for linearizability. It keeps every possible state of the world. After each round it searches for
/// an order of the concurrent attempts, from one of these states, in which the rules give every answer. An operation of
/// unknown outcome may have taken effect at any time since its first attempt, or never.
/// </summary>
internal sealed class Auditor(int payments, long start, TimeSpan cacheTime)
{
    // A request of unknown outcome may still be in flight for this time.
    private static readonly long Ghost = Ticks(TimeSpan.FromSeconds(10));

    // Bounds the search: the number of orders grows with the factorial of the concurrent attempts.
    private const int MaxStates = 100_000;

    private readonly Lock _lock = new();
    private readonly long _cacheTime = Ticks(cacheTime);
    private readonly List<(Terms Terms, long From, long Until)> _terms =
    [
        (new Terms(false, false, Window.All[0], 0, true, 0), 0, long.MaxValue),
    ];
    private readonly List<Attempt> _unknown = [];
    private readonly Dictionary<int, string> _answers = [];
    private readonly Dictionary<int, DateTimeOffset> _cancelTimes = [];
    private readonly Dictionary<Act, List<(long Sent, long Received, string[] Items)>> _feeds = [];
    private readonly Dictionary<Act, Dictionary<string, long>> _due = [];
    private HashSet<(WorldState WorldState, ulong Done)> _possible = [(new WorldState(payments), 0)];

    /// <summary>The answers to cancelled payments by the number of the payment.</summary>
    public IReadOnlyDictionary<int, string> Answers => _answers;

    /// <summary>
    /// True when the search exceeded its bound because of too many concurrent attempts of unknown outcome. From then on
    /// the world is audited for facts alone: an answer, once given, must stay the same.
    /// </summary>
    public bool IsInconclusive { get; private set; }

    /// <summary>The latest terms, whether or not they are confirmed.</summary>
    public Terms Terms => _terms[^1].Terms;

    public static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    /// <summary>Records the first send of new terms, which may be in force from now on.</summary>
    public void Agreeing(Terms terms, long now)
    {
        lock (_lock)
            _terms.Add((terms, now, long.MaxValue));
    }

    /// <summary>Records the confirmation of new terms; the old ones expire with the instances' caches.</summary>
    public void Agreed(long now, bool atOnce)
    {
        lock (_lock)
        {
            for (var i = 0; i < _terms.Count - 1; i++)
                _terms[i] = _terms[i] with
                {
                    Until = Math.Min(_terms[i].Until, now + _cacheTime + (atOnce ? 0 : Ghost)),
                };
        }
    }

    /// <summary>Audits the attempts of a round after all of them have ended.</summary>
    /// <exception cref="ViolationException">An answer can't be true.</exception>
    public void Audit(IReadOnlyList<Attempt> round)
    {
        foreach (var attempt in round)
            NoteFacts(attempt);
        round = [.. round.Where(attempt => attempt.IsKnown), .. Unresolved(round)];
        var used = _unknown.Aggregate(0UL, (bits, attempt) => bits | attempt.Bit);
        var open = new List<Attempt>(_unknown);
        // An attempt of known outcome takes effect by its answer; one of unknown outcome stays open.
        var events = round
            .Select(attempt => (At: attempt.Sent, IsAnswer: false, Attempt: attempt))
            .Concat(
                round.Where(a => a.IsKnown).Select(attempt => (At: attempt.Received, IsAnswer: true, Attempt: attempt))
            )
            .OrderBy(e => e.At)
            .ThenBy(e => e.IsAnswer);
        foreach (var (_, isAnswer, attempt) in events)
        {
            if (IsInconclusive)
                break;
            if (isAnswer)
            {
                Linearize(attempt, open);
                open.Remove(attempt);
                used &= ~attempt.Bit;
                continue;
            }
            if (used == ulong.MaxValue)
                throw new UnreachableException("More than 64 operations are open in one world.");
            attempt.Bit = ~used & (used + 1);
            used |= attempt.Bit;
            open.Add(attempt);
            if (!attempt.IsKnown)
                _unknown.Add(attempt);
        }
        if (!IsInconclusive)
            Forget();
        foreach (
            var attempt in round.Where(a => a is { IsKnown: true, Code: "200" } && a.Op.Act >= Act.ReadCancellations)
        )
            CheckFeed(attempt);
    }

    /// <summary>
    /// The possible summaries of the world in the database once no attempt is in flight; must not be called for an
    /// inconclusive world.
    /// </summary>
    public IReadOnlySet<string> Summaries()
    {
        var seen = new HashSet<(WorldState WorldState, ulong Done)>(_possible);
        var queue = new Queue<(WorldState WorldState, ulong Done)>(_possible);
        while (queue.TryDequeue(out var at) && !IsInconclusive)
        {
            IsInconclusive = seen.Count > MaxStates;
            foreach (
                var next in _unknown.Where(a => (at.Done & a.Bit) == 0).SelectMany(a => Next(at.WorldState, a, at.Done))
            )
            {
                if (seen.Add(next))
                    queue.Enqueue(next);
            }
        }
        return seen.Select(at => at.WorldState.Summary).ToHashSet(StringComparer.Ordinal);
    }

    // Attempts of unknown outcome of one operation count as one, because the operation takes effect at most once.
    private static IEnumerable<Attempt> Unresolved(IReadOnlyList<Attempt> round) =>
        round
            .Where(attempt => !attempt.IsKnown && attempt.Op.Act is >= Act.Register and <= Act.Cancel)
            .GroupBy(attempt => attempt.Op)
            .Select(attempts =>
            {
                var first = attempts.MinBy(attempt => attempt.Sent)!;
                return new Attempt(first.Op, first.Instance)
                {
                    Sent = first.Sent,
                    // Covers either instance and every skew of its clock.
                    SentClock = attempts.Min(attempt => attempt.SentClock) - (2 * SharedClock.MaxSkew.Ticks),
                    RequestTime = first.RequestTime,
                    Received = attempts.Max(attempt => attempt.Received),
                };
            });

    // Keeps the states that some order of the open attempts reaches with the given answer.
    private void Linearize(Attempt attempt, List<Attempt> open)
    {
        var next = new HashSet<(WorldState, ulong)>();
        var seen = new HashSet<(WorldState WorldState, ulong Done)>(_possible);
        var queue = new Queue<(WorldState WorldState, ulong Done)>(_possible);
        while (queue.TryDequeue(out var at))
        {
            IsInconclusive = seen.Count > MaxStates;
            if (IsInconclusive)
                return;
            if ((at.Done & attempt.Bit) != 0)
            {
                next.Add((at.WorldState, at.Done & ~attempt.Bit));
                continue;
            }
            foreach (var other in open)
            {
                if ((at.Done & other.Bit) != 0)
                    continue;
                foreach (var reached in Next(at.WorldState, other, at.Done))
                {
                    if (other == attempt)
                        next.Add((reached.WorldState, reached.Done & ~attempt.Bit));
                    else if (seen.Add(reached))
                        queue.Enqueue(reached);
                }
            }
        }
        if (next.Count == 0)
        {
            var rules = _possible
                .SelectMany(at => Rules.Of(at.WorldState, attempt, Candidates(attempt), start))
                .Select(outcome => $"{outcome.Code} {outcome.Detail}".Trim())
                .Distinct(StringComparer.Ordinal);
            throw new ViolationException(
                $"No order of the concurrent attempts explains this answer to {attempt.Op}:\n"
                    + $"    {attempt.Code} {attempt.Detail} {attempt.Text}\n"
                    + $"  The rules give: {string.Join(" | ", rules)}\n"
                    + $"  The possible states of the world are:\n    {string.Join("\n    ", _possible.Select(at => at.WorldState.ToString()).Distinct(StringComparer.Ordinal).Take(4))}",
                attempt
            );
        }
        _possible = next;
    }

    private IEnumerable<(WorldState WorldState, ulong Done)> Next(WorldState state, Attempt attempt, ulong done) =>
        Rules
            .Of(state, attempt, Candidates(attempt), start)
            .Where(outcome =>
                attempt.IsKnown
                    ? outcome.Code == attempt.Code && (outcome.Detail.Length == 0 || outcome.Detail == attempt.Detail)
                    : !outcome.Next.Equals(state)
            )
            .Select(outcome => (outcome.Next, done | attempt.Bit));

    private List<Terms> Candidates(Attempt attempt)
    {
        if (attempt.Op.Act is not (Act.Cancel or Act.Register))
            return [];
        var until = attempt.IsKnown ? attempt.Received : attempt.Received + Ghost;
        lock (_lock)
            return [.. _terms.Where(t => t.From <= until && t.Until >= attempt.Sent).Select(t => t.Terms).Distinct()];
    }

    // Closes the operations of unknown outcome that have taken effect in every possible state.
    private void Forget()
    {
        if (_unknown.Count == 0)
            return;
        _possible =
        [
            .. _possible.Select(at =>
                (
                    at.WorldState,
                    _unknown.Aggregate(at.Done, (done, a) => Rules.IsSpent(at.WorldState, a) ? done | a.Bit : done)
                )
            ),
        ];
        foreach (var spent in _unknown.Where(a => _possible.All(at => (at.Done & a.Bit) != 0)).ToList())
        {
            _unknown.Remove(spent);
            _possible = [.. _possible.Select(at => (at.WorldState, at.Done & ~spent.Bit))];
        }
    }

    // Facts hold in every order: a final answer stays the same, byte for byte.
    private void NoteFacts(Attempt attempt)
    {
        var op = attempt.Op;
        var payment = op.Payment;
        if (attempt is { Code: "SUCCESS" })
        {
            payment = int.Parse(
                attempt.Detail.AsSpan(1, attempt.Detail.IndexOf(' ', StringComparison.Ordinal) - 1),
                null
            );
            if (!_answers.TryAdd(payment, attempt.Text) && _answers[payment] != attempt.Text)
                throw new ViolationException(
                    $"p{payment} was cancelled with two different answers:\n    {_answers[payment]}\n    {attempt.Text}",
                    attempt
                );
            attempt.Text = _answers[payment]; // Share one string among all attempts to save memory.
            Due(Act.ReadCancellations, $"p{payment}", attempt.Received);
        }
        if (attempt is { Code: "payment-cancelled" })
            Due(Act.ReadLateReports, $"p{payment} {op.Id}", attempt.Received);
        if (attempt.CancelTime is not { } time || attempt.Code == "cancelled-before-arrival" || payment < 0)
            return;
        // The time in a merchant's answer is truncated to seconds.
        var known = _cancelTimes.GetValueOrDefault(payment, time);
        if (known != time && (known.Ticks % TimeSpan.TicksPerSecond == 0 || time.Ticks % TimeSpan.TicksPerSecond == 0))
            (known, time) = (Second(known), Second(time));
        else
            _cancelTimes[payment] = time;
        if (known != time)
            throw new ViolationException($"p{payment} has two cancel times: {known:O} and {time:O}.", attempt);
        if (time > _cancelTimes.GetValueOrDefault(payment, DateTimeOffset.MinValue))
            _cancelTimes[payment] = time;

        static DateTimeOffset Second(DateTimeOffset time) =>
            new(time.Ticks - (time.Ticks % TimeSpan.TicksPerSecond), time.Offset);
    }

    private void Due(Act feed, string item, long since)
    {
        if (!_due.TryGetValue(feed, out var due))
            _due[feed] = due = new(StringComparer.Ordinal);
        due.TryAdd(item, since);
    }

    // A feed must not skip, repeat or change an item.
    private void CheckFeed(Attempt attempt)
    {
        var feed = attempt.Op.Act;
        var items = JsonSerializer.Deserialize<string[]>(attempt.Text)!;
        if (items.Distinct(StringComparer.Ordinal).Count() != items.Length)
            throw new ViolationException($"The feed repeats an item: {attempt.Text}", attempt);
        var missing = _due.GetValueOrDefault(feed)
            ?.Where(due => due.Value < attempt.Sent && !items.Contains(due.Key, StringComparer.Ordinal))
            .Select(due => due.Key)
            .ToList();
        if (missing is { Count: > 0 })
            throw new ViolationException($"The feed {attempt.Text} lacks {string.Join(", ", missing)}.", attempt);
        if (!_feeds.TryGetValue(feed, out var earlier))
            _feeds[feed] = earlier = [];
        foreach (var before in earlier.Where(e => e.Received < attempt.Sent))
        {
            if (!items.Take(before.Items.Length).SequenceEqual(before.Items, StringComparer.Ordinal))
                throw new ViolationException(
                    $"The feed changed its items: {JsonSerializer.Serialize(before.Items)}, then {attempt.Text}",
                    attempt
                );
        }
        earlier.Add((attempt.Sent, attempt.Received, items));
    }
}
