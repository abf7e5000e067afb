using System.Diagnostics;
using System.Globalization;

namespace CancelService.Simulation;

/// <summary>
/// One send of an operation with its time and its answer. Times are timestamps of the driver; clocks are UTC ticks.
/// </summary>
internal sealed class Attempt(Op op, int instance)
{
    public Op Op { get; } = op;
    public int Instance { get; } = instance;
    public long Sent { get; set; }
    public long Received { get; set; }
    public long SentClock { get; set; }
    public long ReceivedClock { get; set; } = long.MaxValue;
    public long RequestTime { get; set; }

    /// <summary>The result code, HTTP status or problem type; null for an unknown outcome.</summary>
    public string? Code { get; set; }

    /// <summary>The state that the answer reports, in the auditor's notation.</summary>
    public string Detail { get; set; } = "";

    /// <summary>The cancel time in the answer, if it has one.</summary>
    public DateTimeOffset? CancelTime { get; set; }

    /// <summary>The body of a successful cancel, otherwise the error.</summary>
    public string Text { get; set; } = "";

    public bool IsKnown => Code is not null;

    /// <summary>The bit of the attempt in sets of effective attempts.</summary>
    public ulong Bit { get; set; }
}

/// <summary>A payment in the auditor's model.</summary>
internal sealed record Pay(int Request, bool IsAuthorization, long Amount, int Currency, long InitiatedAt)
{
    public string Status { get; init; } = "PROCESSING";
    public long Captured { get; init; }
    public long Refunded { get; init; }
    public string Effect { get; init; } = "";

    /// <summary>The extendInfo of the cancel that took effect.</summary>
    public string Winner { get; init; } = "";

    /// <summary>The number of changes, the registration included.</summary>
    public int Version { get; init; } = 1;
    public string History { get; init; } = string.Create(CultureInfo.InvariantCulture, $"REGISTER  {Amount}");

    public bool IsCancelled => Status == "CANCELLED";

    public string View =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"r{Request} {(IsAuthorization ? "AUTHORIZATION" : "PAYMENT")} {Amount} {Plan.Currencies[Currency]} {Status} captured {Captured} refunded {Refunded} v{Version} {Effect}"
        );

    /// <summary>The part of the payment's money that the merchant holds.</summary>
    public long Net =>
        (
            IsAuthorization ? Captured
            : Status is "SUCCESS" or "REFUNDED" || Effect == "REFUNDED" ? Amount
            : 0
        )
        - Refunded
        - (Effect == "REFUNDED" ? Amount : 0);

    public Pay Step(string status, string action, string id, long? amount, string remedy = "") =>
        this with
        {
            Status = status,
            Version = Version + 1,
            History = $"{History}|{Line(action, id, amount, remedy)}",
        };

    public static string Line(string action, string id, long? amount, string remedy) =>
        string.Create(CultureInfo.InvariantCulture, $"{action} {id} {amount} {remedy}").TrimEnd();

    /// <summary>Finds the line of an event by its identifier.</summary>
    public string[]? Event(string id) =>
        History.Contains($" {id} ", StringComparison.Ordinal)
        || History.EndsWith($" {id}", StringComparison.Ordinal)
        || History.Contains($" {id}|", StringComparison.Ordinal)
            ? Array.Find(History.Split('|'), line => line.Split(' ')[1] == id)!.Split(' ')
            : null;
}

/// <summary>One possible state of a world.</summary>
internal sealed class WorldState : IEquatable<WorldState>
{
    private WorldState(Pay?[] pays, (long Low, long High)[] refusals, long[] balances, string transfers) =>
        (Pays, Refusals, Balances, Transfers) = (pays, refusals, balances, transfers);

    public WorldState(int payments)
        : this(new Pay?[payments], new (long, long)[payments + 1], [-1, -1], "") { }

    public IReadOnlyList<Pay?> Pays { get; }

    /// <summary>
    /// The interval of the clock in which a cancel of each paymentRequestId was last refused for an unknown payment.
    /// </summary>
    public IReadOnlyList<(long Low, long High)> Refusals { get; }

    /// <summary>The balance by currency; -1 where the client has no account.</summary>
    public IReadOnlyList<long> Balances { get; }

    /// <summary>The posted transfers, ordered by their text.</summary>
    public string Transfers { get; }

    public WorldState With(int payment, Pay pay, long credit = 0)
    {
        var pays = Pays.ToArray();
        pays[payment] = pay;
        return new WorldState(pays, [.. Refusals], Credited(pay.Currency, credit), Transfers);
    }

    public WorldState Refused(int request, (long Low, long High) when)
    {
        // When two intervals overlap, either refusal may be the last.
        var refusals = Refusals.ToArray();
        var last = refusals[request];
        refusals[request] =
            when.Low > last.High ? when : (Math.Min(last.Low, when.Low), Math.Max(last.High, when.High));
        return new WorldState([.. Pays], refusals, [.. Balances], Transfers);
    }

    public WorldState Registered(int payment, Pay pay)
    {
        var refusals = Refusals.ToArray();
        refusals[pay.Request] = default;
        return new WorldState(Pays.ToArray(), refusals, [.. Balances], Transfers).With(payment, pay);
    }

    public WorldState Moved(string transfer, int currency, long credit) =>
        new(
            [.. Pays],
            [.. Refusals],
            Credited(currency, credit),
            string.Join(';', Transfers.Split(';').Append(transfer).Order(StringComparer.Ordinal)).Trim(';')
        );

    /// <summary>The state in the notation of <see cref="Stage.Summaries"/>, for comparison with the database.</summary>
    public string Summary =>
        string.Join(
            "; ",
            Pays.Select(
                    (pay, number) =>
                        pay is null
                            ? null
                            : Summarized(number, pay.Request, pay.Status, pay.Captured, pay.Refunded, pay.Version)
                )
                .OfType<string>()
                .Concat(
                    Balances
                        .Select((balance, currency) => balance < 0 ? null : $"{Plan.Currencies[currency]} {balance}")
                        .OfType<string>()
                )
                .Order(StringComparer.Ordinal)
        );

    public static string Summarized(
        int payment,
        int request,
        string status,
        long captured,
        long refunded,
        int version
    ) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"p{payment} r{request} {status} captured {captured} refunded {refunded} v{version}"
        );

    public bool Equals(WorldState? other) =>
        other is not null
        && Transfers == other.Transfers
        && Balances.SequenceEqual(other.Balances)
        && Refusals.SequenceEqual(other.Refusals)
        && Pays.SequenceEqual(other.Pays);

    public override bool Equals(object? obj) => Equals(obj as WorldState);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var balance in Balances)
            hash.Add(balance);
        foreach (var pay in Pays)
            hash.Add(pay?.History, StringComparer.Ordinal);
        return hash.ToHashCode();
    }

    public override string ToString() =>
        string.Join(
            "; ",
            Pays.Select((pay, number) => pay is null ? $"no p{number}" : $"p{number} {pay.View.Trim()}")
                .Concat(Balances.Select((b, c) => b < 0 ? $"no {Plan.Currencies[c]}" : $"{Plan.Currencies[c]} {b}"))
                .Concat(Refusals.Select((r, n) => r.Low == 0 ? null : $"r{n} is known not to exist").OfType<string>())
        );

    private long[] Credited(int currency, long credit)
    {
        var balances = Balances.ToArray();
        if (credit != 0)
            balances[currency] = Math.Max(0, balances[currency]) + credit;
        return balances;
    }
}

/// <summary>A possible outcome of an operation: the next state and the answer; an empty detail matches any.</summary>
internal readonly record struct Outcome(WorldState Next, string Code, string Detail = "");

/// <summary>
/// An independent model of the rules: every possible outcome of an operation in a state, by the client's terms and the
/// interval of the clock.
/// </summary>
internal static class Rules
{
    public static readonly long Tolerance = TimeSpan.FromMinutes(5).Ticks;
    public static readonly long RememberFor = TimeSpan.FromDays(1).Ticks;

    public static IEnumerable<Outcome> Of(WorldState state, Attempt attempt, IEnumerable<Terms> terms, long start) =>
        attempt.Op.Act switch
        {
            Act.Cancel => Cancel(state, attempt, terms),
            Act.Register => Register(state, attempt, terms, start),
            Act.Authorize or Act.Succeed or Act.Capture or Act.Refund or Act.Fail => [Report(state, attempt.Op)],
            Act.Deposit or Act.Payout => [Transfer(state, attempt.Op)],
            Act.ReadPayment => [Read(state, state.Pays[attempt.Op.Payment])],
            Act.ReadByRequest => [Read(state, state.Pays.FirstOrDefault(pay => pay?.Request == attempt.Op.Request))],
            Act.ReadAccount => state.Balances[attempt.Op.Currency] is >= 0 and var balance
                ? [new(state, "200", balance.ToString(CultureInfo.InvariantCulture))]
                : [new(state, "not-found")],
            Act.ReadCancellations or Act.ReadLateReports or Act.PutClient or Act.PutKey => [new(state, "200")],
            Act.RevokeKey => [new(state, "204")],
            _ => throw new UnreachableException(),
        };

    /// <summary>
    /// Returns true when an operation of unknown outcome has already taken effect in the state.
    /// </summary>
    public static bool IsSpent(WorldState state, Attempt attempt)
    {
        var op = attempt.Op;
        return op.Act switch
        {
            Act.Cancel when op.Payment >= 0 => state.Pays[op.Payment] is { IsCancelled: true },
            Act.Cancel => state.Pays.FirstOrDefault(pay => pay?.Request == op.Request) is { } pay
                ? pay.IsCancelled
                : state.Refusals[op.Request].Low > 0,
            Act.Register => state.Pays[op.Payment] is not null,
            Act.Deposit or Act.Payout => state.Transfers.Contains($"{op.Id} ", StringComparison.Ordinal),
            >= Act.Authorize and <= Act.Fail => state.Pays[op.Payment]?.Event(op.Id) is not null,
            _ => true,
        };
    }

    private static IEnumerable<Outcome> Cancel(WorldState state, Attempt attempt, IEnumerable<Terms> candidates)
    {
        var op = attempt.Op;
        if (attempt.ReceivedClock - attempt.RequestTime > Tolerance)
            yield return new(state, "PARAM_ILLEGAL");
        if (attempt.SentClock - attempt.RequestTime > Tolerance)
            yield break;
        foreach (var terms in candidates)
        {
            if (!terms.Enabled)
                yield return new(state, "CLIENT_INVALID");
            else if ((terms.Keys & (1 << op.Key)) == 0)
                yield return new(state, "KEY_NOT_FOUND");
            else if (op.Flaw is Flaw.WrongSignature)
                yield return new(state, "INVALID_SIGNATURE");
            else
            {
                if (terms.Rate < Terms.Unlimited)
                    yield return new(state, "REQUEST_TRAFFIC_EXCEED_LIMIT");
                if (!terms.MayCancel)
                    yield return new(state, "ACCESS_DENIED");
                else
                {
                    foreach (var outcome in Cancel(state, attempt, terms))
                        yield return outcome;
                }
            }
        }
    }

    private static IEnumerable<Outcome> Cancel(WorldState state, Attempt attempt, Terms terms)
    {
        var op = attempt.Op;
        var number = op.Payment >= 0 ? op.Payment : state.Pays.ToList().FindIndex(p => p?.Request == op.Request);
        if (number < 0 || state.Pays[number] is not { } pay)
        {
            yield return new(
                terms.Remember && op.Request >= 0 && !state.Pays.Any(other => other?.Request == op.Request)
                    ? state.Refused(op.Request, (attempt.SentClock, attempt.ReceivedClock))
                    : state,
                "ORDER_NOT_EXIST"
            );
            yield break;
        }
        if (pay.IsCancelled)
        {
            yield return new(state, "SUCCESS", Receipt(number, pay));
            yield break;
        }

        var closes = terms.Window.Closes(pay.InitiatedAt);
        if (attempt.ReceivedClock >= closes)
            yield return new(state, "CANCEL_WINDOW_EXCEED");
        if (attempt.SentClock >= closes)
            yield break;
        if (pay.Status is "CAPTURED" or "REFUNDED")
        {
            yield return new(state, "PROCESS_FAIL");
            yield break;
        }
        if (pay.Status == "SUCCESS" && state.Balances[pay.Currency] < pay.Amount)
        {
            yield return new(state, "MERCHANT_BALANCE_NOT_ENOUGH");
            yield break;
        }
        // This cancel takes effect, so the time in its answer must lie between its send and its answer.
        if (
            attempt.CancelTime is { } time
            && (time.UtcTicks < attempt.SentClock - TimeSpan.TicksPerSecond || time.UtcTicks > attempt.ReceivedClock)
        )
            yield break;
        var effect = pay.Status switch
        {
            "AUTHORIZED" => "HOLD_RELEASED",
            "SUCCESS" => "REFUNDED",
            _ => "CLOSED",
        };
        var cancelled = pay.Step("CANCELLED", "CANCEL", "", pay.Amount) with { Effect = effect, Winner = op.Id };
        yield return new(
            state.With(number, cancelled, effect == "REFUNDED" ? -pay.Amount : 0),
            "SUCCESS",
            Receipt(number, cancelled)
        );
    }

    private static string Receipt(int number, Pay pay) => $"p{number} r{pay.Request} '{pay.Winner}'";

    private static IEnumerable<Outcome> Register(
        WorldState state,
        Attempt attempt,
        IEnumerable<Terms> candidates,
        long start
    )
    {
        var op = attempt.Op;
        var given = new Pay(op.Request, op.IsAuthorization, op.Amount, op.Currency, start - op.Ago.Ticks);
        var refused = state.Refusals[op.Request];
        foreach (var remembers in candidates.Select(terms => terms.Remember).Distinct())
        {
            if (remembers && refused.Low > 0 && refused.High > attempt.SentClock - RememberFor)
                yield return new(state, "cancelled-before-arrival");
            var stands = remembers && refused.Low > 0 && refused.Low > attempt.ReceivedClock - RememberFor;
            if (state.Pays[op.Payment] is { } known)
                yield return known.Request != op.Request ? new(state, "mapping-conflict")
                : Same(known, given) ? new(state, "200", known.View)
                : new(state, "payment-differs");
            else if (state.Pays.Any(pay => pay?.Request == op.Request))
                yield return new(state, "mapping-conflict");
            else if (!stands)
                yield return new(state.Registered(op.Payment, given), "201", given.View);
        }
    }

    private static bool Same(Pay known, Pay given) =>
        (known.IsAuthorization, known.Amount, known.Currency, known.InitiatedAt)
        == (given.IsAuthorization, given.Amount, given.Currency, given.InitiatedAt);

    private static Outcome Report(WorldState state, Op op)
    {
        if (state.Pays[op.Payment] is not { } pay)
            return new(state, "not-found");
        var action = op.Act.ToString().ToUpperInvariant();
        var hasAmount = op.Act is Act.Capture or Act.Refund;
        if (pay.Event(op.Id) is { } line)
        {
            return line[0] != action || (hasAmount && line[2] != op.Amount.ToString(CultureInfo.InvariantCulture))
                    ? new(state, "event-differs")
                : line.Length > 3 ? new(state, "payment-cancelled", Remedy(line[3]))
                : new(state, "200", pay.View);
        }

        var paid =
            pay.IsAuthorization ? pay.Captured
            : pay.Status is "SUCCESS" or "REFUNDED" ? pay.Amount
            : 0;
        switch (op.Act, pay.Status)
        {
            case (Act.Authorize, "PROCESSING") when pay.IsAuthorization:
                return Applied(pay.Step("AUTHORIZED", action, op.Id, pay.Amount), 0);
            case (Act.Succeed, "PROCESSING") when !pay.IsAuthorization:
                return Applied(pay.Step("SUCCESS", action, op.Id, pay.Amount), pay.Amount);
            case (Act.Fail, "PROCESSING" or "AUTHORIZED"):
                return Applied(pay.Step("FAILED", action, op.Id, null), 0);
            case (Act.Capture, "AUTHORIZED" or "CAPTURED" or "REFUNDED")
                when pay.IsAuthorization && op.Amount <= pay.Amount - pay.Captured:
                var captured = pay with { Captured = pay.Captured + op.Amount };
                var status = pay.Status == "REFUNDED" ? "REFUNDED" : "CAPTURED";
                return Applied(captured.Step(status, action, op.Id, op.Amount), op.Amount);
            case (Act.Refund, "SUCCESS" or "CAPTURED" or "REFUNDED") when op.Amount <= paid - pay.Refunded:
                if (op.Amount > state.Balances[pay.Currency])
                    return new(state, "balance-not-enough");
                var refunded = pay with { Refunded = pay.Refunded + op.Amount };
                return Applied(refunded.Step("REFUNDED", action, op.Id, op.Amount), -op.Amount);
            case (Act.Fail, "CANCELLED") when pay.Effect != "REFUNDED":
                return Applied(pay.Step("CANCELLED", action, op.Id, null), 0);
            case (Act.Authorize or Act.Succeed or Act.Capture, "CANCELLED"):
                var remedy =
                    op.Act is Act.Authorize ? "RELEASE_HOLD"
                    : op.Act is Act.Succeed && pay.Effect == "REFUNDED" ? "NONE"
                    : "REFUND_PAYER";
                var late = pay.Step("CANCELLED", action, op.Id, hasAmount ? op.Amount : pay.Amount, remedy);
                return new(state.With(op.Payment, late), "payment-cancelled", Remedy(remedy));
            default:
                return new(state, "transition-refused", pay.Status);
        }

        Outcome Applied(Pay next, long credit) => new(state.With(op.Payment, next, credit), "200", next.View);
    }

    private static string Remedy(string stored) =>
        stored switch
        {
            "NONE" => "none",
            "RELEASE_HOLD" => "release-hold",
            _ => "refund-payer",
        };

    private static Outcome Transfer(WorldState state, Op op)
    {
        var transfer = string.Create(CultureInfo.InvariantCulture, $"{op.Id} {op.Act} {op.Amount} {op.Currency}");
        if (
            state.Transfers.Split(';').FirstOrDefault(t => t.StartsWith($"{op.Id} ", StringComparison.Ordinal)) is
            { } known
        )
            return new(state, known == transfer ? "200" : "transfer-differs");
        if (op.Act is Act.Payout && state.Balances[op.Currency] < op.Amount)
            return new(state, "balance-not-enough");
        return new(state.Moved(transfer, op.Currency, op.Act is Act.Payout ? -op.Amount : op.Amount), "201");
    }

    private static Outcome Read(WorldState state, Pay? pay) =>
        pay is null
            ? new(state, "not-found")
            : new(
                state,
                "200",
                string.Create(CultureInfo.InvariantCulture, $"{pay.View} [{pay.History}] net {pay.Net}")
            );
}
