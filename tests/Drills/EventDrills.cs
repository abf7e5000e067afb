using System.Net;

namespace CancelService.Drills;

public sealed class EventsAgeDrill
{
    [Fact]
    public async Task Waiting_event_is_delivered_after_the_receiver_recovers()
    {
        const string alert = "CancelServiceEventsAge";
        var page = RunbookPage.Read(alert);
        await using var receiver = await Core.Start(HttpStatusCode.InternalServerError);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true), receiver.Settings);
        await drill.Pay("p1");
        (await drill.Final("p1")).ShouldBe("SUCCESS");
        // Backdated, instead of waiting ten minutes.
        await drill.Sql("UPDATE outbox SET created_at = created_at - interval '10 minutes'");

        await drill.Prometheus.Fires(alert);
        (await drill.Run(page.Take("curl"))).ShouldContain("500");

        receiver.Answers = HttpStatusCode.OK;
        await drill.Prometheus.Ends(alert);
        page.Left.ShouldBeEmpty();
    }
}

public sealed class ReceiverAwayDrill
{
    [Fact]
    public async Task Delivery_resumes_after_a_receiver_outage()
    {
        const string alert = "CancelServiceReceiverAway";
        RunbookPage.Read(alert).Commands.ShouldBeEmpty(); // This page refers to the previous one.
        await using var receiver = await Core.Start(HttpStatusCode.ServiceUnavailable);
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true), receiver.Settings);
        for (var i = 0; i < 30; i++)
        {
            await drill.Pay($"p{i}");
            (await drill.Final($"p{i}")).ShouldBe("SUCCESS");
        }

        await drill.Prometheus.Fires(alert);
        receiver.Answers = HttpStatusCode.OK;
        await drill.Prometheus.Ends(alert);
    }
}

public sealed class EventsParkedDrill
{
    [Fact]
    public async Task Parked_events_are_requeued()
    {
        const string alert = "CancelServiceEventsParked";
        var page = RunbookPage.Read(alert);
        await using var receiver = await Core.Start(HttpStatusCode.BadRequest);
        await using var drill = await Drill.Start(
            await PostgresCluster.Start(durable: true),
            [.. receiver.Settings, "--Notifications:MaxAttempts=1"]
        );
        await drill.Pay("p1");
        (await drill.Final("p1")).ShouldBe("SUCCESS");

        await drill.Prometheus.Fires(alert);
        var list = page.Take("curl -s \"$I/internal/v1/notifications?state=parked\"");
        (await drill.Run(list)).ShouldContain("400");

        receiver.Answers = HttpStatusCode.OK;
        (await drill.Run(page.Take("curl -s -X POST"))).ShouldBe("""{"requeued":1,"more":false}""");
        await drill.Prometheus.Ends(alert);
        (await drill.Run(list)).ShouldBe("""{"items":[],"next":null}""");
        page.Left.ShouldBeEmpty();
    }
}

public sealed class CoreAwayDrill
{
    [Fact]
    public async Task Core_catches_up_after_a_day_away()
    {
        var page = RunbookPage.Read("The core was away for a day");
        await using var receiver = await Core.Start(HttpStatusCode.BadGateway);
        await using var drill = await Drill.Start(
            await PostgresCluster.Start(durable: true),
            [.. receiver.Settings, "--Notifications:MaxAttempts=1"]
        );
        foreach (var id in (string[])["p1", "p2", "p3"])
        {
            await drill.Pay(id);
            (await drill.Final(id)).ShouldBe("SUCCESS");
        }
        await drill.Prometheus.Fires("CancelServiceEventsParked");

        receiver.Answers = HttpStatusCode.OK;
        (await drill.Run(page.Take("curl -s -X POST"))).ShouldContain("\"more\":false");
        await drill.Prometheus.Ends("CancelServiceEventsParked");
        (await drill.Run(page.Take("curl -s \"$I/internal/v1/clients"))).ShouldContain("\"paymentId\":\"p3\"");
        page.Left.ShouldBeEmpty();
    }
}

/// <summary>Webhook receiver of the core.</summary>
internal sealed class Core : IAsyncDisposable
{
    private readonly HttpServer _server;

    private Core(HttpServer server) => _server = server;

    public HttpStatusCode Answers { get; set; }

    public string[] Settings =>
        [
            $"--Notifications:Url=http://127.0.0.1:{_server.Port}",
            "--Notifications:Secrets:0=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "--Notifications:BackOffMaximum=00:00:01",
        ];

    public static async Task<Core> Start(HttpStatusCode answers)
    {
        Core? core = null;
        var server = await HttpServer.Start(() => Task.FromResult((core!.Answers, "")));
        return core = new Core(server) { Answers = answers };
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
