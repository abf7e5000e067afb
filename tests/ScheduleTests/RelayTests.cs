using CancelService.Domain;
using CancelService.Domain.Payments;
using CancelService.Infrastructure.Notifications;
using Microsoft.Coyote.Random;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace CancelService.ScheduleTests;

/// <summary>Goal: two relays on one outbox lose no event, and never send the same event concurrently.</summary>
public sealed class RelayTests
{
    private static readonly NotificationsOptions Settings = new()
    {
        BatchSize = 3,
        Concurrency = 2,
        MaxAttempts = 2,
    };

    // Sends events in sequence, so that a failure of one could block the others.
    private static readonly NotificationsOptions OneAtATime = new() { BatchSize = 3, Concurrency = 1 };

    [Fact]
    public void An_event_is_sent_by_one_instance_at_a_time_and_settled_by_its_result() =>
        Schedules.Explore(async () =>
        {
            var core = new Core();
            await Schedules.All([.. Relays(core).Select(relay => Task.Run(() => Rounds(relay)))]);
            core.ShouldBeSettled();
            core.ShouldHaveCountedEveryAttempt();
        });

    [Fact]
    public void An_instance_hands_back_unsent_events_when_it_stops() =>
        Schedules.Explore(async () =>
        {
            var core = new Core();
            using var stopping = new CancellationTokenSource();
            await Schedules.All([
                .. Relays(core).Select((relay, i) => Task.Run(() => Rounds(relay, i == 0 ? stopping.Token : default))),
                Task.Run(stopping.Cancel),
            ]);
            core.ShouldBeSettled();
            core.ShouldHaveCountedEveryAttempt();
        });

    [Fact]
    public void An_expired_claim_passes_to_another_instance_without_concurrent_sends() =>
        Schedules.Explore(async () =>
        {
            var core = new Core();
            await Schedules.All([
                .. Relays(core).Select(relay => Task.Run(() => Rounds(relay))),
                Task.Run(async () =>
                {
                    for (var i = 0; i < 4; i++)
                    {
                        core.Clock.Advance(Settings.ClaimTime / 2);
                        await Task.Yield();
                    }
                }),
            ]);
            core.ShouldBeSettled();
        });

    [Fact]
    public void The_other_events_are_settled_when_the_result_of_one_is_lost() =>
        Schedules.Explore(async () =>
        {
            var core = new Core { Breaks = 1 };
            await Schedules.All([.. Relays(core, OneAtATime).Select(relay => Task.Run(() => Rounds(relay)))]);
            core.ShouldBeSettled(except: 1);
        });

    private static IEnumerable<OutboxRelay> Relays(Core core, NotificationsOptions? settings = null) =>
        Enumerable
            .Range(0, 2)
            .Select(_ => new OutboxRelay(
                core,
                (claimed, _) => core.Receive(claimed),
                _ => { },
                Options.Create(settings ?? Settings),
                core.Clock,
                NullLogger<OutboxRelay>.Instance
            ));

    private static async Task Rounds(OutboxRelay relay, CancellationToken stopping = default)
    {
        for (var round = 0; round < 2; round++)
            await relay.Round(new Uri("http://core/"), stopping);
    }

    private sealed class Time : TimeProvider
    {
        private long _ticks = DateTimeOffset.UnixEpoch.UtcTicks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks;

        public override DateTimeOffset GetUtcNow() => new(_ticks, TimeSpan.Zero);
    }

    private sealed class Event(string client, string payment)
    {
        public Payment Payment { get; } =
            Payment.Restore(
                new ClientId(client),
                new PaymentId(payment),
                new PaymentRequestId(payment),
                PaymentKind.Payment,
                new Money(100, new Currency("USD")),
                DateTimeOffset.UnixEpoch,
                payer: null,
                PaymentStatus.Cancelled,
                captured: 0,
                refunded: 0,
                version: 2,
                fence: 0,
                cancellation: null
            );

        public DateTimeOffset? DueAt { get; set; } = DateTimeOffset.UnixEpoch;
        public bool IsClaimed { get; set; }
        public bool IsDelivered { get; set; }
        public int Attempts { get; set; }

        // The state of the receiver.
        public int Tried { get; set; }
        public bool IsConfirmed { get; set; }
        public List<DateTimeOffset> UnderWay { get; } = [];
    }

    /// <summary>A fake outbox with the effects of its SQL statements, and a receiver with random answers.</summary>
    private sealed class Core : IOutbox
    {
        private readonly List<Event> _events = [new("M-1", "p1"), new("M-1", "p2"), new("M-1", "p3"), new("M-2", "p4")];
        private readonly List<string> _wrong = [];
        private int _broken;

        public Time Clock { get; } = new();

        /// <summary>The number of settling writes that fail.</summary>
        public int Breaks { get; init; }

        // Begins synchronously, so that no time passes between the relay's last read of the clock and the send.
        // Violations are collected for the end of the scenario, because the relay swallows the exception of a send.
        public Task<Sending> Receive(ClaimedEvent claimed)
        {
            var (row, began) = (Row(claimed), Clock.GetUtcNow());
            if (began + Settings.AttemptTimeout > claimed.ClaimedUntil)
                _wrong.Add($"{claimed.Payment.Id} may still be in flight when its claim expires");
            if (row.UnderWay.Exists(other => other + Settings.AttemptTimeout > began))
                _wrong.Add($"{claimed.Payment.Id} is in flight twice");
            row.UnderWay.Add(began);
            return Answer(row, began);
        }

        private async Task<Sending> Answer(Event row, DateTimeOffset began)
        {
            await Task.Yield();
            row.UnderWay.Remove(began);
            var isInTime = Clock.GetUtcNow() - began < Settings.AttemptTimeout;
            switch (isInTime ? Generator.Create().NextInteger(4) : 3)
            {
                case 0:
                    return new Sending.Suspended(TimeSpan.FromSeconds(1));
                case 1:
                    return new Sending.StillAway("503");
                case 2:
                    row.Tried++;
                    row.IsConfirmed = true;
                    return new Sending.Confirmed();
                default:
                    row.Tried++;
                    return new Sending.Failed("500");
            }
        }

        public async Task<List<ClientId>> ClientsWithWork(DateTimeOffset now, CancellationToken cancellationToken)
        {
            await Task.Yield();
            return [.. _events.Where(row => row.DueAt <= now).Select(row => row.Payment.ClientId).Distinct()];
        }

        public async Task<List<ClaimedEvent>> Claim(
            ClientId clientId,
            DateTimeOffset now,
            DateTimeOffset until,
            int limit,
            CancellationToken cancellationToken
        )
        {
            await Task.Yield();
            var due = _events.Where(row => row.Payment.ClientId == clientId && row.DueAt <= now).Take(limit).ToList();
            foreach (var row in due)
                (row.DueAt, row.IsClaimed, row.Attempts) = (until, true, row.Attempts + 1);
            var claimed = due.ConvertAll(row => new ClaimedEvent(row.Attempts, until, row.Payment, ""));
            await Task.Yield();
            return claimed;
        }

        public async Task<bool> Delivered(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken)
        {
            await Write();
            var row = Row(claimed);
            if (row.IsDelivered)
                return false;
            (row.DueAt, row.IsClaimed, row.IsDelivered) = (null, false, true);
            return true;
        }

        public Task<bool> Failed(
            ClaimedEvent claimed,
            DateTimeOffset dueAt,
            string error,
            CancellationToken cancellationToken
        ) => Settle(claimed, row => row.DueAt = dueAt);

        public Task<bool> Parked(
            ClaimedEvent claimed,
            DateTimeOffset now,
            string error,
            CancellationToken cancellationToken
        ) => Settle(claimed, row => row.DueAt = null);

        public Task<bool> HandBack(ClaimedEvent claimed, DateTimeOffset now, CancellationToken cancellationToken) =>
            Settle(claimed, row => (row.DueAt, row.Attempts) = (now, row.Attempts - 1));

        public Task<int> Prune(DateTimeOffset deliveredBefore, CancellationToken cancellationToken) =>
            Task.FromResult(0);

        /// <summary>Fails unless all claims were released and every confirmation was recorded.</summary>
        public void ShouldBeSettled(int except = 0)
        {
            _wrong.ShouldBeEmpty();
            _events.Count(row => row.IsClaimed).ShouldBeLessThanOrEqualTo(except);
            _events.Count(row => row.IsConfirmed != row.IsDelivered).ShouldBeLessThanOrEqualTo(except);
            // An undelivered event is due again, or parked after its last attempt.
            _events
                .Where(row => row is { IsClaimed: false, IsDelivered: false, DueAt: null })
                .ShouldAllBe(row => row.Attempts >= Settings.MaxAttempts);
        }

        /// <summary>
        /// Fails unless every send counted as one attempt, and probes and handed-back events as none.
        /// </summary>
        public void ShouldHaveCountedEveryAttempt() => _events.ShouldAllBe(row => row.Attempts == row.Tried);

        private Event Row(ClaimedEvent claimed) => _events.Single(row => row.Payment == claimed.Payment);

        private async Task<bool> Settle(ClaimedEvent claimed, Action<Event> change)
        {
            await Write();
            var row = Row(claimed);
            if (row.DueAt != claimed.ClaimedUntil)
                return false;
            row.IsClaimed = false;
            change(row);
            await Task.Yield();
            return true;
        }

        private async Task Write()
        {
            await Task.Yield();
            if (_broken < Breaks && Generator.Create().NextBoolean())
            {
                _broken++;
                throw new IOException("The connection broke during the write.");
            }
        }
    }
}
