using System.Diagnostics;
using System.Globalization;
using CancelService.Application.Accounts;
using CancelService.Application.Intake;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using CancelService.OperatorConsole.Pages;
using MediatR;

namespace CancelService.Sandbox.Pages;

/// <summary>
/// What the wallet's core does with a payment, on demand: so that a developer sees a success that comes after the cancel, a payment
/// that arrives after it, and the like, in the order that they want.
/// </summary>
internal static class CorePages
{
    private const string Currency = "USD";
    private const string Actor = "sandbox";
    private const string Fill = "fill";
    private const string Empty = "empty";
    private const int MaxTransfers = 2000;

    private static readonly (string Name, string Text)[] Steps =
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

    /// <summary>Maps the page.</summary>
    public static void MapCore(this RouteGroupBuilder pages)
    {
        pages.MapGet("/core", () => Page("my-payment", "", ""));
        pages.MapPost("/core", Do).DisableAntiforgery();
    }

    private static async Task<IResult> Do(
        HttpContext http,
        IMediator mediator,
        IAccountQueries accounts,
        TimeProvider time
    )
    {
        var form = await PageLayout.Form(http);
        var (id, step) = (SandboxPages.Field(form, "id"), SandboxPages.Field(form, "step"));
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
        // Each a report of its own: the same one twice is a repeat, and changes nothing.
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

    // One transfer holds at most a thousandth of what an account may hold; some may lose against others.
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
                $"The wallet refuses the payment: a cancel of its paymentRequestId came first, at {at:u}. No money will ever move."
            ),
            RegisterPaymentResult.Unknown => "It is not known whether that took effect. Do it again.",
            _ => throw new UnreachableException($"{result} has no text."),
        };

    private static string TextOf(ReportPaymentResult result) =>
        result switch
        {
            ReportPaymentResult.Applied(var payment) => $"The payment is {payment.Status} now.",
            ReportPaymentResult.Late(_, var remedy) =>
                $"The payment was cancelled before. The report is on record as late, and the core has to {Todo(remedy)}.",
            ReportPaymentResult.Refused(var payment, var reason) =>
                $"Refused: the payment is {payment.Status}, and {Why(reason)}.",
            ReportPaymentResult.Malformed(var problem) => problem,
            ReportPaymentResult.PaymentNotFound => "There is no such payment.",
            ReportPaymentResult.EventDiffers => "That was reported already, with other content.",
            ReportPaymentResult.Unknown => "It is not known whether that took effect. Do it again.",
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
        SandboxPages.Page(
            "The core",
            Html.Of(
                $"""
                <h2>What the wallet's core does</h2><p role="status">{said}</p>
                <form method="post" action="/sandbox/core">
                <label for="payment">The payment's id; its paymentRequestId is req- and that</label>
                <input id="payment" name="id" value="{id}" required maxlength="64">
                <label for="step">The core ...</label>
                <select id="step" name="step">{Html.Join(
                    Steps.Select(s =>
                        Html.Of(
                            $"<option value=\"{s.Name}\"{(s.Name == step ? Html.Of($" selected") : default)}>{s.Text}</option>"
                        )
                    )
                )}</select>
                <button>Do it</button>
                </form>
                <p><a href="/sandbox?id={Uri.EscapeDataString(id)}">Cancel {id}</a> or <a href="/sandbox?id={Uri.EscapeDataString(
                    $"req-{id}"
                )}">by its paymentRequestId</a></p>
                <h2>Try</h2>
                <ul>
                <li>A late success: make a payment known, cancel it, and report that its money was taken.</li>
                <li>A payment that arrives after its cancel: cancel by a paymentRequestId that nobody knows, then make the payment known.</li>
                <li>A hold that comes too late: make an authorisation known, cancel it, and put the money on hold.</li>
                <li>A balance that is full, or too low: have all paid in, and report that money was taken; or have all paid out, and cancel a payment whose money was taken.</li>
                <li>A refund, then a cancel: report that the money was taken, refund, and cancel.</li>
                </ul>
                """
            )
        );
}
