using System.Globalization;

namespace CancelService.Simulation;

/// <summary>The requests of all actors, and a pause.</summary>
internal enum Act
{
    PutClient,
    PutKey,
    RevokeKey,
    Register,
    Authorize,
    Succeed,
    Capture,
    Refund,
    Fail,
    Deposit,
    Payout,
    Cancel,
    ReadPayment,
    ReadByRequest,
    ReadAccount,
    ReadCancellations,
    ReadLateReports,
    Pause,
}

/// <summary>A deliberate defect of a cancel.</summary>
internal enum Flaw
{
    None,
    WrongSignature,
    OldTime,
}

/// <summary>
/// A cancel window, either a duration or a cut-off on a later day at an offset, with arithmetic of its own.
/// </summary>
internal sealed record Window(string Text, TimeSpan? Lasting, int Days = 0, TimeSpan Time = default, int Hours = 0)
{
    public static readonly Window[] All =
    [
        new("T+1 00:15 +08:00", null, 1, new TimeSpan(0, 15, 0), 8),
        new("PT1H", TimeSpan.FromHours(1)),
        new("PT24H", TimeSpan.FromHours(24)),
        new("T+0 23:59 -05:00", null, 0, new TimeSpan(23, 59, 0), -5),
        new("P7D", TimeSpan.FromDays(7)),
    ];

    /// <summary>Returns the UTC tick at which the window of a payment closes.</summary>
    public long Closes(long initiatedAt)
    {
        if (Lasting is { } lasting)
            return initiatedAt + lasting.Ticks;
        var offset = TimeSpan.FromHours(Hours).Ticks;
        var day = (initiatedAt + offset) / TimeSpan.TicksPerDay;
        return ((day + Days) * TimeSpan.TicksPerDay) + Time.Ticks - offset;
    }
}

/// <summary>The contract of a client, and its active keys (bit n stands for version n).</summary>
internal sealed record Terms(bool Enabled, bool MayCancel, Window Window, int Rate, bool Remember, int Keys)
{
    /// <summary>A rate that no world reaches; a client with a lower rate may be throttled.</summary>
    public const int Unlimited = 100_000;
}

/// <summary>One operation of a plan. The identifiers are numbers; the wire has names made of them.</summary>
internal sealed record Op(Act Act)
{
    public int Number { get; init; }
    public int Payment { get; init; } = -1;
    public int Request { get; init; } = -1;

    /// <summary>The identifier of a report or transfer, the extendInfo of a cancel.</summary>
    public string Id { get; init; } = "";
    public long Amount { get; init; }
    public int Currency { get; init; }
    public bool IsAuthorization { get; init; }

    /// <summary>The age of the payment at the start of its world.</summary>
    public TimeSpan Ago { get; init; }
    public Terms? Terms { get; init; }
    public int Key { get; init; } = 1;
    public Flaw Flaw { get; init; }
    public int Instance { get; init; }

    public string Actor =>
        Act switch
        {
            Act.Cancel => "merchant",
            >= Act.Register and <= Act.Fail => "core",
            _ => "operator",
        };

    public override string ToString()
    {
        var parts = new List<string> { Act.ToString() };
        if (Payment >= 0)
            parts.Add($"p{Payment}");
        if (Request >= 0)
            parts.Add($"r{Request}");
        if (Act is Act.Register)
            parts.Add(IsAuthorization ? "authorization" : "payment");
        if (Act is Act.Register)
            parts.Add($"initiated {Ago} before the start");
        if (Amount > 0)
            parts.Add(Amount.ToString(CultureInfo.InvariantCulture) + (Act is Act.Pause ? " ms" : ""));
        if (Act is Act.Register or Act.Deposit or Act.Payout or Act.ReadAccount)
            parts.Add(Plan.Currencies[Currency]);
        if (Id.Length > 0)
            parts.Add($"'{Id}'");
        if (Act is Act.PutKey or Act.RevokeKey || (Act is Act.Cancel && Key > 1))
            parts.Add($"key {Key}");
        if (Flaw is not Flaw.None)
            parts.Add($"with {Flaw}");
        if (Terms is { } t)
            parts.Add(
                $"{t.Window.Text}{(t.Enabled ? "" : ", disabled")}{(t.MayCancel ? "" : ", may not cancel")}"
                    + $"{(t.Remember ? "" : ", forgets")}{(t.Rate < Terms.Unlimited ? $", {t.Rate}/s" : "")}"
            );
        return string.Join(' ', parts);
    }
}

/// <summary>
/// The script of one small world with one client and a few payments. A round sends its operations concurrently, to
/// either instance; the next round begins when all have a known outcome.
/// </summary>
internal sealed record Plan(int Payments, IReadOnlyList<IReadOnlyList<Op>> Rounds)
{
    public static readonly string[] Currencies = ["USD", "EUR"];

    /// <summary>The number of first rounds, which create the client.</summary>
    public const int Setup = 2;

    /// <summary>Returns the first rounds of the plan.</summary>
    public Plan Until(int rounds) => this with { Rounds = [.. Rounds.Take(rounds)] };

    /// <summary>Returns the plan with the selected operations alone.</summary>
    public Plan Keep(Func<Op, bool> which) =>
        this with
        {
            Rounds = [.. Rounds.Select(round => (IReadOnlyList<Op>)[.. round.Where(which)])],
        };
}

/// <summary>Generates the plan of a world deterministically from the seed and the number of the world.</summary>
internal sealed class Planner(int seed, int world)
{
    private readonly Random _random = new(unchecked((seed * 1_000_003) + world));
    private readonly List<IReadOnlyList<Op>> _rounds = [];
    private readonly List<Op> _past = [];
    private Op[] _payments = [];
    private string[] _guess = [];
    private long[] _captured = [];
    private readonly long[] _balance = new long[Plan.Currencies.Length];
    private Terms _terms = new(true, true, Window.All[0], Terms.Unlimited, true, 2);
    private int _key = 1;
    private int _last;

    public Plan Make()
    {
        _terms = _terms with
        {
            Window = Window.All[Weighted(40, 25, 15, 8, 12)],
            Rate = Chance(6) ? 20 : Terms.Unlimited,
            Remember = !Chance(12),
        };
        _payments = [.. Enumerable.Range(0, 1 + Weighted(30, 40, 30)).Select(Payment)];
        _guess = [.. _payments.Select(_ => "")];
        _captured = new long[_payments.Length];

        Add(new Op(Act.PutClient) { Terms = _terms });
        Add(new Op(Act.PutKey) { Key = 1 });
        while (_last < 90)
            Add(Scene(_random.Next(_payments.Length)));
        Finale();
        return new Plan(_payments.Length, _rounds);
    }

    // A recent payment, a payment with a closed window, or a payment whose window is about to close.
    private Op Payment(int number)
    {
        var lasting = _terms.Window.Lasting ?? TimeSpan.FromHours(1);
        return new Op(Act.Register)
        {
            Payment = number,
            Request = number,
            IsAuthorization = Chance(45),
            Amount = 100 * _random.Next(1, 10),
            Currency = Chance(75) ? 0 : 1,
            Ago = Weighted(55, 10, 35) switch
            {
                0 => TimeSpan.FromSeconds(_random.Next(0, 600)),
                1 => lasting + TimeSpan.FromMinutes(5),
                _ => lasting - TimeSpan.FromMilliseconds(_random.Next(50, 1500)),
            },
        };
    }

    private Op[] Scene(int payment)
    {
        if (_guess[payment].Length == 0 && !Chance(20))
        {
            return Weighted(70, 15, 15) switch
            {
                0 => [Advance(payment)],
                1 => [Advance(payment), ByRequest(payment)],
                _ => [Advance(payment), Advance(payment)],
            };
        }
        switch (Weighted(16, 17, 7, 15, 10, 25, 3, 4, 3))
        {
            case 0:
                return [Advance(payment)];
            case 1: // Merchant and core race on the payment.
                return Chance(40)
                    ? [Cancel(payment), Advance(payment), Cancel(payment)]
                    : [Cancel(payment), Advance(payment)];
            case 2:
                return [.. Enumerable.Range(0, _random.Next(1, 4)).Select(_ => Cancel(payment))];
            case 3: // An exact repeat, or a conflicting one with another amount.
                var again = _past[_random.Next(_past.Count)];
                if (Chance(15) && again.Act is Act.Capture or Act.Refund or Act.Deposit or Act.Payout or Act.Register)
                    again = again with { Amount = again.Amount + 1 };
                return Chance(40) ? [again, again with { Instance = 1 - again.Instance }] : [again];
            case 4:
                return Money(payment);
            case 5:
                return [Read(payment), Read(payment), Chance(40) ? Advance(payment) : Read(payment)];
            case 6:
                return NewTerms(payment);
            case 7: // Mismatched pairs of identifiers, and unknown payments.
                var other = _random.Next(_payments.Length + 1);
                return Weighted(40, 30, 30) switch
                {
                    0 => [_payments[payment] with { Request = other }],
                    1 =>
                    [
                        new Op(Act.Cancel)
                        {
                            Payment = payment,
                            Request = other,
                            Id = Extend(),
                        },
                    ],
                    _ => [new Op(Act.Cancel) { Request = other, Id = Extend() }, ByRequest(payment)],
                };
            default:
                return
                [
                    Cancel(payment) with
                    {
                        Flaw = Chance(50) ? Flaw.WrongSignature : Flaw.OldTime,
                        Key = Chance(70) ? _key : 7,
                    },
                ];
        }
    }

    /// <summary>Returns a plausible next report of the core; a wrong guess is refused.</summary>
    private Op Advance(int payment)
    {
        var op = _payments[payment];
        var rest = op.Amount - _captured[payment];
        var (act, next) = _guess[payment] switch
        {
            "" => (Act.Register, "PROCESSING"),
            "PROCESSING" when Chance(12) => (Act.Fail, "FAILED"),
            "PROCESSING" when op.IsAuthorization => (Act.Authorize, "AUTHORIZED"),
            "PROCESSING" => (Act.Succeed, "SUCCESS"),
            "AUTHORIZED" when Chance(12) => (Act.Fail, "FAILED"),
            "AUTHORIZED" => (Act.Capture, "CAPTURED"),
            "SUCCESS" => (Act.Refund, "REFUNDED"),
            "CAPTURED" => Chance(50) ? (Act.Capture, "CAPTURED") : (Act.Refund, "REFUNDED"),
            var stays => (Act.Authorize + _random.Next(5), stays),
        };
        if (act is Act.Register)
        {
            _guess[payment] = next;
            return op with { Instance = _random.Next(2) };
        }
        // The guess sometimes stays behind, because a race may end otherwise.
        if (Chance(85))
            _guess[payment] = next;
        var amount = act is Act.Capture or Act.Refund
            ? (Chance(50) ? Math.Max(1, rest / 2) : Math.Max(1, act is Act.Refund ? op.Amount : rest))
            : 0;
        if (act is Act.Capture)
            _captured[payment] = Math.Min(op.Amount, _captured[payment] + amount);
        if (act is Act.Succeed or Act.Capture)
            _balance[op.Currency] += act is Act.Succeed ? op.Amount : amount;
        if (act is Act.Refund)
            _balance[op.Currency] = Math.Max(0, _balance[op.Currency] - amount);
        return new Op(act)
        {
            Payment = payment,
            Amount = amount,
            Currency = op.Currency,
            Id = $"e{_last}-{_random.Next(1000)}",
        };
    }

    private Op Cancel(int payment) =>
        Weighted(40, 40, 20) switch
        {
            0 => new Op(Act.Cancel)
            {
                Payment = payment,
                Id = Extend(),
                Key = _key,
            },
            1 => ByRequest(payment),
            _ => new Op(Act.Cancel)
            {
                Payment = payment,
                Request = payment,
                Id = Extend(),
                Key = _key,
            },
        };

    private Op ByRequest(int payment) =>
        new(Act.Cancel)
        {
            Request = payment,
            Id = Extend(),
            Key = _key,
        };

    // Few values, because equal requests share one signature; enough to tell which cancel took effect.
    private string Extend() => Chance(40) ? "" : $"x{_random.Next(2)}";

    // A payout or a deposit, often concurrent with a cancel that needs the money.
    private Op[] Money(int payment)
    {
        var currency = _payments[payment].Currency;
        var payout = _balance[currency] > 0 && Chance(65);
        var move = new Op(payout ? Act.Payout : Act.Deposit)
        {
            Currency = currency,
            Amount =
                !payout ? 50 * _random.Next(1, 20)
                : Chance(50) ? _balance[currency]
                : _payments[payment].Amount,
            Id = $"t{_last}",
        };
        _balance[currency] = Math.Max(0, _balance[currency] + (payout ? -move.Amount : move.Amount));
        return Chance(60) ? [move, Cancel(payment)]
            : Chance(30) ? [move, Read(payment)]
            : [move];
    }

    private Op[] NewTerms(int payment)
    {
        if (Chance(35) && _key < 3)
        {
            _key++;
            return [new Op(Act.PutKey) { Key = _key }];
        }
        if (Chance(30) && _key > 1)
            return [new Op(Act.RevokeKey) { Key = _key - 1 }, Cancel(payment)];
        _terms = Weighted(45, 15, 15, 15, 10) switch
        {
            0 => _terms with { Window = Window.All[_random.Next(Window.All.Length)] },
            1 => _terms with { Enabled = !_terms.Enabled },
            2 => _terms with { MayCancel = !_terms.MayCancel },
            3 => _terms with { Remember = !_terms.Remember },
            _ => _terms with { Enabled = true, MayCancel = true },
        };
        var put = new Op(Act.PutClient) { Terms = _terms };
        return Chance(50) ? [put, Cancel(payment)] : [put];
    }

    private Op Read(int payment) =>
        Weighted(15, 15, 50, 12, 8) switch
        {
            0 => new Op(Act.ReadPayment) { Payment = payment },
            1 => new Op(Act.ReadByRequest) { Request = payment },
            2 => new Op(Act.ReadAccount) { Currency = _payments[payment].Currency },
            3 => new Op(Act.ReadCancellations),
            _ => new Op(Act.ReadLateReports),
        };

    // The last rounds show that cancelled payments stay cancelled, and narrow the possible states for the final
    // comparison.
    private void Finale()
    {
        Add(new Op(Act.PutClient) { Terms = _terms with { Enabled = true, MayCancel = true, Rate = Terms.Unlimited } });
        Add([.. _payments.Select(p => Chance(50) ? ByRequest(p.Payment) : Cancel(p.Payment))]);
        AddAtBoth([.. _payments.Select(p => new Op(Act.ReadPayment) { Payment = p.Payment })]);
        AddAtBoth([
            .. Plan.Currencies.Select((_, currency) => new Op(Act.ReadAccount) { Currency = currency }),
            new Op(Act.ReadCancellations),
            new Op(Act.ReadLateReports),
        ]);
    }

    private void AddAtBoth(Op[] round) =>
        _rounds.Add([
            .. round.SelectMany(op =>
                new[] { op with { Number = _last++, Instance = 0 }, op with { Number = _last++, Instance = 1 } }
            ),
        ]);

    private void Add(params Op[] round)
    {
        var numbered = round
            .Select(op => op with { Number = _last++, Instance = Chance(15) ? op.Instance : _random.Next(2) })
            .ToList();
        _past.AddRange(numbered.Where(op => op.Act is >= Act.Register and <= Act.Cancel && op.Flaw is Flaw.None));
        if (_past.Count == 0)
            _past.Add(_payments[0]);
        _rounds.Add(numbered);
        // Sometimes waits after new terms until every cache has them.
        if (round[0].Act is Act.PutClient or Act.PutKey or Act.RevokeKey && _rounds.Count > Plan.Setup && Chance(15))
            _rounds.Add([new Op(Act.Pause) { Number = _last++, Amount = 1050 }]);
    }

    private bool Chance(int percent) => _random.Next(100) < percent;

    private int Weighted(params ReadOnlySpan<int> weights)
    {
        var sum = 0;
        foreach (var weight in weights)
            sum += weight;
        var at = _random.Next(sum);
        var index = 0;
        while (at >= weights[index])
            at -= weights[index++];
        return index;
    }
}
