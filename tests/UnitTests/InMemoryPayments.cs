using System.Reflection;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Payments;

namespace CancelService.UnitTests;

/// <summary>The arguments of one committed write.</summary>
internal sealed record PaymentWrite(
    Payment Payment,
    PaymentChange Change,
    string Actor,
    string? EventId = null,
    bool DespiteEarlyCancel = false,
    Canceller? Canceller = null,
    byte[]? Answer = null
);

/// <summary>
/// A fake that honours the port's contract: a read returns a copy, and a write commits only when it follows the stored
/// version and the balance covers it; otherwise it changes nothing.
/// </summary>
internal sealed class InMemoryPayments : IPayments
{
    private static readonly MethodInfo Clone = typeof(object).GetMethod(
        "MemberwiseClone",
        BindingFlags.Instance | BindingFlags.NonPublic
    )!;

    private readonly List<(Payment Payment, byte[]? Answer)> _stored = [];
    private readonly Dictionary<PaymentRequestId, DateTimeOffset> _refused = [];

    public long Balance { get; set; }

    public int Reads { get; private set; }

    public List<PaymentWrite> Writes { get; } = [];

    /// <summary>The number of fences that refusals for time or balance have set.</summary>
    public int Fences { get; private set; }

    public Action? BeforeFind { get; set; }

    public Action? BeforeFindReport { get; set; }

    public Func<Task>? BeforeCommit { get; set; }

    /// <summary>Runs before a refusal waits for earlier writes.</summary>
    public Action? BeforeRefusal { get; set; }

    public Action? BeforeRemember { get; set; }

    /// <summary>The paymentRequestIds that were cancelled before their payment arrived.</summary>
    public IReadOnlyCollection<PaymentRequestId> Remembered => _refused.Keys;

    public void Add(Payment payment, byte[]? answer = null) => _stored.Add((payment, answer));

    public void Forget() => _refused.Clear();

    public PaymentStatus Status(string id) => _stored[IndexOf(new PaymentId(id))].Payment.Status;

    public void Change(string id, Func<Payment, ReportDecision> change) =>
        change(_stored[IndexOf(new PaymentId(id))].Payment).ShouldBeOfType<ReportDecision.Applied>();

    /// <summary>The facts that the last caller of Find said it would tell.</summary>
    public Telling? LastTelling { get; private set; }

    public Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentId id,
        Telling telling,
        CancellationToken cancellationToken
    ) => Find(telling, payment => payment.ClientId == clientId && payment.Id == id);

    public Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        Telling telling,
        CancellationToken cancellationToken
    ) => Find(telling, payment => payment.ClientId == clientId && payment.RequestId == requestId);

    public Task<RecordedReport?> FindReport(
        ClientId clientId,
        PaymentId id,
        string eventId,
        CancellationToken cancellationToken
    )
    {
        BeforeFindReport?.Invoke();
        return Task.FromResult(
            Writes
                .Where(write => write.Payment.Id == id && write.EventId == eventId)
                .Select(write => new RecordedReport(write.Change.Action, write.Change.Amount, write.Change.Remedy))
                .SingleOrDefault()
        );
    }

    public Task<EarlierRegistration?> FindRegistration(
        ClientId clientId,
        PaymentId id,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        BeforeFind?.Invoke();
        var payment = _stored
            .Select(entry => entry.Payment)
            .Where(p => p.ClientId == clientId && (p.Id == id || p.RequestId == requestId))
            .OrderBy(p => p.Id == id ? 0 : 1)
            .FirstOrDefault();
        return Task.FromResult(
            payment is not null ? new EarlierRegistration.Known(payment)
            : _refused.TryGetValue(requestId, out var refusedAt)
                ? (EarlierRegistration)new EarlierRegistration.EarlyCancel(refusedAt)
            : null
        );
    }

    public Task<WriteResult> RememberEarlyCancel(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        BeforeRemember?.Invoke();
        if (_stored.Exists(entry => entry.Payment.RequestId == requestId))
            return Task.FromResult(WriteResult.NothingToChange);
        _refused[requestId] = now;
        return Task.FromResult(WriteResult.Written);
    }

    public Task<WriteResult> Fence(Payment payment, CancellationToken cancellationToken)
    {
        BeforeRefusal?.Invoke();
        var stored = _stored[IndexOf(payment.Id)].Payment;
        if (stored.Version != payment.Version)
            return Task.FromResult(WriteResult.NothingToChange);
        typeof(Payment).GetProperty(nameof(Payment.Fence))!.SetValue(stored, stored.Fence + 1);
        Fences++;
        return Task.FromResult(WriteResult.Written);
    }

    public async Task<WriteResult> Register(
        Payment payment,
        PaymentChange change,
        string actor,
        bool despiteEarlyCancel,
        CancellationToken cancellationToken
    )
    {
        if (BeforeCommit is not null)
            await BeforeCommit();
        if (
            _stored.Exists(entry => entry.Payment.Id == payment.Id || entry.Payment.RequestId == payment.RequestId)
            || (_refused.ContainsKey(payment.RequestId) && !despiteEarlyCancel)
        )
            return WriteResult.LostRace;
        _stored.Add((payment, null));
        Writes.Add(new(payment, change, actor, DespiteEarlyCancel: despiteEarlyCancel));
        return WriteResult.Written;
    }

    public Task<WriteResult> Report(
        Payment payment,
        PaymentChange change,
        string actor,
        string eventId,
        CancellationToken cancellationToken
    ) => Commit(new(payment, change, actor, eventId));

    public Task<WriteResult> Cancel(
        Payment payment,
        PaymentChange change,
        Canceller canceller,
        byte[] answer,
        CancellationToken cancellationToken
    ) => Commit(new(payment, change, Canceller.Actor, Canceller: canceller, Answer: answer));

    private async Task<WriteResult> Commit(PaymentWrite write)
    {
        if (BeforeCommit is not null)
            await BeforeCommit();

        var index = IndexOf(write.Payment.Id);
        var stored = _stored[index].Payment;
        var balance = Balance + (write.Change.Transfer?.Change ?? 0);
        if (
            stored.Version != write.Change.Version - 1
            || (write.Answer is not null && stored.Fence != write.Payment.Fence)
            || balance is < 0 or > Money.MaxBalance
        )
            return WriteResult.LostRace;
        _stored[index] = (write.Payment, write.Answer ?? _stored[index].Answer);
        Balance = balance;
        Writes.Add(write);
        return WriteResult.Written;
    }

    private Task<FoundPayment?> Find(Telling telling, Predicate<Payment> which)
    {
        LastTelling = telling;
        BeforeFind?.Invoke();
        Reads++;
        var index = _stored.FindIndex(entry => which(entry.Payment));
        return Task.FromResult(
            index < 0
                ? null
                : new FoundPayment((Payment)Clone.Invoke(_stored[index].Payment, null)!, Balance, _stored[index].Answer)
        );
    }

    private int IndexOf(PaymentId id) => _stored.FindIndex(entry => entry.Payment.Id == id);
}
