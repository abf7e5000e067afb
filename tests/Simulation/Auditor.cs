using System.Diagnostics;
using System.Text.Json;

namespace CancelService.Simulation;

/// <summary>An answer, or the database, that can't be true.</summary>
internal sealed class ViolationException(string message, Attempt? attempt = null) : Exception(message)
{
    /// <summary>The attempt whose answer it was.</summary>
    public Attempt? Attempt { get; } = attempt;
}

/// <summary>
/// Watches one world. It keeps every state in which the world may be, and after each round asks of every answer: is there
/// an order of what was under way, in one of these states, in which the rules give this answer? An operation whose outcome
/// is unknown may have taken effect at any time since, or never.
/// </summary>
internal sealed class Auditor(int payments, long start, TimeSpan cacheTime)
{
    // After an unknown outcome the request may still be under way for a while.
    private static readonly long Ghost = Ticks(TimeSpan.FromSeconds(10));

    // The number of possible orders grows with the factorial of what is under way, so the search for one needs a bound.
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

    /// <summary>The answers of the payments that were cancelled, by their numbers.</summary>
    public IReadOnlyDictionary<int, string> Answers => _answers;

    /// <summary>
    /// Whether so much was under way at once, with unknown outcomes, that there are too many orders to try. Of such a world only
    /// the facts are audited from then on: what was answered once stays so.
    /// </summary>
    public bool IsTangled { get; private set; }

    /// <summary>The terms that were agreed last.</summary>
    public Terms Terms => _terms[^1].Terms;

    public static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    /// <summary>New terms are sent for the first time: from now on they may be in force.</summary>
    public void Agreeing(Terms terms, long now)
    {
        lock (_lock)
            _terms.Add((terms, now, long.MaxValue));
    }

    /// <summary>New terms are confirmed: the old ones end with the instances' caches.</summary>
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

    /// <summary>Audits a round: all its attempts, none of which is under way any more.</summary>
    /// <exception cref="ViolationException">There is an answer that can't be true.</exception>
    public void Audit(IReadOnlyList<Attempt> round)
    {
        foreach (var attempt in round)
            NoteFacts(attempt);
        round = [.. round.Where(attempt => attempt.IsKnown), .. Unresolved(round)];
        var used = _unknown.Aggregate(0UL, (bits, attempt) => bits | attempt.Bit);
        var open = new List<Attempt>(_unknown);
        // What is known counts at its answer; what is unknown stays open.
        var events = round
            .Select(attempt => (At: attempt.Sent, IsAnswer: false, Attempt: attempt))
            .Concat(
                round.Where(a => a.IsKnown).Select(attempt => (At: attempt.Received, IsAnswer: true, Attempt: attempt))
            )
            .OrderBy(e => e.At)
            .ThenBy(e => e.IsAnswer);
        foreach (var (_, isAnswer, attempt) in events)
        {
            if (IsTangled)
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
        if (!IsTangled)
            Forget();
        foreach (
            var attempt in round.Where(a => a is { IsKnown: true, Code: "200" } && a.Op.Act >= Act.ReadCancellations)
        )
            CheckFeed(attempt);
    }

    /// <summary>What the database may say of the world once nothing is under way; not to be asked of a tangled world.</summary>
    public IReadOnlySet<string> Summaries()
    {
        var seen = new HashSet<(WorldState WorldState, ulong Done)>(_possible);
        var queue = new Queue<(WorldState WorldState, ulong Done)>(_possible);
        while (queue.TryDequeue(out var at) && !IsTangled)
        {
            IsTangled = seen.Count > MaxStates;
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

    // However often an operation was repeated without a known outcome, it takes effect once, at any time since.
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
                    // Whichever instance it was, and however its clock was set meanwhile.
                    SentClock = attempts.Min(attempt => attempt.SentClock) - (2 * SharedClock.MaxSkew.Ticks),
                    RequestTime = first.RequestTime,
                    Received = attempts.Max(attempt => attempt.Received),
                };
            });

    // Keeps the states in which the answer is the one that the rules give, in some order of what was under way.
    private void Linearize(Attempt attempt, List<Attempt> open)
    {
        var next = new HashSet<(WorldState, ulong)>();
        var seen = new HashSet<(WorldState WorldState, ulong Done)>(_possible);
        var queue = new Queue<(WorldState WorldState, ulong Done)>(_possible);
        while (queue.TryDequeue(out var at))
        {
            IsTangled = seen.Count > MaxStates;
            if (IsTangled)
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
                $"No order of what was under way explains this answer to {attempt.Op}:\n"
                    + $"    {attempt.Code} {attempt.Detail} {attempt.Text}\n"
                    + $"  The rules give: {string.Join(" | ", rules)}\n"
                    + $"  The world may have been:\n    {string.Join("\n    ", _possible.Select(at => at.WorldState.ToString()).Distinct(StringComparer.Ordinal).Take(4))}",
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

    // An operation of unknown outcome that has taken effect in every possible state is unknown no more.
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

    // What was answered once stays true, byte for byte, whatever the order of things.
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
                    $"p{payment} was cancelled with one answer, and with another:\n    {_answers[payment]}\n    {attempt.Text}",
                    attempt
                );
            attempt.Text = _answers[payment]; // One text for all of them.
            Due(Act.ReadCancellations, $"p{payment}", attempt.Received);
        }
        if (attempt is { Code: "payment-cancelled" })
            Due(Act.ReadLateReports, $"p{payment} {op.Id}", attempt.Received);
        if (attempt.CancelTime is not { } time || attempt.Code == "cancelled-before-arrival" || payment < 0)
            return;
        // An answer to the merchant is exact to the second.
        var known = _cancelTimes.GetValueOrDefault(payment, time);
        if (known != time && (known.Ticks % TimeSpan.TicksPerSecond == 0 || time.Ticks % TimeSpan.TicksPerSecond == 0))
            (known, time) = (Second(known), Second(time));
        else
            _cancelTimes[payment] = time;
        if (known != time)
            throw new ViolationException($"p{payment} was cancelled at {known:O}, and at {time:O}.", attempt);
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

    // A feed never skips, never repeats, and never changes what it has said.
    private void CheckFeed(Attempt attempt)
    {
        var feed = attempt.Op.Act;
        var items = JsonSerializer.Deserialize<string[]>(attempt.Text)!;
        if (items.Distinct(StringComparer.Ordinal).Count() != items.Length)
            throw new ViolationException($"The feed says something twice: {attempt.Text}", attempt);
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
                    $"The feed has changed what it said: {JsonSerializer.Serialize(before.Items)}, then {attempt.Text}",
                    attempt
                );
        }
        earlier.Add((attempt.Sent, attempt.Received, items));
    }
}
