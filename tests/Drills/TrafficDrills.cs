using Microsoft.Extensions.Time.Testing;

namespace CancelService.Drills;

public sealed class TurnsAwayDrill
{
    [Fact]
    public async Task Alert_fires_while_strangers_are_throttled()
    {
        const string alert = "CancelServiceTurnsAway";
        RunbookPage.Read(alert).Commands.ShouldBeEmpty();
        await using var drill = await Drill.Start(
            await PostgresCluster.Start(durable: true),
            "--Limits:UnverifiedAnswersPerSecond=1",
            "--Limits:UnverifiedAnswersBurst=1"
        );
        // Distinct client names, because equal refusals share a signature; concurrent requests, so a slow machine sends
        // enough.
        var strangers = 0;
        await using (
            Drill.Meanwhile(() =>
                Task.WhenAll(Enumerable.Range(0, 20).Select(_ => drill.Cancel("p1", client: $"STRANGER_{++strangers}")))
            )
        )
            await drill.Prometheus.Fires(alert);
        await drill.Prometheus.Ends(alert);
    }
}

public sealed class ClockSkewDrill
{
    [Fact]
    public async Task Clock_skew_of_an_hour_is_found()
    {
        const string alert = "CancelServiceClockSkew";
        RunbookPage.Read(alert).Commands.ShouldBeEmpty();
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        await drill.Pay("p1");
        var ahead = new FakeTimeProvider(TimeProvider.System.GetUtcNow().AddHours(1));
        await using (Drill.Meanwhile(() => drill.Cancel("p1", ahead)))
        {
            (await drill.Final("p1", ahead)).ShouldBe("PARAM_ILLEGAL");
            await drill.Prometheus.Fires(alert);
        }
        await using var merchants = Drill.Meanwhile(() => drill.Cancel("p1"));
        await drill.Prometheus.Ends(alert);
    }
}

public sealed class InstanceDownDrill
{
    [Fact]
    public async Task Killed_instance_recovers_after_a_restart()
    {
        var (one, all) = (RunbookPage.Read("CancelServiceInstanceDown"), RunbookPage.Read("CancelServiceDown"));
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        await drill.Prometheus.Ends("CancelServiceInstanceDown");
        await drill.Service.Kill();

        await drill.Prometheus.Fires("CancelServiceInstanceDown");
        await drill.Prometheus.Fires("CancelServiceDown");
        await drill.Run(one.Take("curl"), succeeds: false);

        drill.Service.Launch();
        await drill.Service.Ready();
        await drill.Prometheus.Ends("CancelServiceInstanceDown");
        await drill.Prometheus.Ends("CancelServiceDown");
        await drill.Run(one.Take("curl"));
        (await drill.Run(all.Take("curl"))).ShouldBe("Healthy");
        one.Left.Concat(all.Left).ShouldBeEmpty();
    }
}

public sealed class RacesExhaustedDrill
{
    [Fact]
    public async Task Alert_fires_while_cancels_lose_every_race()
    {
        const string alert = "CancelServiceRacesExhausted";
        RunbookPage.Read(alert).Commands.ShouldBeEmpty();
        await using var drill = await Drill.Start(await PostgresCluster.Start(durable: true));
        await drill.Pay("p1");
        // Raises, for every cancel, the error that PostgreSQL reports to the loser of a race.
        await drill.Sql(
            """
            CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE unique_violation USING CONSTRAINT = 'ux_payment_history_cancellation'; END $$;
            CREATE TRIGGER lose BEFORE INSERT ON payment_history FOR EACH ROW WHEN (NEW.action = 'CANCEL')
                EXECUTE FUNCTION lose()
            """
        );
        await using (Drill.Meanwhile(() => drill.Cancel("p1")))
            await drill.Prometheus.Fires(alert);
        drill.Service.Output.ShouldContain("Gave up a");

        await drill.Sql("DROP TRIGGER lose ON payment_history");
        await drill.Prometheus.Ends(alert);
        (await drill.Final("p1")).ShouldBe("SUCCESS");
    }
}
