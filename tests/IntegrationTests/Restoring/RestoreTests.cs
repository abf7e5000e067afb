using System.Diagnostics;
using CancelService.Infrastructure.Notifications;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Restoring;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests.Restoring;

/// <summary>
/// Goal: after a restore from a backup, feed readers learn where to resume and miss no row, a repeated event keeps its
/// identifier, and every answer that the restore contradicts is found.
/// </summary>
public sealed class RestoreTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [MatrixData("cancellations", "late-reports")]
    public async Task Feed_reader_learns_where_to_resume_and_misses_no_row(string feed, DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        TestClient client;
        await using (var before = await TestHost.Start(database))
        {
            client = await before.AddClient();
            foreach (var id in (string[])["a", "b", "c", "d", "e", "f"])
                await before.AddPayment(client, State.Processing, id);
            await CancelAndReport(before, client, "a", "b");
            (await Read(before, client, feed)).Items.ShouldBe(["a", "b"]);
        }
        using var backup = await database.Copy(postgres);
        string cursor;
        await using (var undone = await TestHost.Start(database))
        {
            await CancelAndReport(undone, client, "c", "d", "e");
            (var items, cursor) = await Read(undone, client, feed);
            items.ShouldBe(["a", "b", "c", "d", "e"]);
        }

        // Fewer rows, partly different, in another order: resuming by number alone would skip most of them.
        await using var restored = await TestHost.Start(backup);
        await restored.Services.GetRequiredService<Restores>().Begin(Token);
        await CancelAndReport(restored, client, "f", "d", "c");

        var refusal = await restored.Call("GET", $"/clients/{client.Id}/{feed}?after={cursor}");
        refusal.ShouldBeProblem(410, "database-restored");
        refusal["restoredAt"].ShouldNotBeNullOrEmpty();
        var goOn = refusal["goOn"].ShouldNotBeNull();
        (await Read(restored, client, feed, goOn)).Items.ShouldBe(["c", "d", "f"]);
        (await Read(restored, client, feed)).Items.ShouldBe(["a", "b", "c", "d", "f"]);

        // The new cursors stay valid until the next restore.
        var (_, next) = await Read(restored, client, feed, goOn);
        await CancelAndReport(restored, client, "e");
        (await Read(restored, client, feed, next)).Items.ShouldBe(["e"]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Each_restore_begins_a_later_epoch_even_if_the_clock_stands_still(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(database, new FakeTimeProvider(TestHost.Noon));
        var restores = host.Services.GetRequiredService<Restores>();
        (await restores.Epoch(Token)).ShouldBe(0);

        var first = await restores.Begin(Token);
        first.ShouldBe(TestHost.Noon.ToUnixTimeSeconds());
        (await restores.Begin(Token)).ShouldBe(first + 1);
        host.Clock.Advance(TimeSpan.FromMinutes(1));
        (await restores.Begin(Token)).ShouldBe(first + 60);
        (await restores.Epoch(Token)).ShouldBe(first + 60);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Cancel_repeated_after_a_restore_keeps_its_event_id(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres);
        TestClient client;
        await using (var before = await TestHost.Start(database))
        {
            client = await before.AddClient();
            await before.AddPayment(client, State.Success);
        }
        using var backup = await database.Copy(postgres);

        var (undone, again) = (await CancelAndLook(database), await CancelAndLook(backup));

        again.ShouldBe(undone);

        async Task<Guid> CancelAndLook(TestDatabase at)
        {
            await using var host = await TestHost.Start(at);
            (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
            await using var db = host.Db();
            return (await db.Set<OutboxRow>().AsNoTracking().SingleAsync(Token)).EventId;
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Lost_answers_are_found_from_the_log_and_from_the_events(DatabaseProvider provider)
    {
        await using var receiver = await Receiver.Start(_ => Task.FromResult(200));
        using var database = await TestDatabase.Create(provider, postgres);
        TestClient client;
        await using (var before = await TestHost.Start(database, systemClock: true))
        {
            client = await before.AddClient();
            foreach (var id in (string[])["kept", "undone"])
                await before.AddPayment(client, State.Success, id);
            (await before.Cancel(client, """{"paymentId":"kept"}""")).Code.ShouldBe("SUCCESS");
            (await before.Cancel(client, """{"paymentRequestId":"noted"}""")).Code.ShouldBe("ORDER_NOT_EXIST");
        }
        using var backup = await database.Copy(postgres);
        var log = await Serve(
            database,
            client,
            receiver,
            ("""{"paymentId":"kept"}""", "SUCCESS"),
            ("""{"paymentId":"undone"}""", "SUCCESS"),
            ("""{"paymentRequestId":"noted"}""", "ORDER_NOT_EXIST"),
            ("""{"paymentRequestId":"forgotten"}""", "ORDER_NOT_EXIST")
        );
        var events = string.Join('\n', receiver.Received.Select(received => received.Text));

        var byLog = await Command("find-lost", backup, log);
        byLog
            .Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .ShouldBe(
                [
                    $"LOST {client.Id} payment undone: told that it is cancelled, but it is SUCCESS",
                    $"LOST {client.Id} request forgotten: told that there is no such payment, but the note "
                        + "that keeps it out is gone",
                    // Four answers, and two log lines that record a delivery to the core.
                    "6 answers and events compared, 2 lost",
                ],
                ignoreOrder: true
            );
        byLog.Code.ShouldBe(1);

        var byEvents = await Find(backup, events);
        byEvents.ShouldContain("payment undone");
        byEvents.ShouldEndWith("2 answers and events compared, 1 lost\n");
        (await Find(database, $"{log}\n{events}\nno JSON\n[1]\n{{}}\n{{\"type\":\"\\ud800\"}}")).ShouldBe(
            "8 answers and events compared, 0 lost\n"
        );
        var restored = await Command("after-restore", backup);
        restored.Code.ShouldBe(0);
        restored.Output.ShouldStartWith("The feeds' cursors are of epoch ");
        using var away = TestDatabase.Of("Host=127.0.0.1;Port=1;Database=none");
        (await Command("find-lost", away, log)).Code.ShouldBe(2);
    }

    private static async Task<string> Find(TestDatabase database, string input)
    {
        await using var host = await TestHost.Start(database);
        await using var output = new StringWriter { NewLine = "\n" };
        using var lines = new StringReader(input);
        await host.Services.GetRequiredService<LostAnswers>().Find(lines, output, Token);
        return output.ToString();
    }

    // Returns the lines that a real instance logs.
    private static async Task<string> Serve(
        TestDatabase database,
        TestClient client,
        Receiver receiver,
        params (string Body, string Code)[] cancels
    )
    {
        var key = Path.Combine(database.Directory, "wallet.pem");
        await using var service = await ServiceProcess.Start([
            .. database.Settings,
            $"--Wallet:SigningKeyPath={key}",
            $"--Notifications:Url={receiver.Root}/",
            Receiver.SecretSetting,
            "--Notifications:PollInterval=00:00:00.050",
            "--Database:Timeout=00:00:30", // The first cancel takes long on a loaded machine, and must not be U.
            "--Limits:MaxQueueTime=00:00:30",
        ]);
        foreach (var (body, code) in cancels)
        {
            var call = new CancelCall
            {
                Client = client,
                At = TimeProvider.System.GetUtcNow(),
                Json = body,
            };
            (await Wire.Exchange(service.PublicPort, call.ToBytes(), "POST")).Code.ShouldBe(code);
        }
        await TestHost.Until(() => Task.FromResult(service.Output.Split("Notified of").Length - 1)).Becomes(2);
        return service.Output;
    }

    private static async Task CancelAndReport(TestHost host, TestClient client, params string[] ids)
    {
        foreach (var id in ids)
        {
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
            (await host.Report(client, "succeed", "e1", id)).ShouldBeProblem(409, "payment-cancelled");
        }
    }

    private static async Task<(List<string> Items, string Cursor)> Read(
        TestHost host,
        TestClient client,
        string feed,
        string? after = null
    )
    {
        var cursor = after is null ? "" : $"?after={after}";
        var page = (await host.Call("GET", $"/clients/{client.Id}/{feed}{cursor}")).ShouldBe(200);
        var items = page.Items.Select(item => item.GetProperty("paymentId").GetString()!).ToList();
        return (items, page["next"].ShouldNotBeNull());
    }

    private static async Task<(int Code, string Output)> Command(
        string command,
        TestDatabase database,
        string input = ""
    )
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [
                ServiceProcess.Assembly,
                command,
                "--environment=Production",
                $"--Wallet:SigningKeyPath={Path.Combine(database.Directory, "wallet.pem")}",
                .. Bearer.Settings,
                .. database.Settings,
            ]
        )
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start).ShouldNotBeNull();
        try
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var error = process.StandardError.ReadToEndAsync(deadline.Token);
            await process.StandardInput.WriteAsync(input.AsMemory(), deadline.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, await output + await error);
        }
        finally
        {
            process.Kill();
        }
    }
}
