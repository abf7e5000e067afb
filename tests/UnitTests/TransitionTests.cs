using System.Text.RegularExpressions;
using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: a new status fails a test until somebody has decided about it in the audit's table of transitions and in the check
/// constraints of the payments.
/// </summary>
public sealed partial class TransitionTests
{
    private const long Ample = 1000;

    private static readonly Currency Usd = new("USD");
    private static readonly Money Full = new(2, Usd);
    private static readonly Money Part = new(1, Usd);
    private static readonly DateTimeOffset Noon = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);

    private static readonly Lazy<HashSet<PaymentChange>> Reachable = new(Explore);

    [Fact]
    public void Audit_allows_exactly_the_transitions_of_the_domain()
    {
        var transitions = Reachable.Value.Select(Transition).ToHashSet(StringComparer.Ordinal);

        AuditedTransitions().ShouldBe(transitions, ignoreOrder: true);
    }

    [Fact]
    public void Audit_allows_a_transition_to_every_status()
    {
        var statuses = AuditedTransitions().Select(transition => transition.Split(' ')[^1]);

        statuses.Distinct(StringComparer.Ordinal).ShouldBe(StoredStatuses(), ignoreOrder: true);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void History_admits_a_cancellation_from_exactly_the_statuses_that_the_domain_cancels(
        DatabaseProvider provider
    )
    {
        var cancelled = Reachable
            .Value.Where(change => change.Action is PaymentAction.Cancel)
            .Select(change => CancelDbContext.Stored(change.From!.Value))
            .Distinct(StringComparer.Ordinal);

        var list = FromStatuses().Match(Constraint<HistoryRow>(provider, "ck_payment_history_cancellation"));

        Texts(list.Groups["list"].Value).ShouldBe(cancelled, ignoreOrder: true);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public void Payments_admit_every_status(DatabaseProvider provider) =>
        Texts(Constraint<PaymentRow>(provider, "ck_payments_status")).ShouldBe(StoredStatuses(), ignoreOrder: true);

    public static TheoryData<DatabaseProvider> Providers => [.. Enum.GetValues<DatabaseProvider>()];

    // Follows every transition of the aggregate from both kinds of payments, with partial and full amounts.
    private static HashSet<PaymentChange> Explore()
    {
        var changes = new HashSet<PaymentChange>();
        var seen = new HashSet<(PaymentKind, PaymentStatus, long, long, CancelEffect?)>();
        var open = new Queue<Payment>();
        foreach (var kind in Enum.GetValues<PaymentKind>())
        {
            var (payment, change) = Payment.Register(new("C"), new("p"), new("r"), kind, Full, Noon, Noon);
            changes.Add(change);
            open.Enqueue(payment);
        }
        while (open.TryDequeue(out var from))
        {
            if (!seen.Add((from.Kind, from.Status, from.Captured, from.Refunded, from.Cancellation?.Effect)))
                continue;
            foreach (var action in Enum.GetValues<PaymentAction>())
            foreach (var amount in new[] { Part, Full })
            {
                var payment = Copy(from);
                if (Try(payment, action, amount) is not { } change)
                    continue;
                changes.Add(change);
                open.Enqueue(payment);
            }
        }
        return changes;
    }

    private static PaymentChange? Try(Payment payment, PaymentAction action, Money amount) =>
        action switch
        {
            PaymentAction.Register => null,
            PaymentAction.Authorize => Change(payment.Authorize(Noon)),
            PaymentAction.Succeed => Change(payment.Succeed(Ample, Noon)),
            PaymentAction.Capture => Change(payment.Capture(amount, Ample, Noon)),
            PaymentAction.Refund => Change(payment.Refund(amount, Ample, Noon)),
            PaymentAction.Fail => Change(payment.Fail(Noon)),
            PaymentAction.Cancel => (payment.Cancel(Given.OneDay, Ample, Noon) as CancelDecision.Cancelled)?.Change,
        };

    private static PaymentChange? Change(ReportDecision decision) =>
        decision switch
        {
            ReportDecision.Applied applied => applied.Change,
            ReportDecision.Late late => late.Change,
            _ => null,
        };

    private static Payment Copy(Payment payment) =>
        Payment.Restore(
            payment.ClientId,
            payment.Id,
            payment.RequestId,
            payment.Kind,
            payment.Amount,
            payment.InitiatedAt,
            payment.Payer,
            payment.Status,
            payment.Captured,
            payment.Refunded,
            payment.Version,
            payment.Fence,
            payment.Cancellation
        );

    // The form of the audit: "SUCCESS CANCEL CANCELLED", with "late" for a refused report.
    private static string Transition(PaymentChange change) =>
        (change.From is { } from ? CancelDbContext.Stored(from) : "nothing")
        + $" {CancelDbContext.Stored(change.Action)}{(change.Remedy is null ? "" : " late")}"
        + $" {CancelDbContext.Stored(change.To)}";

    private static List<string> AuditedTransitions()
    {
        var sql = AuditChecks.All.Single(check => check.Name == "history follows the state table").Sql;
        return Texts(sql[sql.IndexOf("NOT IN", StringComparison.Ordinal)..]);
    }

    private static IEnumerable<string> StoredStatuses() =>
        Enum.GetValues<PaymentStatus>().Select(CancelDbContext.Stored);

    private static string Constraint<TRow>(DatabaseProvider provider, string name)
    {
        using CancelDbContext db = provider switch
        {
            DatabaseProvider.Postgres => (
                (IDesignTimeDbContextFactory<PostgresDbContext>)new DesignTime()
            ).CreateDbContext([]),
            DatabaseProvider.Sqlite => (
                (IDesignTimeDbContextFactory<SqliteDbContext>)new DesignTime()
            ).CreateDbContext([]),
        };
        var model = db.GetService<IDesignTimeModel>().Model;
        return model.FindEntityType(typeof(TRow))!.GetCheckConstraints().Single(check => check.Name == name).Sql;
    }

    private static List<string> Texts(string sql) => [.. Text().Matches(sql).Select(text => text.Groups["text"].Value)];

    [GeneratedRegex("'(?<text>[^']*)'", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Text();

    [GeneratedRegex(@"from_status IN \((?<list>[^)]*)\)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FromStatuses();
}
