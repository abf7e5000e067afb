namespace CancelService.Simulation;

/// <summary>A fault with its start and end as timestamps of the driver.</summary>
internal sealed record Happening(Fault Fault, long From, long To);

/// <summary>
/// Counts the rare states in which services of this kind break. A run prints the reached states. A long run fails when
/// it misses a state, because it has not tested that state.
/// </summary>
internal sealed class RareStates(IReadOnlyList<Happening> faults, Func<Trouble, bool> canHappen)
{
    /// <summary>The number of operations from which on a run must reach every state.</summary>
    public const int Enough = 100_000;

    private readonly Dictionary<string, int> _seen = All.Where(state =>
            !Need.TryGetValue(state, out var fault) || canHappen(fault)
        )
        .ToDictionary(name => name, _ => 0, StringComparer.Ordinal);

    private static readonly string[] All =
    [
        "a cancel of unknown outcome that had taken effect",
        "a cancel of unknown outcome that had not",
        "a cancel of unknown outcome that is refused when it is repeated",
        "a registration of unknown outcome that had taken effect",
        "a registration of unknown outcome that had not",
        "a report of unknown outcome",
        "a deposit or payout of unknown outcome that had taken effect",
        "a late authorisation: release the hold",
        "a late success: refund the payer",
        "a late success of a payment whose cancel refunded it: nothing to do",
        "a late capture",
        "a failure of a cancelled payment",
        "a failure that contradicts a refund",
        "a payment that arrives after its cancel",
        "a repeat with another extendInfo",
        "two concurrent cancels of a payment",
        "a cancel concurrent with a success",
        "a cancel concurrent with a capture",
        "a cancel concurrent with a refund",
        "a cancel concurrent with the payment's registration",
        "a balance too low for a cancel at first and sufficient later",
        "a cancel in flight when the clock jumps",
        "a write in flight when an instance is killed",
        "a write in flight when an instance is frozen",
        "a write in flight when the database is killed",
        "a write in flight when the disk is full",
        "a write in flight while a later version migrates",
        "a cancel in flight when its instance's clock is set",
        "a write in flight when the standby is disconnected",
        "a write in flight when the standby is paused",
        "a write in flight when the primary is paused",
        "a write in flight when the standby is promoted",
        "a repeat without an answer while the standby is away",
        "a cancellation with the same answer after a promotion",
    ];

    // States that need a fault that some databases cannot have.
    private static readonly Dictionary<string, Trouble> Need = new(StringComparer.Ordinal)
    {
        ["a write in flight when the disk is full"] = Trouble.FillDisk,
        ["a write in flight when the standby is disconnected"] = Trouble.CutStandby,
        ["a write in flight when the standby is paused"] = Trouble.PauseStandby,
        ["a write in flight when the primary is paused"] = Trouble.PausePrimary,
        ["a write in flight when the standby is promoted"] = Trouble.FailOver,
        ["a repeat without an answer while the standby is away"] = Trouble.CutStandby,
        ["a cancellation with the same answer after a promotion"] = Trouble.FailOver,
    };

    /// <summary>The reachable states with the number of times that the run reached them.</summary>
    public IReadOnlyDictionary<string, int> Seen => _seen;

    /// <summary>The states that the run did not reach.</summary>
    public IEnumerable<string> Missed => _seen.Where(state => state.Value == 0).Select(state => state.Key);

    /// <summary>Counts the rare states in the history of a world.</summary>
    public void Look(World world)
    {
        var history = world.History;
        foreach (var attempts in history.GroupBy(attempt => attempt.Op))
            LookAtRepeats([.. attempts]);
        foreach (var attempt in history)
            LookAtAnswer(attempt, history);
        foreach (var ofPayment in history.Where(a => a.Op.Payment >= 0).GroupBy(a => a.Op.Payment))
            LookAtPayment([.. ofPayment]);
    }

    private void LookAtRepeats(IReadOnlyList<Attempt> attempts)
    {
        if (attempts is not [{ IsKnown: false } first, ..] || attempts[^1] is not { IsKnown: true } last)
            return;
        var wasThere =
            last is { Code: "SUCCESS", CancelTime: { } at } && at.UtcTicks + TimeSpan.TicksPerSecond < last.SentClock;
        Note(
            (last.Op.Act, last.Code) switch
            {
                (Act.Cancel, "SUCCESS") when last.Op.Id != World.Again => wasThere
                    ? "a cancel of unknown outcome that had taken effect"
                    : "a cancel of unknown outcome that had not",
                (Act.Cancel, "CANCEL_WINDOW_EXCEED" or "PROCESS_FAIL" or "MERCHANT_BALANCE_NOT_ENOUGH") =>
                    "a cancel of unknown outcome that is refused when it is repeated",
                (Act.Register, "200") => "a registration of unknown outcome that had taken effect",
                (Act.Register, "201") => "a registration of unknown outcome that had not",
                (>= Act.Authorize and <= Act.Fail, "200") => "a report of unknown outcome",
                (Act.Deposit or Act.Payout, "200") => "a deposit or payout of unknown outcome that had taken effect",
                _ => "",
            }
        );
        if (
            first.Op.Act is Act.Cancel
            && last.Code == "SUCCESS"
            && wasThere
            && Overlaps(first, Trouble.FailOver, Trouble.CutAndFailOver, Trouble.PauseAndFailOver)
        )
            Note("a cancellation with the same answer after a promotion");
    }

    private void LookAtAnswer(Attempt attempt, IReadOnlyList<Attempt> history)
    {
        Note(
            (attempt.Op.Act, attempt.Code, attempt.Detail) switch
            {
                (Act.Authorize, "payment-cancelled", _) => "a late authorisation: release the hold",
                (Act.Succeed, "payment-cancelled", "none") =>
                    "a late success of a payment whose cancel refunded it: nothing to do",
                (Act.Succeed, "payment-cancelled", _) => "a late success: refund the payer",
                (Act.Capture, "payment-cancelled", _) => "a late capture",
                (Act.Fail, "200", var view) when view.Contains("CANCELLED", StringComparison.Ordinal) =>
                    "a failure of a cancelled payment",
                (Act.Fail, "transition-refused", "CANCELLED") => "a failure that contradicts a refund",
                (Act.Register, "cancelled-before-arrival", _) => "a payment that arrives after its cancel",
                (Act.Cancel, "SUCCESS", var receipt)
                    when attempt.Op.Id.Length > 0
                        && attempt.Op.Id != World.Again
                        && !receipt.EndsWith($"'{attempt.Op.Id}'", StringComparison.Ordinal) =>
                    "a repeat with another extendInfo",
                _ => "",
            }
        );
        if (attempt.Op.Act is < Act.Register or > Act.Cancel)
            return;
        if (
            attempt.Op.Act is Act.Cancel
            && Overlaps(attempt, Trouble.JumpToCutOff, Trouble.JumpAnHour, Trouble.JumpADay)
        )
            Note("a cancel in flight when the clock jumps");
        if (
            attempt.Op.Act is Act.Cancel
            && faults.Any(happening =>
                happening.Fault is { Trouble: Trouble.SkewClock, Instance: var instance }
                && instance == attempt.Instance
                && attempt.Sent <= happening.To
                && happening.From <= attempt.Received
            )
        )
            Note("a cancel in flight when its instance's clock is set");
        if (Overlaps(attempt, Trouble.Migrate))
            Note("a write in flight while a later version migrates");
        if (
            attempt.Op.Act is Act.Cancel
            && attempt.Code is null
            && Overlaps(attempt, Trouble.CutStandby, Trouble.CutAndFailOver)
        )
        {
            if (
                history.Any(a => a.Code == "SUCCESS" && a.Op.Payment == attempt.Op.Payment && a.Received < attempt.Sent)
            )
                Note("a repeat without an answer while the standby is away");
        }
        // A frozen instance answers after it resumes, or never.
        if (Spans(attempt, Trouble.FreezeInstance))
            Note("a write in flight when an instance is frozen");
        if (attempt.IsKnown)
            return;
        if (Overlaps(attempt, Trouble.KillInstance))
            Note("a write in flight when an instance is killed");
        if (Overlaps(attempt, Trouble.KillDatabase))
            Note("a write in flight when the database is killed");
        if (Overlaps(attempt, Trouble.FillDisk))
            Note("a write in flight when the disk is full");
        if (Overlaps(attempt, Trouble.CutStandby))
            Note("a write in flight when the standby is disconnected");
        if (Overlaps(attempt, Trouble.PauseStandby))
            Note("a write in flight when the standby is paused");
        if (Overlaps(attempt, Trouble.PausePrimary, Trouble.PauseAndFailOver))
            Note("a write in flight when the primary is paused");
        if (Overlaps(attempt, Trouble.FailOver, Trouble.CutAndFailOver, Trouble.PauseAndFailOver))
            Note("a write in flight when the standby is promoted");
    }

    private void LookAtPayment(IReadOnlyList<Attempt> attempts)
    {
        foreach (var cancel in attempts.Where(a => a.Op.Act is Act.Cancel))
        {
            foreach (var other in attempts.Where(a => a.Op != cancel.Op && AreAtOnce(a, cancel)))
                Note(
                    other.Op.Act switch
                    {
                        Act.Cancel => "two concurrent cancels of a payment",
                        Act.Succeed => "a cancel concurrent with a success",
                        Act.Capture => "a cancel concurrent with a capture",
                        Act.Refund => "a cancel concurrent with a refund",
                        Act.Register => "a cancel concurrent with the payment's registration",
                        _ => "",
                    }
                );
            if (
                cancel.Code == "MERCHANT_BALANCE_NOT_ENOUGH"
                && attempts.Any(a => a.Code == "SUCCESS" && a.Sent > cancel.Received)
            )
                Note("a balance too low for a cancel at first and sufficient later");
        }
    }

    private static bool AreAtOnce(Attempt one, Attempt other) => one.Sent < other.Received && other.Sent < one.Received;

    private bool Overlaps(Attempt attempt, params ReadOnlySpan<Trouble> troubles)
    {
        foreach (var (fault, from, to) in faults)
        {
            if (attempt.Sent <= to && from <= attempt.Received && troubles.Contains(fault.Trouble))
                return true;
        }
        return false;
    }

    // True for an attempt that was sent before the end of the fault and not answered until then.
    private bool Spans(Attempt attempt, Trouble trouble) =>
        faults.Any(happening =>
            happening.Fault.Trouble == trouble
            && attempt.Sent < happening.To
            && happening.From <= attempt.Received
            && (!attempt.IsKnown || happening.To <= attempt.Received)
        );

    private void Note(string name)
    {
        if (name.Length > 0)
            _seen[name]++;
    }
}
