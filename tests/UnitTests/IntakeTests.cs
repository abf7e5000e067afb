using CancelService.Application;
using CancelService.Application.Accounts;
using CancelService.Application.Cancelling;
using CancelService.Application.Clients;
using CancelService.Application.Intake;
using CancelService.Application.Payments;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Ledger;
using CancelService.Domain.Payments;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.UnitTests;

/// <summary>Goal: the use cases of the core and operators are idempotent and decide again after a lost race.</summary>
public sealed class IntakeTests
{
    private const string ClientName = "MERCHANT_1";
    private const int Attempts = Races.MaxAttempts;

    private readonly InMemoryPayments _payments = new() { Balance = Given.FullAmount };
    private readonly InMemoryAccounts _accounts = new();
    private readonly InMemoryClients _clients = new();
    private readonly FakeTimeProvider _time = new(Given.Noon);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private RegisterPaymentCommand Registration =>
        new(
            ClientName,
            "pay-1",
            "req-pay-1",
            PaymentKind.Payment,
            Given.FullAmount,
            "USD",
            _time.GetUtcNow(),
            null,
            "core"
        );

    [Fact]
    public async Task A_repeated_registration_is_answered_as_known()
    {
        var registered = (await Send(Registration)).ShouldBeOfType<RegisterPaymentResult.Registered>();
        registered.Payment.Status.ShouldBe(PaymentStatus.Processing);
        var write = _payments.Writes.Single();
        (write.Actor, write.Change.Action, write.DespiteEarlyCancel).ShouldBe(("core", PaymentAction.Register, false));
        var known = (await Send(Registration)).ShouldBeOfType<RegisterPaymentResult.Known>();
        known.Payment.Id.ShouldBe(new PaymentId("pay-1"));
        _payments.Writes.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_conflicting_registration_is_refused_with_the_difference()
    {
        await Send(Registration);
        await Send(Registration with { PaymentId = "pay-2", PaymentRequestId = "req-pay-2" });
        foreach (
            var other in (RegisterPaymentCommand[])
                [
                    Registration with
                    {
                        Kind = PaymentKind.Authorization,
                    },
                    Registration with
                    {
                        MinorUnits = 1,
                    },
                    Registration with
                    {
                        Currency = "EUR",
                    },
                    Registration with
                    {
                        Payer = "payer",
                    },
                    Registration with
                    {
                        InitiatedAt = Given.Noon.AddMicroseconds(1),
                    },
                ]
        )
            (await Send(other)).Outcome().ShouldBe("PaymentDiffers");
        (await Send(Registration with { InitiatedAt = Given.Noon.AddTicks(9) })).Outcome().ShouldBe("Known");
        (await Send(Registration with { PaymentRequestId = "x" })).Outcome().ShouldBe("MappingConflict");
        (await Send(Registration with { PaymentId = "x" })).Outcome().ShouldBe("MappingConflict");
        (await Send(Registration with { PaymentId = "pay-2" })).Outcome().ShouldBe("MappingConflict");
        (await Send(Registration with { ClientId = "NOBODY" })).Outcome().ShouldBe("ClientNotFound");
        _payments.Writes.Count.ShouldBe(2);
    }

    [Fact]
    public async Task A_registration_after_its_cancel_is_refused_with_the_time_of_the_cancel()
    {
        (await Cancel(requestId: "req-pay-1")).Outcome().ShouldBe("NotFound");
        _time.Advance(TimeSpan.FromMinutes(1));
        var result = await Send(Registration);
        result.ShouldBe(new RegisterPaymentResult.CancelledBeforeArrival(Given.Noon));
        _payments.Writes.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_cancel_between_the_read_and_the_registration_wins()
    {
        _payments.BeforeCommit = async () =>
        {
            _payments.BeforeCommit = null;
            (await Cancel(requestId: "req-pay-1")).Outcome().ShouldBe("NotFound");
        };
        (await Send(Registration)).Outcome().ShouldBe("CancelledBeforeArrival");
        _payments.Writes.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_contract_can_disable_cancels_before_arrival()
    {
        (await Cancel(requestId: "req-pay-1")).Outcome().ShouldBe("NotFound");
        _clients.Client = Given.Client(new Contract { RememberUnknown = false });
        (await Send(Registration)).Outcome().ShouldBe("Registered");
        _payments.Writes.Single().DespiteEarlyCancel.ShouldBeTrue();
        (await Cancel(requestId: "req-unknown")).Outcome().ShouldBe("NotFound");
        _payments.Remembered.ShouldBe([new PaymentRequestId("req-pay-1")]);
    }

    [Theory]
    [InlineData("pay-1", null, false)]
    [InlineData("pay-1", "req-pay-1", true)]
    [InlineData(null, "req-pay-1", true)]
    public async Task A_cancel_of_an_unknown_payment_is_remembered_by_its_paymentRequestId(
        string? id,
        string? requestId,
        bool remembered
    )
    {
        (await Cancel(id, requestId)).Outcome().ShouldBe("NotFound");
        _payments.Remembered.Count.ShouldBe(remembered ? 1 : 0);
    }

    [Fact]
    public async Task A_cancel_of_an_unknown_payment_is_not_remembered_when_another_payment_has_its_paymentRequestId()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        (await Cancel("pay-2", "req-pay-1")).Outcome().ShouldBe("NotFound");
        _payments.Remembered.ShouldBeEmpty();
        _payments.Status("pay-1").ShouldBe(PaymentStatus.Processing);
    }

    [Theory]
    [InlineData("pay-1")]
    [InlineData(null)]
    public async Task A_payment_that_arrives_before_its_cancel_is_remembered_is_cancelled(string? id)
    {
        _payments.BeforeRemember = () => _payments.Add(Given.PaymentThatIs("Processing"));
        (await Cancel(id, "req-pay-1")).Outcome().ShouldBe("Cancelled");
        _payments.Status("pay-1").ShouldBe(PaymentStatus.Cancelled);
        _payments.Remembered.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(Attempts - 1, "Registered")]
    [InlineData(Attempts, "Unknown")]
    public async Task A_registration_ends_as_unknown_when_it_loses_every_attempt(int losses, string outcome)
    {
        // Another cancel is remembered before each commit and forgotten before the next read.
        var lost = 0;
        _payments.BeforeFind = () => _payments.Forget();
        _payments.BeforeCommit = async () =>
        {
            if (lost++ < losses)
                await _payments.RememberEarlyCancel(new(ClientName), new("req-pay-1"), Given.Noon, Token);
        };
        (await Send(Registration)).Outcome().ShouldBe(outcome);
        _payments.Writes.Count.ShouldBe(outcome == "Registered" ? 1 : 0);
    }

    // The outcomes by state of authorize, succeed, capture, refund (of one minor unit) and fail, in this order.
    [Theory]
    [InlineData("Processing", "Refused Applied Refused Refused Applied")]
    [InlineData("Authorized", "Refused Refused Applied Refused Applied")]
    [InlineData("Success", "Refused Refused Refused Applied Refused")]
    [InlineData("Captured", "Refused Refused Refused Applied Refused")]
    [InlineData("PartlyCaptured", "Refused Refused Applied Applied Refused")]
    [InlineData("Refunded", "Refused Refused Refused Refused Refused")]
    [InlineData("PartlyRefunded", "Refused Refused Refused Applied Refused")]
    [InlineData("Failed", "Refused Refused Refused Refused Refused")]
    [InlineData("CancelledClosed", "ReleaseHold RefundPayer RefundPayer Refused Applied")]
    [InlineData("CancelledHeld", "ReleaseHold RefundPayer RefundPayer Refused Applied")]
    [InlineData("CancelledRefunded", "ReleaseHold None RefundPayer Refused Refused")]
    public async Task A_report_gets_the_decision_of_the_aggregate_and_the_same_answer_when_repeated(
        string state,
        string expected
    )
    {
        PaymentAction[] actions =
        [
            PaymentAction.Authorize,
            PaymentAction.Succeed,
            PaymentAction.Capture,
            PaymentAction.Refund,
            PaymentAction.Fail,
        ];
        foreach (var (action, cell) in actions.Zip(expected.Split(' ')))
        {
            var id = $"pay-{action}";
            _payments.Add(Given.PaymentThatIs(state, id));
            var writes = _payments.Writes.Count;
            var command = Event(action, "e1", id);

            var (first, second) = (await Send(command), await Send(command));

            Cell(first).ShouldBe(cell, $"{state}, {action}");
            Cell(second).ShouldBe(cell, $"{state}, {action}");
            PaymentOf(first).Id.ShouldBe(new PaymentId(id));
            (_payments.Writes.Count - writes).ShouldBe(cell == "Refused" ? 0 : 1);
            if (cell == "Refused")
                continue;
            _payments.LastTelling.ShouldBe(Telling.Anything, "the answer to a repeat tells the payment as read");
            (_payments.Writes[^1].EventId, _payments.Writes[^1].Actor).ShouldBe(("e1", "core"));
            var another = action is PaymentAction.Fail ? PaymentAction.Succeed : PaymentAction.Fail;
            (await Send(command with { Action = another })).Outcome().ShouldBe("EventDiffers");
            if (command.HasAmount)
                (await Send(command with { MinorUnits = 2 })).Outcome().ShouldBe("EventDiffers");
            if (command.HasAmount)
                (await Send(command with { Currency = "EUR" })).Outcome().ShouldBe("EventDiffers");
        }

        static string Cell(ReportPaymentResult result) =>
            result switch
            {
                ReportPaymentResult.Late late => $"{late.Remedy}",
                ReportPaymentResult.Refused { Reason: ReportRefusal.Impossible } => "Refused",
                _ => result.Outcome(),
            };

        static Payment PaymentOf(ReportPaymentResult result) =>
            result switch
            {
                ReportPaymentResult.Applied applied => applied.Payment,
                ReportPaymentResult.Late late => late.Payment,
                _ => result.ShouldBeOfType<ReportPaymentResult.Refused>().Payment,
            };
    }

    [Fact]
    public async Task A_report_authorises_an_authorisation()
    {
        _payments.Add(Given.Registered(PaymentKind.Authorization));
        (await Send(Event(PaymentAction.Authorize))).Outcome().ShouldBe("Applied");
        _payments.Status("pay-1").ShouldBe(PaymentStatus.Authorized);
    }

    [Fact]
    public async Task A_refund_that_the_balance_does_not_cover_is_refused()
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        _payments.Balance = 0;
        (await Send(Event(PaymentAction.Refund))).Outcome().ShouldBe("BalanceNotEnough");
        _payments.Writes.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_report_of_an_unknown_payment_is_not_found() =>
        (await Send(Event(PaymentAction.Succeed))).Outcome().ShouldBe("PaymentNotFound");

    [Fact]
    public async Task An_action_that_the_core_cannot_report_throws()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        foreach (var action in (PaymentAction[])[PaymentAction.Cancel, PaymentAction.Register])
            await Should.ThrowAsync<System.Diagnostics.UnreachableException>(() => Send(Event(action)));
    }

    [Fact]
    public async Task A_report_that_loses_to_a_cancel_is_late()
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        _payments.BeforeCommit = async () =>
        {
            _payments.BeforeCommit = null;
            (await Cancel("pay-1")).Outcome().ShouldBe("Cancelled");
        };
        var result = await Send(Event(PaymentAction.Succeed));
        result.ShouldBeOfType<ReportPaymentResult.Late>().Remedy.ShouldBe(Remedy.RefundPayer);
        _payments.Writes.Select(w => w.Change.Action).ShouldBe([PaymentAction.Cancel, PaymentAction.Succeed]);
    }

    [Theory]
    [InlineData(Attempts - 1, "Applied")]
    [InlineData(Attempts, "Unknown")]
    public async Task A_report_ends_as_unknown_when_it_loses_every_attempt(int losses, string outcome)
    {
        _payments.Add(Given.PaymentThatIs("Success"));
        var lost = 0;
        _payments.BeforeFind = () => _payments.Balance = Given.FullAmount;
        _payments.BeforeCommit = () =>
        {
            if (lost++ < losses)
                _payments.Balance = 0;
            return Task.CompletedTask;
        };
        (await Send(Event(PaymentAction.Refund))).Outcome().ShouldBe(outcome);
        _payments.Reads.ShouldBe(Attempts);
        _payments.Writes.Count.ShouldBe(outcome == "Applied" ? 1 : 0);
    }

    [Fact]
    public async Task A_late_report_ends_as_unknown_when_it_loses_every_attempt()
    {
        _payments.Add(Given.PaymentThatIs("CancelledClosed"));
        var other = 0;
        var losing = false;
        _payments.BeforeCommit = async () =>
        {
            if (losing)
                return;
            losing = true;
            (await Send(Event(PaymentAction.Succeed, $"other-{other++}"))).Outcome().ShouldBe("Late");
            losing = false;
        };
        (await Send(Event(PaymentAction.Succeed))).Outcome().ShouldBe("Unknown");
        other.ShouldBe(Attempts);
    }

    [Theory]
    [InlineData("before the payment is read")]
    [InlineData("before the event is looked for")]
    [InlineData("before the commit")]
    public async Task Concurrent_duplicates_of_a_report_are_applied_once_and_answered_alike(string moment)
    {
        _payments.Add(Given.PaymentThatIs("Processing"));
        switch (moment)
        {
            case "before the payment is read":
                _payments.BeforeFind = Meanwhile;
                break;
            case "before the event is looked for":
                _payments.BeforeFindReport = Meanwhile;
                break;
            default:
                _payments.BeforeCommit = () =>
                {
                    Meanwhile();
                    return Task.CompletedTask;
                };
                break;
        }

        var result = await Send(Event(PaymentAction.Succeed));
        result.ShouldBeOfType<ReportPaymentResult.Applied>().Payment.Status.ShouldBe(PaymentStatus.Success);
        _payments.Writes.ShouldHaveSingleItem();

        void Meanwhile()
        {
            (_payments.BeforeFind, _payments.BeforeFindReport, _payments.BeforeCommit) = (null, null, null);
            var first = Send(Event(PaymentAction.Succeed));
            first.IsCompletedSuccessfully.ShouldBeTrue();
            first.Result.Outcome().ShouldBe("Applied");
        }
    }

    [Fact]
    public async Task A_concurrent_duplicate_of_a_payout_is_known_even_when_the_payout_emptied_the_account()
    {
        _accounts.Balances[Given.Usd] = 100;
        var payout = Deposit with { Kind = TransferKind.Payout };
        _accounts.Meanwhile = new PostedTransfer(
            Guid.Empty,
            new ClientId(payout.ClientId),
            payout.Id!,
            Transfer.Of(TransferKind.Payout, Given.Usd.Of(100)),
            "operator",
            Given.Noon
        );

        (await Send(payout)).Outcome().ShouldBe("Known");
        _accounts.Balances[Given.Usd].ShouldBe(0);
    }

    [Fact]
    public async Task A_repeated_transfer_is_answered_as_known()
    {
        var posted = (await Send(Deposit)).ShouldBeOfType<PostTransferResult.Posted>().Transfer;
        (posted.Transfer.Amount, posted.Actor).ShouldBe((Given.Usd.Of(100), "operator"));
        (await Send(Deposit)).ShouldBeOfType<PostTransferResult.Known>().Transfer.ShouldBeSameAs(posted);
        _accounts.Balances[Given.Usd].ShouldBe(100);

        (await Send(Deposit with { MinorUnits = 101 })).Outcome().ShouldBe("TransferDiffers");
        (await Send(Deposit with { Currency = "EUR" })).Outcome().ShouldBe("TransferDiffers");
        (await Send(Deposit with { Kind = TransferKind.Payout })).Outcome().ShouldBe("TransferDiffers");
        (await Send(Deposit with { ClientId = "NOBODY" })).Outcome().ShouldBe("ClientNotFound");
    }

    [Fact]
    public async Task A_payout_is_refused_when_it_exceeds_the_balance()
    {
        await Send(Deposit);
        var payout = Deposit with { Kind = TransferKind.Payout, Id = "t2" };
        (await Send(payout with { MinorUnits = 101 })).Outcome().ShouldBe("BalanceNotEnough");
        (await Send(payout with { Currency = "EUR" })).Outcome().ShouldBe("BalanceNotEnough");
        (await Send(payout)).Outcome().ShouldBe("Posted");
        _accounts.Balances[Given.Usd].ShouldBe(0);
    }

    [Fact]
    public async Task A_deposit_is_refused_when_it_exceeds_the_maximum_balance()
    {
        _accounts.Balances[Given.Usd] = Money.MaxBalance - 100;
        (await Send(Deposit with { MinorUnits = 101 })).Outcome().ShouldBe("BalanceLimit");
        (await Send(Deposit)).Outcome().ShouldBe("Posted");
        (await Send(Deposit with { Id = "t2", MinorUnits = 1 })).Outcome().ShouldBe("BalanceLimit");

        _payments.Add(Given.PaymentThatIs("Processing"));
        _payments.Balance = Money.MaxBalance;
        (await Send(Event(PaymentAction.Succeed))).Outcome().ShouldBe("BalanceLimit");
        _payments.Writes.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(Attempts - 1, "Posted")]
    [InlineData(Attempts, "Unknown")]
    public async Task A_transfer_ends_as_unknown_when_it_loses_every_attempt(int losses, string outcome)
    {
        _accounts.Losses = losses;
        (await Send(Deposit)).Outcome().ShouldBe(outcome);
    }

    private static readonly ChangeAuthor Author = new("operator", "a test", Given.Noon);

    [Fact]
    public async Task A_client_gets_the_default_contract_when_the_command_has_none()
    {
        (await Send(new PutClientCommand("NEW", "A shop", true, null, null, null, null, null, Author)))
            .Outcome()
            .ShouldBe("Done");
        var client = _clients.Put.ShouldNotBeNull();
        (client.Id, client.Name, client.Enabled).ShouldBe((new ClientId("NEW"), "A shop", true));
        client.Contract.ShouldBe(new Contract());

        await Send(new PutClientCommand("NEW", "A shop", false, false, "PT1H", 1, 2, false, Author));
        _clients.Put.Enabled.ShouldBeFalse();
        _clients.Put.Contract.ShouldBe(
            new Contract
            {
                MayCancel = false,
                Window = new CancelWindow.Lasting(TimeSpan.FromHours(1)),
                RequestsPerSecond = 1,
                Burst = 2,
                RememberUnknown = false,
            }
        );
    }

    [Fact]
    public async Task A_key_is_registered_with_its_validity_in_UTC_or_refused_with_the_reason()
    {
        var noon = new DateTimeOffset(2026, 3, 10, 20, 0, 0, TimeSpan.FromHours(8));
        var command = new PutClientKeyCommand(ClientName, 2, Given.PublicKey.Pem, noon, noon.AddDays(1), Author);
        (await Send(command)).Outcome().ShouldBe("Done");
        var key = _clients.Key.ShouldNotBeNull();
        (key.Version, key.PublicKey.Pem).ShouldBe((2, Given.PublicKey.Pem));
        (key.NotBefore, key.NotBefore!.Value.Offset, key.NotAfter).ShouldBe(
            (Given.Noon, TimeSpan.Zero, Given.Noon.AddDays(1))
        );

        var refused = await Send(command with { PublicKey = "junk" });
        refused.ShouldBeOfType<ClientResult.KeyNotAccepted>().Message.ShouldNotBeNullOrEmpty();
        (await Send(command with { NotBefore = null, NotAfter = null })).Outcome().ShouldBe("Done");
        _clients.Result = new ClientResult.KeyDiffers();
        (await Send(command)).Outcome().ShouldBe("KeyDiffers");
    }

    [Fact]
    public async Task A_revocation_of_a_key_takes_effect_at_once()
    {
        (await Send(new RevokeClientKeyCommand(ClientName, 3, Author))).Outcome().ShouldBe("Done");
        _clients.Revoked.ShouldBe((new ClientId(ClientName), 3, Given.Noon));
        _clients.Result = new ClientResult.NotFound();
        (await Send(new RevokeClientKeyCommand(ClientName, 3, Author))).Outcome().ShouldBe("NotFound");
    }

    [Fact]
    public async Task A_malformed_command_is_refused_with_the_name_of_its_field()
    {
        var put = new PutClientCommand("NEW", "A shop", true, null, null, null, null, null, Author);
        var key = new PutClientKeyCommand(ClientName, 1, "pem", null, null, Author);
        await Refused("clientId", Registration with { ClientId = "" });
        await Refused("paymentId", Registration with { PaymentId = "a b" });
        await Refused("paymentRequestId", Registration with { PaymentRequestId = null });
        await Refused("kind", Registration with { Kind = null });
        await Refused("amount.minorUnits", Registration with { MinorUnits = null });
        await Refused("amount.minorUnits", Registration with { MinorUnits = 0 });
        await Refused("amount.minorUnits", Registration with { MinorUnits = Money.MaxMinorUnits + 1 });
        await Refused("amount.currency", Registration with { Currency = null });
        await Refused("amount.currency", Registration with { Currency = "usd" });
        await Refused("initiatedAt", Registration with { InitiatedAt = null });
        await Refused("initiatedAt", Registration with { InitiatedAt = Given.Noon.AddMinutes(5).AddTicks(1) });
        await Refused("initiatedAt", Registration with { InitiatedAt = Given.Time("1999-12-31T23:59:59Z") });
        await Refused("payer", Registration with { Payer = "" });
        await Refused("payer", Registration with { Payer = "\n" });
        await Refused("payer", Registration with { Payer = new string('x', 129) });
        await Refused("clientId", Event(PaymentAction.Succeed) with { ClientId = "a b" });
        await Refused("paymentId", Event(PaymentAction.Succeed) with { PaymentId = "" });
        await Refused("eventId", Event(PaymentAction.Succeed) with { EventId = null });
        await Refused("amount.minorUnits", Event(PaymentAction.Capture) with { MinorUnits = null });
        await Refused("amount.currency", Event(PaymentAction.Refund) with { Currency = null });
        await Refused("clientId", Deposit with { ClientId = "" });
        await Refused("amount.currency", Deposit with { Currency = null });
        await Refused("id", Deposit with { Id = null });
        await Refused("amount.minorUnits", Deposit with { MinorUnits = -1 });
        await Refused("clientId", put with { ClientId = "" });
        await Refused("name", put with { Name = null });
        await Refused("name", put with { Name = new string('x', 257) });
        await Refused("name", put with { Name = "\t" });
        await Refused("enabled", put with { Enabled = null });
        await Refused("contract.window", put with { Window = "tomorrow" });
        await Refused("contract.requestsPerSecond", put with { RequestsPerSecond = 0 });
        await Refused("contract.burst", put with { Burst = 100_001 });
        await Refused("clientId", key with { ClientId = "" });
        await Refused("version", key with { Version = 0 });
        await Refused("publicKey", key with { PublicKey = "" });
        await Refused("notAfter", key with { NotBefore = Given.Noon, NotAfter = Given.Noon });
        await Refused("clientId", new RevokeClientKeyCommand("", 1, Author));
        _payments.Writes.ShouldBeEmpty();
        _accounts.Balances.ShouldBeEmpty();
        _clients.Put.ShouldBeNull();
    }

    [Fact]
    public async Task A_command_at_its_bounds_is_accepted()
    {
        (await Send(Registration with { InitiatedAt = Given.Noon.AddMinutes(5), Payer = new string('x', 128) }))
            .Outcome()
            .ShouldBe("Registered");
        // The amount of an event that needs none is ignored.
        (await Send(Event(PaymentAction.Succeed) with { MinorUnits = -1, Currency = "?" }))
            .Outcome()
            .ShouldBe("Applied");
        (await Send(Deposit with { MinorUnits = Money.MaxMinorUnits })).Outcome().ShouldBe("Posted");
        (await Send(new PutClientCommand("NEW", new string('x', 256), true, null, null, 100_000, 1, null, Author)))
            .Outcome()
            .ShouldBe("Done");
    }

    private static PostTransferCommand Deposit => new(ClientName, "USD", TransferKind.Deposit, "t1", 100, "operator");

    private static ReportPaymentCommand Event(PaymentAction action, string eventId = "e1", string id = "pay-1") =>
        action is PaymentAction.Capture or PaymentAction.Refund
            ? new(ClientName, id, action, eventId, 1, "USD", "core")
            : new(ClientName, id, action, eventId, null, null, "core");

    private Task<CancelPaymentResult> Cancel(string? id = null, string? requestId = null) =>
        Send(new CancelPaymentCommand(_clients.Client, id, requestId, null, Given.Canceller));

    private async Task Refused<T>(string field, IRequest<T> command)
    {
        var message = (object?)await Send(command) switch
        {
            RegisterPaymentResult.Malformed malformed => malformed.Message,
            ReportPaymentResult.Malformed malformed => malformed.Message,
            PostTransferResult.Malformed malformed => malformed.Message,
            ClientResult.Malformed malformed => malformed.Message,
            _ => "accepted",
        };
        message.ShouldStartWith($"{field} must ", Case.Sensitive, $"{command}");
    }

    // The API's pipeline, so that validation runs too.
    private async Task<T> Send<T>(IRequest<T> command)
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddMetrics()
            .AddApplication()
            .AddSingleton<IPayments>(_payments)
            .AddSingleton<IAccounts>(_accounts)
            .AddSingleton<IClients>(_clients)
            .AddSingleton<IClientRegistry>(_clients)
            .AddSingleton<IReceiptFormat, EmptyReceipts>()
            .AddSingleton<TimeProvider>(_time)
            .BuildServiceProvider();
        return await services.GetRequiredService<IMediator>().Send(command, Token);
    }

    private sealed class EmptyReceipts : IReceiptFormat
    {
        public byte[] Write(Payment cancelled, string? extendInfo) => [];
    }

    /// <summary>A fake registry of one client; it records the last write.</summary>
    private sealed class InMemoryClients : IClients, IClientRegistry
    {
        public Client Client { get; set; } = Given.Client();

        public ClientResult Result { get; set; } = new ClientResult.Done();

        public Client? Put { get; private set; }

        public ClientKey? Key { get; private set; }

        public (ClientId, int, DateTimeOffset)? Revoked { get; private set; }

        public Recollection Recall(ClientId id) => id == Client.Id ? new(Client, IsCurrent: true) : default;

        public ValueTask<Client?> Find(ClientId id, CancellationToken cancellationToken) =>
            ValueTask.FromResult(id == Client.Id ? Client : null);

        Task IClientRegistry.Put(Client client, ChangeAuthor author, CancellationToken cancellationToken)
        {
            Put = client;
            return Task.CompletedTask;
        }

        public Task<ClientResult> PutKey(
            ClientId clientId,
            ClientKey key,
            ChangeAuthor author,
            CancellationToken cancellationToken
        )
        {
            Key = key;
            return Task.FromResult(Result);
        }

        public Task<ClientResult> RevokeKey(
            ClientId clientId,
            int version,
            ChangeAuthor author,
            CancellationToken cancellationToken
        )
        {
            Revoked = (clientId, version, author.At);
            return Task.FromResult(Result);
        }
    }

    /// <summary>A fake of one client's accounts; it honours the port's contract and loses given races.</summary>
    private sealed class InMemoryAccounts : IAccounts
    {
        private readonly Dictionary<string, PostedTransfer> _transfers = new(StringComparer.Ordinal);

        public Dictionary<Currency, long> Balances { get; } = [];

        public int Losses { get; set; }

        /// <summary>A concurrent transfer, posted just before the next read of the balance.</summary>
        public PostedTransfer? Meanwhile { get; set; }

        public async Task<long> Balance(ClientId clientId, Currency currency, CancellationToken cancellationToken)
        {
            if (Meanwhile is { } transfer)
            {
                Meanwhile = null;
                (await Post(transfer, cancellationToken)).ShouldBe(WriteResult.Written);
            }
            return Balances.GetValueOrDefault(currency);
        }

        public Task<PostedTransfer?> FindTransfer(
            ClientId clientId,
            string reference,
            CancellationToken cancellationToken
        ) => Task.FromResult(_transfers.GetValueOrDefault(reference));

        public Task<WriteResult> Post(PostedTransfer transfer, CancellationToken cancellationToken)
        {
            var currency = transfer.Transfer.Amount.Currency;
            var balance = Balances.GetValueOrDefault(currency) + transfer.Transfer.Change;
            if (
                Losses-- > 0
                || balance is < 0 or > Money.MaxBalance
                || !_transfers.TryAdd(transfer.Reference, transfer)
            )
                return Task.FromResult(WriteResult.LostRace);
            Balances[currency] = balance;
            return Task.FromResult(WriteResult.Written);
        }
    }
}
