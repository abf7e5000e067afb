using System.Diagnostics;
using CancelService.Domain.Ledger;

namespace CancelService.Domain.Payments;

/// <summary>
/// A payment of one client, from its registration to its end. Every method decides completely before it changes
/// anything, refuses by a value, and returns the one <see cref="PaymentChange"/> that has to be committed.
/// </summary>
public sealed class Payment
{
    private Payment() { }

    /// <summary>The client whose payment it is.</summary>
    public ClientId ClientId { get; private init; }

    /// <summary>The wallet's identifier.</summary>
    public PaymentId Id { get; private init; }

    /// <summary>The merchant's identifier.</summary>
    public PaymentRequestId RequestId { get; private init; }

    /// <summary>Whether money is taken at once or held first.</summary>
    public PaymentKind Kind { get; private init; }

    /// <summary>The full amount. A cancel is always about all of it.</summary>
    public Money Amount { get; private init; }

    /// <summary>When the payment was initiated (UTC): the cancel window counts from here.</summary>
    public DateTimeOffset InitiatedAt { get; private init; }

    /// <summary>Who pays, as the core names the payer; null when it did not say.</summary>
    public string? Payer { get; private init; }

    /// <summary>Where the payment stands.</summary>
    public PaymentStatus Status { get; private set; }

    /// <summary>Minor units captured so far, at most the amount.</summary>
    public long Captured { get; private set; }

    /// <summary>Minor units that the core refunded so far, at most what was paid or captured.</summary>
    public long Refunded { get; private set; }

    /// <summary>The number of changes so far, the registration included.</summary>
    public int Version { get; private set; }

    /// <summary>
    /// How often a cancel was refused for time or balance. A cancel that was decided before such a refusal can't take effect
    /// after it: the merchant has been told "not cancelled".
    /// </summary>
    public int Fence { get; private init; }

    /// <summary>The cancellation; there is one exactly when the payment is cancelled.</summary>
    public Cancellation? Cancellation { get; private set; }

    /// <summary>Starts a payment that has no result yet.</summary>
    public static (Payment Payment, PaymentChange Change) Register(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        PaymentKind kind,
        Money amount,
        DateTimeOffset initiatedAt,
        DateTimeOffset now,
        string? payer = null
    )
    {
        var payment = Restore(
            clientId,
            id,
            requestId,
            kind,
            amount,
            initiatedAt.ToUniversalTime(),
            payer,
            PaymentStatus.Processing,
            captured: 0,
            refunded: 0,
            version: 1,
            fence: 0,
            cancellation: null
        );
        var to = payment.Status;
        return (payment, new PaymentChange(1, PaymentAction.Register, null, to, now.ToUniversalTime(), amount, null));
    }

    /// <summary>A payment as it was stored.</summary>
    public static Payment Restore(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        PaymentKind kind,
        Money amount,
        DateTimeOffset initiatedAt,
        string? payer,
        PaymentStatus status,
        long captured,
        long refunded,
        int version,
        int fence,
        Cancellation? cancellation
    ) =>
        new()
        {
            ClientId = clientId,
            Id = id,
            RequestId = requestId,
            Kind = kind,
            Amount = amount,
            InitiatedAt = initiatedAt,
            Payer = payer,
            Status = status,
            Captured = captured,
            Refunded = refunded,
            Version = version,
            Fence = fence,
            Cancellation = cancellation,
        };

    /// <summary>
    /// Whether another registration says the same about the payment; times are compared to the microsecond, which is
    /// what is stored.
    /// </summary>
    public bool IsSameAs(Payment other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return (ClientId, Id, RequestId, Kind, Amount, Payer)
                == (other.ClientId, other.Id, other.RequestId, other.Kind, other.Amount, other.Payer)
            && InitiatedAt.UtcTicks / TimeSpan.TicksPerMicrosecond
                == other.InitiatedAt.UtcTicks / TimeSpan.TicksPerMicrosecond;
    }

    /// <summary>
    /// Cancels the payment, in full, once and for ever. This is the rule of the protocol: the stored cancellation
    /// before any other rule, then the window, then what the status allows.
    /// </summary>
    /// <param name="window">The cancel window of the client's contract.</param>
    /// <param name="available">The merchant's balance in the payment's currency, in minor units.</param>
    /// <param name="now">The time of the cancel.</param>
    public CancelDecision Cancel(CancelWindow window, long available, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(window);

        if (Cancellation is not null)
            return new CancelDecision.Repeated(Cancellation);

        if (!window.IsOpen(InitiatedAt, now))
            return new CancelDecision.Refused(new CancelRefusal.WindowClosed());

        return Status switch
        {
            PaymentStatus.Processing or PaymentStatus.Authorized or PaymentStatus.Failed => Cancelled(now, null),
            PaymentStatus.Success when available < Amount.MinorUnits => new CancelDecision.Refused(
                new CancelRefusal.BalanceNotEnough()
            ),
            PaymentStatus.Success => Cancelled(now, Transfer.Refunded(Amount)),
            PaymentStatus.Captured or PaymentStatus.Refunded => new CancelDecision.Refused(
                new CancelRefusal.MoneyMoved()
            ),
            PaymentStatus.Cancelled => throw new UnreachableException("A cancelled payment has its cancellation."),
        };
    }

    // Nothing is left to decide: from here on the cancel succeeds.
    private CancelDecision.Cancelled Cancelled(DateTimeOffset now, Transfer? transfer)
    {
        Cancellation = new Cancellation(Status, now.ToUniversalTime());
        return new(Cancellation, Change(PaymentAction.Cancel, PaymentStatus.Cancelled, now, Amount, transfer));
    }

    /// <summary>The core has put the payer's money on hold.</summary>
    public ReportDecision Authorize(DateTimeOffset now)
    {
        var allowed = Status switch
        {
            PaymentStatus.Processing => Kind is PaymentKind.Authorization,
            PaymentStatus.Authorized or PaymentStatus.Success or PaymentStatus.Captured => false,
            PaymentStatus.Refunded or PaymentStatus.Failed or PaymentStatus.Cancelled => false,
        };
        return allowed
            ? Applied(PaymentAction.Authorize, PaymentStatus.Authorized, now, Amount)
            : RefusedMoney(PaymentAction.Authorize, now, Amount);
    }

    /// <summary>The core has taken the payer's money, in full: the merchant's account is credited.</summary>
    /// <param name="available">The merchant's balance in the payment's currency, in minor units.</param>
    /// <param name="now">The time of the report.</param>
    public ReportDecision Succeed(long available, DateTimeOffset now)
    {
        var allowed = Status switch
        {
            PaymentStatus.Processing => Kind is PaymentKind.Payment,
            PaymentStatus.Authorized or PaymentStatus.Success or PaymentStatus.Captured => false,
            PaymentStatus.Refunded or PaymentStatus.Failed or PaymentStatus.Cancelled => false,
        };
        if (!allowed)
            return RefusedMoney(PaymentAction.Succeed, now, Amount);
        if (Amount.MinorUnits > Money.MaxBalance - available)
            return new ReportDecision.Refused(ReportRefusal.BalanceLimit);
        return Applied(PaymentAction.Succeed, PaymentStatus.Success, now, Amount, Transfer.Paid(Amount));
    }

    /// <summary>The core has taken some or all of the held money: the merchant's account is credited.</summary>
    /// <param name="amount">At most what is not captured yet, in the payment's currency.</param>
    /// <param name="available">The merchant's balance in that currency, in minor units.</param>
    /// <param name="now">The time of the report.</param>
    public ReportDecision Capture(Money amount, long available, DateTimeOffset now)
    {
        PaymentStatus? next = Status switch
        {
            PaymentStatus.Authorized or PaymentStatus.Captured => PaymentStatus.Captured,
            PaymentStatus.Refunded when Kind is PaymentKind.Authorization => PaymentStatus.Refunded,
            PaymentStatus.Refunded or PaymentStatus.Processing or PaymentStatus.Success => null,
            PaymentStatus.Failed or PaymentStatus.Cancelled => null,
        };
        if (next is null || amount.Currency != Amount.Currency || amount.MinorUnits > Amount.MinorUnits - Captured)
            return RefusedMoney(PaymentAction.Capture, now, amount);
        if (amount.MinorUnits > Money.MaxBalance - available)
            return new ReportDecision.Refused(ReportRefusal.BalanceLimit);

        Captured += amount.MinorUnits;
        return Applied(PaymentAction.Capture, next.Value, now, amount, Transfer.Paid(amount));
    }

    /// <summary>The core has given money back to the payer: the merchant's account is debited.</summary>
    /// <param name="amount">At most what was paid or captured and is not refunded yet, in the payment's currency.</param>
    /// <param name="available">The merchant's balance in that currency, in minor units.</param>
    /// <param name="now">The time of the report.</param>
    public ReportDecision Refund(Money amount, long available, DateTimeOffset now)
    {
        var paid = Status switch
        {
            PaymentStatus.Success or PaymentStatus.Captured or PaymentStatus.Refunded => Kind
            is PaymentKind.Authorization
                ? Captured
                : Amount.MinorUnits,
            PaymentStatus.Processing or PaymentStatus.Authorized => 0,
            PaymentStatus.Failed or PaymentStatus.Cancelled => 0,
        };
        if (amount.Currency != Amount.Currency || amount.MinorUnits > paid - Refunded)
            return new ReportDecision.Refused(ReportRefusal.Impossible);
        if (amount.MinorUnits > available)
            return new ReportDecision.Refused(ReportRefusal.BalanceNotEnough);

        Refunded += amount.MinorUnits;
        return Applied(PaymentAction.Refund, PaymentStatus.Refunded, now, amount, Transfer.Refunded(amount));
    }

    /// <summary>
    /// The core reports that the payment did not come about, or that its hold has lapsed. No money moves. A cancelled
    /// payment stays cancelled: that it failed as well is good news and goes on record, unless the cancel refunded a payment
    /// that had succeeded.
    /// </summary>
    public ReportDecision Fail(DateTimeOffset now)
    {
        PaymentStatus? next = Status switch
        {
            PaymentStatus.Processing or PaymentStatus.Authorized => PaymentStatus.Failed,
            PaymentStatus.Success or PaymentStatus.Captured or PaymentStatus.Refunded => null,
            PaymentStatus.Failed => null,
            PaymentStatus.Cancelled => Cancellation!.Effect is CancelEffect.Refunded ? null : PaymentStatus.Cancelled,
        };
        return next is { } status
            ? Applied(PaymentAction.Fail, status, now, null)
            : new ReportDecision.Refused(ReportRefusal.Impossible);
    }

    private ReportDecision.Applied Applied(
        PaymentAction action,
        PaymentStatus next,
        DateTimeOffset now,
        Money? amount,
        Transfer? transfer = null
    ) => new(Change(action, next, now, amount, transfer));

    // No late money: what would take or hold the payer's money on a cancelled payment is refused, on record, with the
    // remedy. The remedies are states to reach, not increments: a repeated event must never refund a second time.
    private ReportDecision RefusedMoney(PaymentAction action, DateTimeOffset now, Money amount)
    {
        if (Cancellation is null)
            return new ReportDecision.Refused(ReportRefusal.Impossible);

        var remedy = action switch
        {
            PaymentAction.Authorize => Remedy.ReleaseHold,
            PaymentAction.Succeed when Cancellation.Effect is CancelEffect.Refunded => Remedy.None,
            _ => Remedy.RefundPayer,
        };
        return new ReportDecision.Late(
            Cancellation,
            remedy,
            Change(action, Status, now, amount, null) with
            {
                Remedy = remedy,
            }
        );
    }

    private PaymentChange Change(
        PaymentAction action,
        PaymentStatus next,
        DateTimeOffset now,
        Money? amount,
        Transfer? transfer
    )
    {
        var change = new PaymentChange(Version + 1, action, Status, next, now.ToUniversalTime(), amount, transfer);
        (Version, Status) = (change.Version, next);
        return change;
    }
}
