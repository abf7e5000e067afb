using System.Diagnostics;
using CancelService.Domain.Ledger;

namespace CancelService.Domain.Payments;

/// <summary>
/// A payment of one client, from its registration to its end. Every method decides completely before it changes
/// anything, returns refusals as values, and otherwise returns the <see cref="PaymentChange"/> to commit.
/// </summary>
public sealed partial class Payment
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

    /// <summary>The full amount. A cancel is never partial.</summary>
    public Money Amount { get; private init; }

    /// <summary>The time of the initiation (UTC), from which the cancel window counts.</summary>
    public DateTimeOffset InitiatedAt { get; private init; }

    /// <summary>The core's name for the payer; null when the core gave none.</summary>
    public string? Payer { get; private init; }

    /// <summary>The current status.</summary>
    public PaymentStatus Status { get; private set; }

    /// <summary>Minor units captured so far, at most the amount.</summary>
    public long Captured { get; private set; }

    /// <summary>Minor units that the core refunded so far, at most the paid or captured amount.</summary>
    public long Refunded { get; private set; }

    /// <summary>The number of changes so far, the registration included.</summary>
    public int Version { get; private set; }

    /// <summary>
    /// The number of cancels refused for time or balance. A cancel with an older fence can't commit: the merchant has
    /// been told "not cancelled".
    /// </summary>
    public int Fence { get; private init; }

    /// <summary>The cancellation; null exactly while the payment is not cancelled.</summary>
    public Cancellation? Cancellation { get; private set; }

    /// <summary>Registers a payment without a result: its status is PROCESSING.</summary>
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

    /// <summary>Restores a payment from storage.</summary>
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
    /// Tells whether two registrations have the same content. Times are compared to the microsecond, as they are
    /// stored.
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

    // Only called once the decision is made.
    private CancelDecision.Cancelled Cancelled(DateTimeOffset now, Transfer? transfer)
    {
        Cancellation = new Cancellation(Status, now.ToUniversalTime());
        return new(Cancellation, Change(PaymentAction.Cancel, PaymentStatus.Cancelled, now, Amount, transfer));
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
