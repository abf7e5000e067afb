using CancelService.Application;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Persistence;
using MediatR;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Api.Demo;

/// <summary>
/// Fills an empty database with a client and a payment in every state, so that a newcomer's first cancel works at once.
/// Only in Development.
/// </summary>
public sealed partial class DemoWallet(
    Database database,
    DemoKeys keys,
    IPayments payments,
    IMediator mediator,
    TimeProvider time,
    ILogger<DemoWallet> log
)
{
    private static readonly ClientId Client = new("DEMO_CLIENT");

    /// <summary>Fills the database if it has no client yet, and logs what there is to try.</summary>
    public async Task Fill(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (await AddClient(cancellationToken))
        {
            var usd = new Money(1000, new Currency("USD"));
            var eur = new Money(5000, new Currency("EUR"));
            await Add("demo-processing", PaymentKind.Payment, usd, now);
            await Add("demo-authorized", PaymentKind.Authorization, usd, now, p => p.Authorize(now));
            await Add("demo-success", PaymentKind.Payment, usd, now, p => p.Succeed(now));
            await Add(
                "demo-captured",
                PaymentKind.Authorization,
                usd,
                now,
                p => p.Authorize(now),
                p => p.Capture(new Money(400, usd.Currency), now)
            );
            await Add(
                "demo-refunded",
                PaymentKind.Payment,
                usd,
                now,
                p => p.Succeed(now),
                p => p.Refund(new Money(250, usd.Currency), usd.MinorUnits, now)
            );
            await Add("demo-failed", PaymentKind.Payment, usd, now, p => p.Fail(now));
            await Add("demo-late", PaymentKind.Payment, usd, now.AddDays(-3), p => p.Succeed(now));
            // The only payment in its currency; most of what it brought has been paid out since.
            await Add("demo-poor", PaymentKind.Payment, eur, now, p => p.Succeed(now));
            await mediator.Send(
                new PostTransferCommand(Client.Value, "EUR", TransferKind.Payout, "demo-payout", 4000, "demo"),
                cancellationToken
            );
        }

        var found = await payments.Find(Client, new PaymentId("demo-success"), cancellationToken);
        if (found is not null)
        {
            var closesAt = CancelWindow.Usual.ClosesAt(found.Payment.InitiatedAt);
            if (closesAt > now)
                Ready(closesAt, keys.Directory);
            else
                WindowClosed(closesAt, Path.GetDirectoryName(keys.Directory)!);
        }

        async Task Add(
            string id,
            PaymentKind kind,
            Money amount,
            DateTimeOffset initiatedAt,
            params Func<Payment, TransitionDecision>[] events
        )
        {
            var (payment, change) = Payment.Register(
                Client,
                new PaymentId(id),
                new PaymentRequestId($"req-{id}"),
                kind,
                amount,
                initiatedAt,
                now
            );
            await payments.Commit(new PaymentWrite(payment, change, "demo"), cancellationToken);
            foreach (var happens in events)
            {
                var applied = (TransitionDecision.Applied)happens(payment);
                await payments.Commit(new PaymentWrite(payment, applied.Change, "demo"), cancellationToken);
            }
        }
    }

    private async Task<bool> AddClient(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        var publicKey = PublicKey.Parse(keys.MerchantPublicKeyPem);
        var known = await db.Clients.Include(c => c.Keys).FirstOrDefaultAsync(c => c.Id == Client, cancellationToken);
        if (known is not null || await db.Clients.AnyAsync(cancellationToken))
            return false;

        db.Clients.Add(
            new Client
            {
                Id = Client,
                Name = "The demo wallet's merchant",
                Enabled = true,
                Contract = new Contract(),
                Keys = [new ClientKey { Version = 1, PublicKey = publicKey }],
            }
        );
        await db.SaveChangesAsync(cancellationToken);
        return true;
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
