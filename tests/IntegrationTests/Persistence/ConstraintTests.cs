using CancelService.Domain.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>
/// Goal: only a constraint that arbitrates a race counts as a lost race; any other violation is an error with a trace.
/// </summary>
public sealed class ConstraintTests(PostgresServer postgres)
{
    [Fact]
    public async Task Violation_of_another_constraint_is_logged_once_with_name_and_SQLSTATE()
    {
        using var log = new LogLines();
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, log);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        await host.Execute("ALTER TABLE outbox ADD CONSTRAINT ck_planted CHECK (payment_id <> 'p1') NOT VALID");

        var answer = await host.Cancel(client);

        answer.Code.ShouldBe("UNKNOWN_EXCEPTION");
        answer.Text.ShouldNotContain("planted");
        var line = log.Of("ExchangeLog")
            .Where(entry =>
                entry.Level is LogLevel.Error && entry.Text.Contains("ck_planted", StringComparison.Ordinal)
            )
            .ShouldHaveSingleItem();
        line.Text.ShouldContain("23514");
        (await host.Rows(client)).Status.ShouldBe(PaymentStatus.Processing);
    }

    [Fact]
    public async Task Schema_contains_every_constraint_that_arbitrates_a_race()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        await using var db = host.Db();
        var names = await db
            .Database.SqlQueryRaw<string>(
                "SELECT conname::text AS \"Value\" FROM pg_constraint UNION SELECT indexname::text FROM pg_indexes"
            )
            .ToListAsync(TestContext.Current.CancellationToken);

        foreach (var name in (string[])[.. Arbiters.Keys.Keys, .. Arbiters.Checks, .. Arbiters.ForeignKeys])
            names.ShouldContain(known => known == name);
    }
}
