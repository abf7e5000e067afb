using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using CancelService.Api.Internal;
using CancelService.Application.Reading;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Sql;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests.Notifications;

/// <summary>
/// Goal: the relay delivers each cancellation event to the core at least once, whatever fails at the worst moment.
/// </summary>
public sealed class RelayTests(PostgresServer postgres)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    // Exceeds the fake time that one Until can add, so no attempt times out on a slow machine.
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ClaimTime = TimeSpan.FromMinutes(2);

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Relay_delivers_each_cancellation_once_complete_and_signed(DatabaseProvider provider)
    {
        await using var receiver = await Receiver.Start(_ => Answers(200));
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await Start(database, receiver);
        var client = await host.AddClient();
        foreach (var state in (State[])[State.Processing, State.Authorized, State.Success])
            await Cancel(host, client, state);

        await Ticking(host.Clock, () => Delivered(host)).Becomes(3);

        // One hour later a fourth event goes out; the first three are not sent again.
        host.Clock.Advance(TimeSpan.FromHours(1));
        await Cancel(host, client, State.Failed);
        await Ticking(host.Clock, () => Delivered(host)).Becomes(4);
        var events = receiver.Received.OrderBy(r => r.Member("paymentId"), StringComparer.Ordinal).ToList();
        events.Count.ShouldBe(4);
        events.Select(r => r.Member("effect")).ShouldBe(["CLOSED", "HOLD_RELEASED", "REFUNDED", "CLOSED"], true);
        var rows = await Rows(host);
        foreach (var received in events)
        {
            var paymentId = received.Member("paymentId");
            var row = rows.Single(r => r.PaymentId.Value == paymentId);
            row.Attempts.ShouldBe(1);
            row.DueAt.ShouldBeNull();
            row.LastError.ShouldBeNull();
            received.Text.ShouldBe(
                $$"""
                {"id":"{{row.EventId}}","type":"payment.cancelled","clientId":"{{client.Id.Value}}",
                "paymentId":"{{paymentId}}",
                "paymentRequestId":"req-{{paymentId}}","amount":{"minorUnits":1000,"currency":"USD"},
                "effect":"{{received.Member("effect")}}","cancelTime":"{{CancelTime(row.CreatedAt)}}"}
                """.ReplaceLineEndings("")
            );
            received.ShouldBeSigned();
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Relay_retries_a_failing_receiver_until_it_recovers(DatabaseProvider provider)
    {
        int[] answers = [500, 302, 404, 204];
        await using var receiver = await Receiver.Start(r => Answers(answers[r.Number - 1]));
        using var database = await TestDatabase.Create(provider, postgres);
        // Backoff in hours, so the ticking clock of one assertion does not reach the next attempt.
        await using var host = await Start(
            database,
            receiver,
            "--Notifications:BackOffBase=01:00:00",
            "--Notifications:BackOffMaximum=03:00:00"
        );
        await Cancel(host, await host.AddClient(), State.Success);

        TimeSpan[] bounds = [TimeSpan.FromHours(1), TimeSpan.FromHours(2), TimeSpan.FromHours(3)];
        for (var attempt = 1; attempt < answers.Length; attempt++)
        {
            var error = $"HTTP {answers[attempt - 1]}";
            await Ticking(host.Clock, async () => (await Row(host)).LastError).Becomes(error);
            var row = await Row(host);
            row.Attempts.ShouldBe(attempt);
            row.DeliveredAt.ShouldBeNull();
            row.DueAt.ShouldNotBeNull().ShouldBeLessThanOrEqualTo(host.Now + bounds[attempt - 1]);
            receiver.Received.Count.ShouldBe(attempt);
            host.Clock.Advance(bounds[attempt - 1]);
        }

        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        (await Row(host)).Attempts.ShouldBe(4);
        receiver.Received.Select(r => r.Text).Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Relay_times_out_and_retries_a_hanging_receiver(DatabaseProvider provider)
    {
        var never = new TaskCompletionSource<int>();
        await using var receiver = await Receiver.Start(r => r.Number == 1 ? never.Task : Answers(200));
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await Start(database, receiver);
        await Cancel(host, await host.AddClient(), State.Success);
        await Ticking(host.Clock, () => receiver.Count()).Becomes(1);

        host.Clock.Advance(AttemptTimeout);
        await TestHost.Until(async () => (await Row(host)).LastError).Becomes($"no answer within {AttemptTimeout}");

        host.Clock.Advance(TimeSpan.FromSeconds(1));
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        never.SetResult(200);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Late_confirmation_counts_after_the_claim_has_expired(DatabaseProvider provider)
    {
        var first = new TaskCompletionSource<int>();
        await using var receiver = await Receiver.Start(r => r.Number == 1 ? first.Task : Answers(500));
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await Start(database, receiver);
        await Cancel(host, await host.AddClient(), State.Success);
        await Ticking(host.Clock, () => receiver.Count()).Becomes(1);

        // The claim has expired by this instance's clock, and its own attempt fails.
        await using var other = await Start(
            database,
            receiver,
            new FakeTimeProvider(host.Now + ClaimTime),
            "--Notifications:BackOffBase=01:00:00",
            "--Notifications:BackOffMaximum=01:00:00"
        );
        await Ticking(other.Clock, async () => (await Row(host)).LastError).Becomes("HTTP 500");

        first.SetResult(200);
        await TestHost.Until(() => Delivered(host)).Becomes(1);
        var row = await Row(host);
        row.DueAt.ShouldBeNull();
        row.Attempts.ShouldBe(2);
        receiver.Received.Select(r => r.Member("id")).Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Late_failure_leaves_the_next_claim_untouched(DatabaseProvider provider)
    {
        var (first, second) = (new TaskCompletionSource<int>(), new TaskCompletionSource<int>());
        await using var receiver = await Receiver.Start(r =>
            r.Number switch
            {
                1 => first.Task,
                2 => second.Task,
                _ => Answers(200),
            }
        );
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await Start(database, receiver);
        var client = await host.AddClient();
        var id = await Cancel(host, client, State.Success);
        await Ticking(host.Clock, () => receiver.Count()).Becomes(1);
        await using var other = await Start(database, receiver, host.Now + ClaimTime);
        await Ticking(other.Clock, () => receiver.Count()).Becomes(2);
        var claimed = (await Rows(host)).Single();

        // The first instance settles its failure before it delivers the next event.
        first.SetResult(500);
        await Cancel(host, client, State.Success);
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        var row = (await Rows(host)).Single(r => r.PaymentId.Value == id);
        row.DueAt.ShouldBe(claimed.DueAt);
        row.LastError.ShouldBeNull();

        second.SetResult(200);
        await TestHost.Until(() => Delivered(host)).Becomes(2);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Relay_loses_no_event_when_killed_between_sending_and_marking(DatabaseProvider provider)
    {
        Process? killed = null;
        await using var receiver = await Receiver.Start(r =>
        {
            if (r.Number == 1)
                killed!.Kill();
            return Answers(200);
        });
        using var database = await TestDatabase.Create(provider, postgres);
        await using (var off = await TestHost.Start(database, systemClock: true))
            await Cancel(off, await off.AddClient(), State.Processing);

        var start = new ProcessStartInfo("dotnet", [ServiceProcess.Assembly, .. Settings(receiver.Root)])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        string[] process =
        [
            "--environment=Production",
            "--Kestrel:Endpoints:Public:Url=http://127.0.0.1:0",
            "--Kestrel:Endpoints:Internal:Url=http://127.0.0.1:0",
            $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
            .. database.Settings,
        ];
        foreach (var argument in process)
            start.ArgumentList.Add(argument);
        using (killed = Process.Start(start).ShouldNotBeNull())
        {
            try
            {
                using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
                await killed.WaitForExitAsync(deadline.Token);
            }
            finally
            {
                killed.Kill();
            }
        }
        receiver.Received.Count.ShouldBe(1);

        await using var host = await Start(database, receiver, TimeProvider.System.GetUtcNow() + ClaimTime);
        await Ticking(host.Clock, () => receiver.Count()).Becomes(2);
        // The clock stands still, so the attempt cannot time out.
        await TestHost.Until(() => Delivered(host)).Becomes(1);
        (await Row(host)).Attempts.ShouldBe(2);
        receiver.Received.Count.ShouldBe(2);
        receiver.Received.Select(r => r.Text).Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Two_instances_share_the_work_and_claim_no_event_twice(DatabaseProvider provider)
    {
        // Neither instance gets its first answer before both have sent an event.
        var (a, b) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var receiver = await Receiver.Start(async r =>
        {
            (r.Target == "/a" ? a : b).TrySetResult();
            await Task.WhenAll(a.Task, b.Task);
            return 200;
        });
        using var database = await TestDatabase.Create(provider, postgres);
        var clock = new FakeTimeProvider(TestHost.Noon);
        const string batch = "--Notifications:BatchSize=5";
        await using var one = await Start(database, receiver, clock, batch, $"--Notifications:Url={receiver.Root}/a");
        await using var two = await Start(database, receiver, clock, batch, $"--Notifications:Url={receiver.Root}/b");
        for (var i = 0; i < 3; i++)
        {
            var client = await one.AddClient();
            for (var j = 0; j < 10; j++)
                await Cancel(one, client, State.Processing);
        }

        await Ticking(clock, () => Delivered(one)).Becomes(30);

        (await Rows(one)).ShouldAllBe(row => row.Attempts == 1);
        receiver.Received.Count.ShouldBe(30);
        receiver.Received.Select(r => r.Member("id")).Distinct(StringComparer.Ordinal).Count().ShouldBe(30);
        receiver.Received.Select(r => r.Target).Distinct(StringComparer.Ordinal).Count().ShouldBe(2);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Event_is_parked_listed_and_requeued_after_its_last_attempt(DatabaseProvider provider)
    {
        var status = 503;
        await using var receiver = await Receiver.Start(_ => Answers(Volatile.Read(ref status)));
        using var database = await TestDatabase.Create(provider, postgres);
        // A short back-off, so that the clock need not run ahead, and no attempt times out on a slow machine.
        await using var host = await Start(
            database,
            receiver,
            "--Notifications:MaxAttempts=2",
            "--Notifications:BackOffBase=00:00:00.050"
        );
        var (one, two) = (await host.AddClient(), await host.AddClient());
        var id = await Cancel(host, one, State.Success);
        await Cancel(host, one, State.Processing);
        await Cancel(host, two, State.Authorized);

        await Ticking(host.Clock, async () => (await List(host, "parked")).Items.Count).Becomes(3);
        receiver.Received.Count.ShouldBe(6);
        var page = await List(host, "parked", limit: 2);
        page.Items.ShouldAllBe(item => item.Attempts == 2 && item.LastError == "HTTP 503" && item.DueAt == null);
        page.Items.ShouldAllBe(item => item.ParkedAt != null && item.ClientId == one.Id.Value);
        var rest = await List(host, "parked", page.Next);
        rest.Items.ShouldHaveSingleItem().ClientId.ShouldBe(two.Id.Value);
        rest.Next.ShouldBeNull();
        (await List(host, "due")).Items.ShouldBeEmpty();

        Volatile.Write(ref status, 200);
        var requeued = await Requeue(host, one.Id.Value, id);
        requeued.ShouldBeOfType<Ok<NotificationView>>().Value!.Attempts.ShouldBe(0);
        requeued.ShouldBeOfType<Ok<NotificationView>>().Value!.DueAt.ShouldBe(host.Now);
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        (await List(host, "delivered")).Items.ShouldHaveSingleItem().PaymentId.ShouldBe(id);
        (await List(host, "parked")).Items.Count.ShouldBe(2);
        (await List(host, null)).Items.Count.ShouldBe(3);
        receiver.Received.Last().Member("id").ShouldBe(page.Items.Single(i => i.PaymentId == id).EventId.ToString());

        // Idempotent: an event that is not parked stays unchanged.
        (await Requeue(host, one.Id.Value, id))
            .ShouldBeOfType<Ok<NotificationView>>()
            .Value!.DueAt.ShouldBeNull();
        (await Requeue(host, two.Id.Value, id)).ShouldBeOfType<ProblemHttpResult>().StatusCode.ShouldBe(404);
        (await Requeue(host, "no/id", id)).ShouldBeOfType<ProblemHttpResult>().StatusCode.ShouldBe(404);
        var outbox = host.Services.GetRequiredService<INotifications>();
        foreach (var (state, limit) in ((string?, int?)[])[("lost", null), (null, 0), (null, 501)])
        {
            var result = await NotificationsApi.List(state, null, limit, outbox, CancellationToken.None);
            result.Result.ShouldBeOfType<ProblemHttpResult>().StatusCode.ShouldBe(400);
        }
    }

    // A proxy in front of an unreachable receiver may answer with any status.
    [Theory]
    [MatrixData("500", "404", "401", "302")]
    public async Task Receiver_outage_uses_up_no_attempts(string failure, DatabaseProvider provider)
    {
        var status = int.Parse(failure, null);
        await using var receiver = await Receiver.Start(_ => Answers(Volatile.Read(ref status)));
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await Start(
            database,
            receiver,
            "--Notifications:Concurrency=1",
            "--Notifications:MaxAttempts=2",
            // Backoff in hours, so no second attempt is due before the circuit breaker opens.
            "--Notifications:BackOffBase=10:00:00",
            "--Notifications:BackOffMaximum=10:00:00"
        );
        var client = await host.AddClient();
        for (var i = 0; i < 30; i++)
            await Cancel(host, client, State.Processing);

        // The circuit breaker opens after 20 failures; claimed but unsent events are released with no attempt counted.
        await Ticking(host.Clock, async () => (await Rows(host)).Sum(row => row.Attempts)).Becomes(20);
        receiver.Received.Count.ShouldBe(20);
        (await Rows(host)).Count(row => row.Attempts == 0).ShouldBe(10);

        // A probe every 10 seconds checks whether the receiver has recovered; its attempt does not count.
        for (var probe = 1; probe <= 5; probe++)
        {
            host.Clock.Advance(TimeSpan.FromSeconds(10));
            await Ticking(host.Clock, () => receiver.Count()).Becomes(20 + probe);
            await Ticking(host.Clock, async () => (await Rows(host)).Sum(row => row.Attempts)).Becomes(20);
        }
        (await Rows(host)).ShouldAllBe(row => row.ParkedAt == null);

        Volatile.Write(ref status, 200);
        host.Clock.Advance(TimeSpan.FromHours(11));
        await Ticking(host.Clock, () => Delivered(host)).Becomes(30);
        receiver.Received.Count.ShouldBe(55);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Answer_with_NUL_characters_counts_as_a_failed_attempt(DatabaseProvider provider)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = new CancellationTokenSource();
        var receiver = Answer(listener, "HTTP/1.1 \0\0\0\r\n\r\n", hold: false, stop.Token);
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(
            database,
            settings: [.. Settings($"http://{listener.LocalEndpoint}"), "--Notifications:MaxAttempts=1"]
        );
        await Cancel(host, await host.AddClient(), State.Success);

        await Ticking(host.Clock, async () => (await List(host, "parked")).Items.Count).Becomes(1);

        var error = (await Row(host)).LastError.ShouldNotBeNull();
        error.ShouldNotContain('\0');
        error.ShouldContain('?');
        await stop.CancelAsync();
        await receiver;
    }

    // Serves one connection at a time, writes the given answer and then holds the connection open on request.
    private static async Task Answer(TcpListener listener, string answer, bool hold, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                using var connection = await listener.AcceptTcpClientAsync(stop);
                _ = await connection.GetStream().ReadAtLeastAsync(new byte[16], 16, cancellationToken: stop);
                await connection.GetStream().WriteAsync(Encoding.ASCII.GetBytes(answer), stop);
                if (hold)
                    await Task.Delay(Timeout.Infinite, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The end of the test cancels the receiver.
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Relay_starts_no_attempt_that_could_outlive_its_claim(DatabaseProvider provider)
    {
        var never = new TaskCompletionSource<int>();
        await using var receiver = await Receiver.Start(_ => never.Task);
        using var database = await TestDatabase.Create(provider, postgres);
        await using var setUp = await TestHost.Start(database);
        var client = await setUp.AddClient();
        await Cancel(setUp, client, State.Processing);
        await Cancel(setUp, client, State.Processing);
        await using var host = await Start(
            database,
            receiver,
            "--Notifications:Concurrency=1",
            "--Notifications:BackOffBase=1.00:00:00",
            "--Notifications:BackOffMaximum=1.00:00:00"
        );
        await Ticking(host.Clock, () => receiver.Count()).Becomes(1);
        (await Rows(setUp)).ShouldAllBe(row => row.Attempts == 1);

        // After this attempt, a second one could not finish before the claim on both events expires.
        host.Clock.Advance(AttemptTimeout + TimeSpan.FromSeconds(10));
        await TestHost.Until(() => receiver.Count()).Becomes(2);

        // The relay therefore released the second event and claimed it again.
        var sent = receiver.Received.Last().Member("paymentId");
        var row = (await Rows(setUp)).Single(r => r.PaymentId.Value == sent);
        row.DueAt.ShouldBe(host.Now + ClaimTime);
        row.Attempts.ShouldBe(1);
        never.SetResult(200);
        await TestHost.Until(() => Delivered(setUp)).Becomes(1);
    }

    // The status alone confirms an event: the relay must not wait for the body, which may never end.
    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Confirmation_counts_although_its_body_never_ends(DatabaseProvider provider)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = new CancellationTokenSource();
        var receiver = Answer(
            listener,
            "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nstart",
            hold: true,
            stop.Token
        );
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(database, settings: Settings($"http://{listener.LocalEndpoint}"));
        await Cancel(host, await host.AddClient(), State.Success);

        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);

        await stop.CancelAsync();
        await receiver;
    }

    // The other instance's claim has not committed yet. Waiting for its row lock would claim the event twice.
    [Fact]
    public async Task Relay_skips_an_event_that_another_instance_is_claiming()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var host = await TestHost.Start(database);
        var client = await host.AddClient();
        await Cancel(host, client, State.Success);
        var outbox = host.Services.GetRequiredService<Outbox>();
        Task<List<ClaimedEvent>> Claim() =>
            outbox.Claim(
                client.Id,
                host.Now.AddMinutes(1),
                host.Now.AddMinutes(2),
                10,
                TestContext.Current.CancellationToken
            );

        await using var claiming = await HeldLock.Take(host.ConnectionString, "UPDATE outbox SET attempts = attempts");

        (await Claim()).ShouldBeEmpty();
        await claiming.Release();
        (await Claim()).ShouldHaveSingleItem();
        (await Claim()).ShouldBeEmpty();
    }

    // An operator's requeue must survive a concurrent prune of the same event.
    [Fact]
    public async Task Requeued_event_survives_a_concurrent_prune()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var receiver = await Receiver.Start(_ => Answers(200));
        await using var host = await Start(database, receiver);
        await Cancel(host, await host.AddClient(), State.Success);
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        await using var db = host.Db();
        await using var order = await db.Database.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await db.Database.ExecuteSqlAsync(
            $"UPDATE outbox SET delivered_at = NULL, due_at = {host.Now.AddDays(1)}, attempts = 0",
            TestContext.Current.CancellationToken
        );

        var pruning = host.Services.GetRequiredService<Outbox>().Prune(host.Now.AddDays(1), CancellationToken.None);
        await TestHost.Until(() => HeldLock.Awaited(host.ConnectionString, "%DELETE FROM%outbox%")).Becomes(1L);
        await order.CommitAsync(TestContext.Current.CancellationToken);

        (await pruning).ShouldBe(0);
        (await Row(host)).DueAt.ShouldBe(host.Now.AddDays(1));
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Only_delivered_events_are_pruned_after_the_retention_time(DatabaseProvider provider)
    {
        await using var receiver = await Receiver.Start(r => Answers(r.Number == 1 ? 200 : 500));
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await Start(
            database,
            receiver,
            "--Notifications:KeepDelivered=01:00:00",
            "--Notifications:MaxAttempts=1"
        );
        var client = await host.AddClient();
        await Cancel(host, client, State.Success);
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        var parked = await Cancel(host, client, State.Success);
        await Ticking(host.Clock, async () => (await List(host, "parked")).Items.Count).Becomes(1);

        host.Clock.Advance(TimeSpan.FromMinutes(45));
        await Cancel(host, client, State.Success);
        await Ticking(host.Clock, async () => (await List(host, "parked")).Items.Count).Becomes(2);
        (await Rows(host)).Count.ShouldBe(3);

        host.Clock.Advance(TimeSpan.FromMinutes(25));
        await Ticking(host.Clock, async () => (await Rows(host)).Count).Becomes(2);
        (await Rows(host)).ShouldContain(row => row.PaymentId.Value == parked);
        (await host.Rows(client, parked)).Cancellations.ShouldBe(1);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Outbox_keeps_its_events_until_a_URL_is_configured(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using (var off = await TestHost.Start(database, settings: "--Notifications:Url="))
        {
            await Cancel(off, await off.AddClient(), State.Success);
            off.Clock.Advance(TimeSpan.FromHours(1));
            await off.Stop(); // By now a relay would have released or settled any claim.
            var row = await Row(off);
            row.DueAt.ShouldBe(row.CreatedAt);
            row.Attempts.ShouldBe(0);
        }

        await using var receiver = await Receiver.Start(_ => Answers(200));
        await using var host = await Start(database, receiver);
        await Ticking(host.Clock, () => Delivered(host)).Becomes(1);
        (await Row(host)).Attempts.ShouldBe(1);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Stopping_relay_finishes_its_attempts_and_releases_its_other_claims(DatabaseProvider provider)
    {
        var answer = new TaskCompletionSource<int>();
        await using var receiver = await Receiver.Start(_ => answer.Task);
        using var database = await TestDatabase.Create(provider, postgres);
        await using var setUp = await TestHost.Start(database);
        var client = await setUp.AddClient();
        for (var i = 0; i < 5; i++)
            await Cancel(setUp, client, State.Processing);
        await using var host = await Start(database, receiver, "--Notifications:Concurrency=2");
        await Ticking(host.Clock, () => receiver.Count()).Becomes(2);
        (await Rows(setUp)).ShouldAllBe(row => row.Attempts == 1);

        host.Clock.Advance(TimeSpan.FromSeconds(1));
        var relay = host.Services.GetServices<IHostedService>().OfType<OutboxRelay>().Single();
        var stopping = relay.StopAsync(CancellationToken.None);
        stopping.IsCompleted.ShouldBeFalse();
        answer.SetResult(200);
        await stopping;

        await host.Stop();
        var rows = await Rows(setUp);
        receiver.Received.Count.ShouldBe(2);
        rows.Count(row => row.DeliveredAt is not null).ShouldBe(2);
        var handedBack = rows.Where(row => row.DeliveredAt is null).ToList();
        handedBack.Count.ShouldBe(3);
        handedBack.ShouldAllBe(row => row.DueAt == host.Now && row.Attempts == 0);
    }

    [Theory]
    [InlineData("Notifications:Url", "core/hook")]
    [InlineData("Notifications:Url", "ftp://core/hook")]
    [InlineData("Notifications:Url", "http://user:secret@core/hook")]
    [InlineData("Notifications:PollInterval", "00:00:00")]
    [InlineData("Notifications:AttemptTimeout", "00:02:00")]
    [InlineData("Notifications:ClaimTime", "00:00:09")]
    [InlineData("Notifications:BatchSize", "0")]
    [InlineData("Notifications:BatchSize", "501")]
    [InlineData("Notifications:Concurrency", "0")]
    [InlineData("Notifications:MaxAttempts", "0")]
    [InlineData("Notifications:BackOffBase", "00:00:00")]
    [InlineData("Notifications:BackOffMaximum", "00:00:00.500")]
    [InlineData("Notifications:KeepDelivered", "00:00:00")]
    public async Task Host_refuses_to_start_with_an_invalid_setting_and_names_it(string key, string value)
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        var refusal = await Should.ThrowAsync<OptionsValidationException>(() =>
            TestHost.Start(database, settings: $"--{key}={value}")
        );
        refusal.Failures.ShouldHaveSingleItem().ShouldStartWith(key + " is ");
        refusal.Message.ShouldNotContain("secret");
    }

    private static Task<TestHost> Start(TestDatabase database, Receiver receiver, params string[] settings) =>
        Start(database, receiver, new FakeTimeProvider(TestHost.Noon), settings);

    private static Task<TestHost> Start(TestDatabase database, Receiver receiver, DateTimeOffset now) =>
        Start(database, receiver, new FakeTimeProvider(now));

    private static Task<TestHost> Start(
        TestDatabase database,
        Receiver receiver,
        FakeTimeProvider clock,
        params string[] settings
    ) => TestHost.Start(database, clock, settings: [.. Settings(receiver.Root), .. settings]);

    private static string[] Settings(string root) =>
        [
            $"--Notifications:Url={root}/core/hook?tenant=a%2Fb",
            Receiver.SecretSetting,
            $"--Notifications:PollInterval={Tick}",
            $"--Notifications:AttemptTimeout={AttemptTimeout}",
            $"--Notifications:ClaimTime={ClaimTime}",
        ];

    private static Task<int> Answers(int status) => Task.FromResult(status);

    // Advances the clock by one poll interval per poll.
    private static Polled<T> Ticking<T>(FakeTimeProvider clock, Func<Task<T>> ask) =>
        TestHost.Until(() =>
        {
            clock.Advance(Tick);
            return ask();
        });

    private static int _lastPayment;

    private static async Task<string> Cancel(TestHost host, TestClient client, State state)
    {
        var id = $"p{Interlocked.Increment(ref _lastPayment):D6}";
        await host.AddPayment(client, state, id);
        (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
        return id;
    }

    private static async Task<List<OutboxRow>> Rows(TestHost host)
    {
        await using var db = host.Db();
        return await db.Set<OutboxRow>().AsNoTracking().ToListAsync();
    }

    private static async Task<OutboxRow> Row(TestHost host) => (await Rows(host)).Single();

    private static async Task<int> Delivered(TestHost host) =>
        (await Rows(host)).Count(row => row.DeliveredAt is not null);

    private static string CancelTime(DateTimeOffset time) =>
        time.ToOffset(TimeSpan.FromHours(8)).ToString("yyyy-MM-dd'T'HH:mm:sszzz", null);

    private static async Task<Page<NotificationView>> List(
        TestHost host,
        string? state,
        string? after = null,
        int? limit = null
    )
    {
        var outbox = host.Services.GetRequiredService<INotifications>();
        var result = await NotificationsApi.List(state, after, limit, outbox, CancellationToken.None);
        return result.Result.ShouldBeOfType<Ok<Page<NotificationView>>>().Value.ShouldNotBeNull();
    }

    private static async Task<IResult> Requeue(TestHost host, string clientId, string paymentId)
    {
        var outbox = host.Services.GetRequiredService<INotifications>();
        var reason = new Reason { Options = Microsoft.Extensions.Options.Options.Create(new ChangesOptions()) };
        var caller = new System.Security.Claims.ClaimsPrincipal();
        return (
            await NotificationsApi.Requeue(
                clientId,
                paymentId,
                reason,
                caller,
                outbox,
                host.Time,
                host.Services.GetRequiredService<Microsoft.Extensions.Logging.ILoggerFactory>(),
                CancellationToken.None
            )
        ).Result;
    }
}
