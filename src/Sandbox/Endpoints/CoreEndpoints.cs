using System.Diagnostics;
using System.Globalization;
using CancelService.Application.Accounts;
using CancelService.Application.Intake;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CancelService.Pages;
using CancelService.Sandbox.Pages;
using MediatR;

namespace CancelService.Sandbox.Endpoints;

/// <summary>
/// Has the wallet's core report on a payment, in any order: a success or the payment itself after the cancel.
/// </summary>
internal static class CoreEndpoints
{
    private const string Currency = "USD";
    private const string Actor = "sandbox";
    private const string Fill = "fill";
    private const string Empty = "empty";
    private const int MaxTransfers = 2000;

    /// <summary>The steps of the form.</summary>
    public static readonly IReadOnlyList<(string Name, string Text)> Steps =
    [
        ("payment", "makes a payment of 10.00 USD known"),
        ("authorization", "makes an authorisation of 10.00 USD known"),
        (nameof(PaymentAction.Authorize), "has put the money on hold"),
        (nameof(PaymentAction.Succeed), "has taken the money of a payment"),
        (nameof(PaymentAction.Capture), "has captured 10.00 USD of an authorisation"),
        (nameof(PaymentAction.Refund), "has refunded 2.50 USD"),
        (nameof(PaymentAction.Fail), "has failed to take the money"),
        (Fill, "has paid in as many USD as the account may hold, which takes some seconds"),
        (Empty, "has paid all USD out, which takes some seconds after that"),
    ];

    /// <summary>Maps the page and its form.</summary>
    public static void MapCore(this RouteGroupBuilder pages)
    {
        pages.MapGet("/core", () => Page("my-payment", "", ""));
        pages.MapPost("/core", Do);
    }

    private static async Task<IResult> Do(
        HttpContext http,
        IMediator mediator,
        IAccountQueries accounts,
        TimeProvider time
    )
    {
        var (id, step) = (http.Field("id"), http.Field("step"));
        if (step is "payment" or "authorization")
        {
            var kind = step == "payment" ? PaymentKind.Payment : PaymentKind.Authorization;
            return Page(
                id,
                step,
                TextOf(
                    await mediator.Send(
                        new RegisterPaymentCommand(
                            DemoMerchant.ClientId,
                            id,
                            $"req-{id}",
                            kind,
                            1000,
                            Currency,
                            time.GetUtcNow(),
                            "demo-payer",
                            Actor
                        ),
                        http.RequestAborted
                    )
                )
            );
        }
        if (step is Fill or Empty)
        {
            var kind = step == Fill ? TransferKind.Deposit : TransferKind.Payout;
            return Page(id, step, await Transfer(kind, mediator, accounts, http.RequestAborted));
        }
        if (!Enum.TryParse<PaymentAction>(step, out var action))
            return Page(id, step, "There is no such step.");
        var minorUnits = action is PaymentAction.Refund ? 250 : 1000;
        // A new event id for each report: the same one again would be a repeat, and change nothing.
        var eventId = Guid.NewGuid().ToString();
        return Page(
            id,
            step,
            TextOf(
                await mediator.Send(
                    new ReportPaymentCommand(DemoMerchant.ClientId, id, action, eventId, minorUnits, Currency, Actor),
                    http.RequestAborted
                )
            )
        );
    }

    // One transfer holds at most a thousandth of a full account; some may lose a race.
    private static async Task<string> Transfer(
        TransferKind kind,
        IMediator mediator,
        IAccountQueries accounts,
        CancellationToken cancellationToken
    )
    {
        for (var transfers = 0; transfers < MaxTransfers; transfers++)
        {
            var balance = (await accounts.Accounts(new ClientId(DemoMerchant.ClientId), cancellationToken))
                .Where(account => account.Currency == Currency)
                .Sum(account => account.Balance);
            var left = kind is TransferKind.Deposit ? Money.MaxBalance - balance : balance;
            if (left == 0)
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"The account holds {balance / 100m:N2} {Currency} now."
                );
            var posted = await mediator.Send(
                new PostTransferCommand(
                    DemoMerchant.ClientId,
                    Currency,
                    kind,
                    Guid.NewGuid().ToString(),
                    Math.Min(left, Money.MaxMinorUnits),
                    Actor,
                    "a scenario of the sandbox"
                ),
                cancellationToken
            );
            if (
                posted
                is not (
                    PostTransferResult.Posted
                    or PostTransferResult.BalanceNotEnough
                    or PostTransferResult.BalanceLimit
                )
            )
                break;
        }
        return "The transfers were interrupted. Do it again.";
    }

    private static string TextOf(RegisterPaymentResult result) =>
        result switch
        {
            RegisterPaymentResult.Registered(var payment) => $"The payment is known now, and is {payment.Status}.",
            RegisterPaymentResult.Known(var payment) => $"The payment was known already, and is {payment.Status}.",
            RegisterPaymentResult.Malformed(var problem) => problem,
            RegisterPaymentResult.ClientNotFound => "The demo's client is gone.",
            RegisterPaymentResult.PaymentDiffers or RegisterPaymentResult.MappingConflict =>
                "There is a payment of this id already, and it is another. Take another id.",
            RegisterPaymentResult.CancelledBeforeArrival(var at) => string.Create(
                CultureInfo.InvariantCulture,
                $"Refused, and no money moves: a cancel of its paymentRequestId came first, at {at:u}."
            ),
            RegisterPaymentResult.Unknown => "The outcome is unknown. Do it again.",
            _ => throw new UnreachableException($"{result} has no text."),
        };

    private static string TextOf(ReportPaymentResult result) =>
        result switch
        {
            ReportPaymentResult.Applied(var payment) => $"The payment is {payment.Status} now.",
            ReportPaymentResult.Late(_, var remedy) =>
                "The payment was cancelled before. The report is on record as late, and the core has to "
                    + $"{Todo(remedy)}.",
            ReportPaymentResult.Refused(var payment, var reason) =>
                $"Refused: the payment is {payment.Status}, and {Why(reason)}.",
            ReportPaymentResult.Malformed(var problem) => problem,
            ReportPaymentResult.PaymentNotFound => "There is no such payment.",
            ReportPaymentResult.EventDiffers => "The event was reported already, with other content.",
            ReportPaymentResult.Unknown => "The outcome is unknown. Do it again.",
            _ => throw new UnreachableException($"{result} has no text."),
        };

    private static string Todo(Remedy remedy) =>
        remedy switch
        {
            Remedy.None => "do nothing, because the cancellation has returned the money",
            Remedy.ReleaseHold => "release the hold",
            Remedy.RefundPayer => "refund the payer",
        };

    private static string Why(ReportRefusal refusal) =>
        refusal switch
        {
            ReportRefusal.Impossible => "the report can't be true of it",
            ReportRefusal.BalanceNotEnough => "the merchant's account has less than that",
            ReportRefusal.BalanceLimit => "the merchant's account would hold too much",
        };

    private static IResult Page(string id, string step, string said) =>
        PageResult.Of<CorePage>(
            new
            {
                Id = id,
                Step = step,
                Said = said,
            }
        );
}
