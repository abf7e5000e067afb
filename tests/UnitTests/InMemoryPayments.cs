using System.Reflection;
using CancelService.Application.Payments;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;

namespace CancelService.UnitTests;

/// <summary>
/// Payments that keep the promises of their port: what is found is a copy, and a write is committed when it
/// follows the version that is stored and the balance pays for it, or else leaves everything as it is.
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

    public Action? BeforeFind { get; set; }

    public Action? BeforeFindEvent { get; set; }

    public Func<Task>? BeforeCommit { get; set; }

    /// <summary>Runs before a refusal that waits for earlier writes.</summary>
    public Action? BeforeRefusal { get; set; }

    public Action? BeforeRemember { get; set; }

    /// <summary>The paymentRequestIds whose cancel is remembered.</summary>
    public IReadOnlyCollection<PaymentRequestId> Remembered => _refused.Keys;

    public void Add(Payment payment, byte[]? answer = null) => _stored.Add((payment, answer));

    public void Forget() => _refused.Clear();

    public PaymentStatus Status(string id) => _stored[IndexOf(new PaymentId(id))].Payment.Status;

    public void Change(string id, Func<Payment, TransitionDecision> change) =>
        change(_stored[IndexOf(new PaymentId(id))].Payment).ShouldBeOfType<TransitionDecision.Applied>();

    public Task<FoundPayment?> Find(ClientId clientId, PaymentId id, CancellationToken cancellationToken) =>
        Find(payment => payment.ClientId == clientId && payment.Id == id);

    public Task<FoundPayment?> Find(
        ClientId clientId,
        PaymentRequestId requestId,
        CancellationToken cancellationToken
    ) => Find(payment => payment.ClientId == clientId && payment.RequestId == requestId);

    public Task<RecordedEvent?> FindEvent(
        ClientId clientId,
        PaymentId id,
        string eventId,
        CancellationToken cancellationToken
    )
    {
        BeforeFindEvent?.Invoke();
        return Task.FromResult(
            Writes
                .Where(write => write.Payment.Id == id && write.EventId == eventId)
                .Select(write => new RecordedEvent(
                    write.Change.Action,
                    write.Change.Amount?.MinorUnits,
                    write.Change.Remedy
                ))
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
            payment is not null ? new EarlierRegistration(payment, null)
            : _refused.TryGetValue(requestId, out var refusedAt) ? new EarlierRegistration(null, refusedAt)
            : null
        );
    }

    public Task<bool> RememberUnknown(
        ClientId clientId,
        PaymentRequestId requestId,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        BeforeRemember?.Invoke();
        if (_stored.Exists(entry => entry.Payment.RequestId == requestId))
            return Task.FromResult(false);
        _refused[requestId] = now;
        return Task.FromResult(true);
    }

    public Task<bool> AwaitEarlierWrites(Payment payment, CancellationToken cancellationToken)
    {
        BeforeRefusal?.Invoke();
        return Task.FromResult(_stored[IndexOf(payment.Id)].Payment.Version == payment.Version);
    }

    public async Task<bool> Commit(PaymentWrite write, CancellationToken cancellationToken)
    {
        if (BeforeCommit is not null)
            await BeforeCommit();

        if (write.Change.Version == 1)
            return Register(write);

        var index = IndexOf(write.Payment.Id);
        var moved = write
            .Change.Entries.Where(entry => entry.Account is LedgerAccount.Merchant)
            .Sum(entry => entry.MinorUnits);
        if (_stored[index].Payment.Version != write.Change.Version - 1 || Balance + moved < 0)
            return false;
        _stored[index] = (write.Payment, write.Answer ?? _stored[index].Answer);
        Balance += moved;
        Writes.Add(write);
        return true;
    }

    private Task<FoundPayment?> Find(Predicate<Payment> which)
    {
        BeforeFind?.Invoke();
        Reads++;
        var index = _stored.FindIndex(entry => which(entry.Payment));
        return Task.FromResult(
            index < 0
                ? null
                : new FoundPayment((Payment)Clone.Invoke(_stored[index].Payment, null)!, Balance, _stored[index].Answer)
        );
    }

    private bool Register(PaymentWrite write)
    {
        var (id, requestId) = (write.Payment.Id, write.Payment.RequestId);
        if (
            _stored.Exists(entry => entry.Payment.Id == id || entry.Payment.RequestId == requestId)
            || (_refused.ContainsKey(requestId) && !write.DespiteRefusal)
        )
            return false;
        _stored.Add((write.Payment, null));
        Writes.Add(write);
        return true;
    }

    private int IndexOf(PaymentId id) => _stored.FindIndex(entry => entry.Payment.Id == id);
}
