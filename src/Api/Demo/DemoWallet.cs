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

namespace CancelService.Api.Demo;

/// <summary>
/// Fills an empty database with a client and a payment in every state, through the same use cases as the internal API,
/// so that a newcomer's first cancel works at once. Only in Development.
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
    private const string Client = "DEMO_CLIENT";
    private const string Actor = "demo";

    /// <summary>Fills the database if it has no client yet, and logs what there is to try.</summary>
    public async Task Fill(CancellationToken cancellationToken)
    {
        if ((await queries.Clients(after: null, limit: 1, cancellationToken)).Items.Count == 0)
            await FillEmpty(cancellationToken);

        var found = await payments.Find(new ClientId(Client), new PaymentId("demo-success"), cancellationToken);
        if (found is null)
            return;
        var closesAt = CancelWindow.Usual.ClosesAt(found.Payment.InitiatedAt);
        if (closesAt > time.GetUtcNow())
            Ready(closesAt, keys.Directory);
        else
            WindowClosed(closesAt, Path.GetDirectoryName(keys.Directory)!);
    }

    private async Task FillEmpty(CancellationToken cancellationToken)
    {
        var author = new ChangeAuthor(Actor, "the demo wallet is filled", time.GetUtcNow());
        await Send(
            new PutClientCommand(Client, "The demo wallet's merchant", true, null, null, null, null, null, author)
        );
        await Send(new PutClientKeyCommand(Client, 1, keys.MerchantPublicKeyPem, null, null, author));

        await Add("demo-processing", PaymentKind.Payment);
        await Add("demo-authorized", PaymentKind.Authorization);
        await Happens("demo-authorized", PaymentAction.Authorize);
        await Add("demo-success", PaymentKind.Payment);
        await Happens("demo-success", PaymentAction.Succeed);
        await Add("demo-captured", PaymentKind.Authorization);
        await Happens("demo-captured", PaymentAction.Authorize);
        await Happens("demo-captured", PaymentAction.Capture, 400);
        await Add("demo-refunded", PaymentKind.Payment);
        await Happens("demo-refunded", PaymentAction.Succeed);
        await Happens("demo-refunded", PaymentAction.Refund, 250);
        await Add("demo-failed", PaymentKind.Payment);
        await Happens("demo-failed", PaymentAction.Fail);
        await Add("demo-late", PaymentKind.Payment, initiated: TimeSpan.FromDays(-3));
        await Happens("demo-late", PaymentAction.Succeed);
        // The only payment in its currency. Most of its money has been paid out, so a cancel finds the balance too low.
        await Add("demo-poor", PaymentKind.Payment, 5000, "EUR");
        await Happens("demo-poor", PaymentAction.Succeed);
        await Send(new PostTransferCommand(Client, "EUR", TransferKind.Payout, "demo-payout", 4000, Actor));

        Task Add(
            string id,
            PaymentKind kind,
            long minorUnits = 1000,
            string currency = "USD",
            TimeSpan initiated = default
        ) =>
            Send(
                new RegisterPaymentCommand(
                    Client,
                    id,
                    $"req-{id}",
                    kind,
                    minorUnits,
                    currency,
                    time.GetUtcNow() + initiated,
                    "demo-payer",
                    Actor
                )
            );

        Task Happens(string id, PaymentAction action, long? minorUnits = null) =>
            Send(new ReportPaymentCommand(Client, id, action, $"{id}-{action}", minorUnits, "USD", Actor));

        Task Send<TResult>(IRequest<TResult> command) => mediator.Send(command, cancellationToken);
    }

    [LoggerMessage(
        LogLevel.Information,
        "The demo wallet is ready, keys in {Directory}. Try: docs/examples/cancel.sh demo-success. Its payments can be cancelled until {ClosesAt:O}; docs/api.md walks through them"
    )]
    private partial void Ready(DateTimeOffset closesAt, string directory);

    [LoggerMessage(
        LogLevel.Warning,
        "The cancel window of the demo payments closed at {ClosesAt:O}. To start afresh, stop the service, empty the database (with SQLite: delete {Directory}), and start again"
    )]
    private partial void WindowClosed(DateTimeOffset closesAt, string directory);
}
