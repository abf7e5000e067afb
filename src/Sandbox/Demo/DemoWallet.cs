using System.Globalization;
using CancelService.Application.Accounts;
using CancelService.Application.Clients;
using CancelService.Application.Intake;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using MediatR;

namespace CancelService.Sandbox.Demo;

/// <summary>
/// Fills an empty database with a client and a payment in every state, through the use cases of the internal API, so
/// that a newcomer's first cancel works at once.
/// </summary>
public sealed partial class DemoWallet(
    IMediator mediator,
    IPayments payments,
    IClientQueries queries,
    DemoKeys keys,
    TimeProvider time,
    ILogger<DemoWallet> log
)
{
    /// <summary>The demo's client.</summary>
    public const string Client = "DEMO_CLIENT";

    private const string Actor = "demo";

    /// <summary>The prefix of the first payments' ids.</summary>
    public const string FirstPrefix = "demo-";

    /// <summary>The payments: the id without its prefix, the code that a cancel is answered, and the reason.</summary>
    public static IReadOnlyList<(string Name, string Code, string Why)> Payments { get; } =
    [
        ("processing", "SUCCESS", "no result yet: closed, it can never take money"),
        ("authorized", "SUCCESS", "nothing captured: the hold is released"),
        ("success", "SUCCESS", "paid: the merchant's account is debited, the payer refunded"),
        ("failed", "SUCCESS", "closed for good; no money moves"),
        ("captured", "PROCESS_FAIL", "captured in part"),
        ("refunded", "PROCESS_FAIL", "refunded in part"),
        ("late", "CANCEL_WINDOW_EXCEED", "initiated three days ago"),
        ("poor", "MERCHANT_BALANCE_NOT_ENOUGH", "the account has less than the payment"),
        ("no-such-payment", "ORDER_NOT_EXIST", "the wallet knows no such payment"),
    ];

    /// <summary>Fills the database if it has no client yet, and logs what there is to try.</summary>
    public async Task Fill(CancellationToken cancellationToken)
    {
        if ((await queries.Clients(after: null, limit: 1, cancellationToken)).Items.Count == 0)
            await FillEmpty(cancellationToken);

        var found = await payments.Find(
            new ClientId(Client),
            new PaymentId("demo-success"),
            Telling.Cancellation,
            cancellationToken
        );
        if (found is null)
            return;
        var closesAt = CancelWindow.Usual.ClosesAt(found.Payment.InitiatedAt);
        if (closesAt > time.GetUtcNow())
            Ready(closesAt, keys.Directory);
        else
            WindowClosed(closesAt, Path.GetDirectoryName(keys.Directory)!);
    }

    /// <summary>Adds payments that nobody has cancelled yet, initiated now; returns the prefix of their ids.</summary>
    public async Task<string> AddPayments(CancellationToken cancellationToken)
    {
        var prefix = time.GetUtcNow().ToString("'demo-'HHmmssfff'-'", CultureInfo.InvariantCulture);
        // The payout takes everything that the payment brings, so the balance stays too low.
        await AddPayments(prefix, paidOut: 5000, cancellationToken);
        return prefix;
    }

    private async Task FillEmpty(CancellationToken cancellationToken)
    {
        var author = new ChangeAuthor(Actor, "the demo wallet is filled", time.GetUtcNow());
        await mediator.Send(
            new PutClientCommand(Client, "The demo wallet's merchant", true, null, null, null, null, null, author),
            cancellationToken
        );
        await mediator.Send(
            new PutClientKeyCommand(Client, 1, keys.MerchantPublicKeyPem, null, null, author),
            cancellationToken
        );
        await AddPayments(FirstPrefix, paidOut: 4000, cancellationToken);
    }

    private async Task AddPayments(string prefix, long paidOut, CancellationToken cancellationToken)
    {
        await Add("processing", PaymentKind.Payment);
        await Add("authorized", PaymentKind.Authorization);
        await Happens("authorized", PaymentAction.Authorize);
        await Add("success", PaymentKind.Payment);
        await Happens("success", PaymentAction.Succeed);
        await Add("captured", PaymentKind.Authorization);
        await Happens("captured", PaymentAction.Authorize);
        await Happens("captured", PaymentAction.Capture, 400);
        await Add("refunded", PaymentKind.Payment);
        await Happens("refunded", PaymentAction.Succeed);
        await Happens("refunded", PaymentAction.Refund, 250);
        await Add("failed", PaymentKind.Payment);
        await Happens("failed", PaymentAction.Fail);
        await Add("late", PaymentKind.Payment, initiated: TimeSpan.FromDays(-3));
        await Happens("late", PaymentAction.Succeed);
        // The only payment in its currency. Most of its money has been paid out, so a cancel finds the balance too low.
        await Add("poor", PaymentKind.Payment, 5000, "EUR");
        await Happens("poor", PaymentAction.Succeed);
        await mediator.Send(
            new PostTransferCommand(Client, "EUR", TransferKind.Payout, $"{prefix}payout", paidOut, Actor),
            cancellationToken
        );

        Task Add(
            string name,
            PaymentKind kind,
            long minorUnits = 1000,
            string currency = "USD",
            TimeSpan initiated = default
        ) =>
            Send(
                new RegisterPaymentCommand(
                    Client,
                    prefix + name,
                    $"req-{prefix}{name}",
                    kind,
                    minorUnits,
                    currency,
                    time.GetUtcNow() + initiated,
                    "demo-payer",
                    Actor
                )
            );

        Task Happens(string name, PaymentAction action, long? minorUnits = null)
        {
            var id = prefix + name;
            return Send(new ReportPaymentCommand(Client, id, action, $"{id}-{action}", minorUnits, "USD", Actor));
        }

        Task Send<TResult>(IRequest<TResult> command) => mediator.Send(command, cancellationToken);
    }

    [LoggerMessage(
        LogLevel.Information,
        "The demo wallet is ready, keys in {Directory}. Try: docs/examples/cancel.sh demo-success. "
            + "Its payments can be cancelled until {ClosesAt:O}; docs/api.md walks through them"
    )]
    private partial void Ready(DateTimeOffset closesAt, string directory);

    [LoggerMessage(
        LogLevel.Warning,
        "The cancel window of the demo payments closed at {ClosesAt:O}. Make new payments on the sandbox's page. "
            + "To start afresh, stop the sandbox, drop its database (with SQLite: delete {Directory}), and start it"
    )]
    private partial void WindowClosed(DateTimeOffset closesAt, string directory);
}
