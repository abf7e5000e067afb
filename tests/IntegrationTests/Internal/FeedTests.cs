using System.Globalization;
using System.Text.Json;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: reconciliation reads feeds that never skip a row, and a report by time.</summary>
public sealed class FeedTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const int Writers = 4;
    private const int CancelsEach = 25;
    private const string Patient = "--Database:Timeout=00:00:30";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Feed_shows_each_cancellation_once_in_a_stable_order_under_concurrent_writes(
        DatabaseProvider provider
    )
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        var other = await host.AddClient();
        var ids = Enumerable.Range(0, Writers * CancelsEach).Select(i => $"p{i}").ToList();
        foreach (var id in ids)
            await host.AddPayment(client, State.Processing, id);
        await host.AddPayment(other, State.Processing);
        (await host.Cancel(other)).Code.ShouldBe("SUCCESS");

        var writing = Task.WhenAll(ids.Chunk(CancelsEach).Select(chunk => Task.Run(() => CancelAll(chunk))));
        var first = Follow(host, client, "cancellations", ids.Count, 7);
        var second = Follow(host, client, "cancellations", ids.Count, 3);
        await Task.WhenAll(writing, first, second);

        (await first).ShouldBe(ids, ignoreOrder: true);
        (await second).ShouldBe(await first);
        (await Follow(host, client, "cancellations", ids.Count, 500)).ShouldBe(await first);
        (await Follow(host, other, "cancellations", 1, 500)).ShouldBe(["p1"]);
        await host.ShouldPassTheAudit();

        async Task CancelAll(string[] chunk)
        {
            foreach (var id in chunk)
                (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Feed_shows_each_late_report_once_in_a_stable_order_under_concurrent_writes(
        DatabaseProvider provider
    )
    {
        await using var host = await TestHost.Start(provider, postgres, Patient);
        var client = await host.AddClient();
        var ids = Enumerable.Range(0, 40).Select(i => $"p{i}").ToList();
        foreach (var id in ids)
        {
            await host.AddPayment(client, State.Processing, id);
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
        }

        var writing = Task.WhenAll(
            ids.Chunk(10)
                .Select(chunk =>
                    Task.Run(async () =>
                    {
                        foreach (var id in chunk)
                            (await host.Report(client, "succeed", "e1", id)).ShouldBeProblem(409, "payment-cancelled");
                    })
                )
        );
        var reading = Follow(host, client, "late-reports", ids.Count, 3);
        await Task.WhenAll(writing, reading);

        (await reading).ShouldBe(ids, ignoreOrder: true);
        (await Follow(host, client, "late-reports", ids.Count, 500)).ShouldBe(await reading);
        var item = (await host.Call("GET", $"/clients/{client.Id}/late-reports?limit=1")).Items.Single();
        item.GetProperty("action").GetString().ShouldBe("SUCCEED");
        item.GetProperty("remedy").GetString().ShouldBe("REFUND_PAYER");
        item.GetProperty("eventId").GetString().ShouldBe("e1");
        item.GetProperty("actor").GetString().ShouldBe(Bearer.Subject);
        item.GetProperty("version").GetInt32().ShouldBe(3);
        item.GetProperty("amount").ToString().ShouldBe(InternalWire.Amount());
    }

    // A number assigned at write time (identity column, sequence, timestamp) is taken before the commit, and rows
    // commit in a different order. A reader resumes after number 2; when number 1 commits later, no read returns it.
    // Feeds therefore assign positions at read time.
    [Fact]
    public async Task Feed_does_not_skip_a_late_commit_although_a_write_time_number_would()
    {
        var host = await hosts.On(DatabaseProvider.Postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing, "late");
        await host.AddPayment(client, State.Processing, "early");
        await host.Execute(
            "DROP TABLE IF EXISTS identity_feed; "
                + "CREATE TABLE identity_feed (place bigint GENERATED ALWAYS AS IDENTITY, payment_id text)"
        );
        await using var source = Source(host);
        await using var connection = await source.OpenConnectionAsync(Token);
        await using var transaction = await connection.BeginTransactionAsync(Token);
        await Execute(
            connection,
            $"""
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                minor_units, currency, answer)
            VALUES ('{client.Id}', 'late', 2, 'CANCEL', 'merchant', '2026-11-23T11:59:59Z', 'PROCESSING', 'CANCELLED',
                1000, 'USD', 'x');
            INSERT INTO identity_feed (payment_id) VALUES ('late')
            """
        );

        (await host.Cancel(client, """{"paymentId":"early"}""")).Code.ShouldBe("SUCCESS");
        await host.Execute("INSERT INTO identity_feed (payment_id) VALUES ('early')");
        var read = await Page(host, client, "cancellations", null);
        read.Ids.ShouldBe(["early"]);
        var (byIdentity, identityCursor) = await Naive(source, "place", "identity_feed", "place > 0");
        var (byTime, timeCursor) = await Naive(
            source,
            "at",
            "payment_history",
            $"client_id = '{client.Id}' AND action = 'CANCEL' AND at > 'epoch'"
        );
        byIdentity.ShouldBe(["early"]);
        byTime.ShouldBe(["early"]);

        await transaction.CommitAsync(Token);

        (await Page(host, client, "cancellations", read.Next)).Ids.ShouldBe(["late"]);
        (await Page(host, client, "cancellations", null)).Ids.ShouldBe(["early", "late"]);
        (await Naive(source, "place", "identity_feed", $"place > {identityCursor}")).Ids.ShouldBeEmpty();
        (
            await Naive(
                source,
                "at",
                "payment_history",
                $"client_id = '{client.Id}' AND action = 'CANCEL' AND at > '{timeCursor}'"
            )
        ).Ids.ShouldBeEmpty();
    }

    [Fact]
    public async Task Feed_reader_waits_for_a_concurrent_numbering_and_keeps_its_positions()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");
        await using var source = Source(host);
        await using var connection = await source.OpenConnectionAsync(Token);
        await using var transaction = await connection.BeginTransactionAsync(Token);
        await Execute(
            connection,
            $"""
            UPDATE clients SET enabled = enabled WHERE client_id = '{client.Id}';
            UPDATE payment_history SET position = 7 WHERE client_id = '{client.Id}' AND action = 'CANCEL'
            """
        );

        var reading = Page(host, client, "cancellations", null);
        await TestHost.Until(() => HeldLock.Awaited(host.ConnectionString, "UPDATE%clients%")).Becomes(1L);
        await transaction.CommitAsync(Token);

        (await reading).Next.ShouldBe("0-7");
    }

    [Fact]
    public async Task Feed_does_not_skip_a_late_report_that_commits_late()
    {
        var host = await hosts.On(DatabaseProvider.Postgres);
        var client = await host.AddClient();
        foreach (var id in (string[])["late", "early"])
        {
            await host.AddPayment(client, State.Processing, id);
            (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
        }
        await using var source = Source(host);
        await using var connection = await source.OpenConnectionAsync(Token);
        await using var transaction = await connection.BeginTransactionAsync(Token);
        await Execute(
            connection,
            $"""
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                minor_units, currency, remedy)
            VALUES ('{client.Id}', 'late', 3, 'SUCCEED', 'core', '2026-11-23T11:59:59Z', 'CANCELLED', 'CANCELLED',
                1000, 'USD', 'REFUND_PAYER')
            """
        );

        (await host.Report(client, "succeed", "e1", "early")).ShouldBeProblem(409, "payment-cancelled");
        var read = await Page(host, client, "late-reports", null);
        read.Ids.ShouldBe(["early"]);
        await transaction.CommitAsync(Token);

        (await Page(host, client, "late-reports", read.Next)).Ids.ShouldBe(["late"]);
        (await Page(host, client, "late-reports", null)).Ids.ShouldBe(["early", "late"]);
    }

    /// <summary>
    /// Goal: a feed with a long backlog is numbered in batches, so no read takes unbounded time or memory.
    /// </summary>
    [Fact]
    public async Task Feed_numbers_its_backlog_in_batches_of_a_thousand_rows()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, Patient);
        var client = await host.AddClient();
        await host.Execute(
            $"""
            INSERT INTO payments (client_id, payment_id, kind, amount_minor_units, amount_currency, initiated_at,
                status, captured, refunded, version)
            SELECT '{client.Id}', 'p' || n, 'PAYMENT', 1, 'USD', now(), 'CANCELLED', 0, 0, 2
            FROM generate_series(1, 1001) n;
            INSERT INTO payment_requests (client_id, payment_request_id, payment_id)
            SELECT client_id, 'r-' || payment_id, payment_id FROM payments;
            INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                minor_units, currency, answer)
            SELECT client_id, payment_id, 2, 'CANCEL', 'merchant', now(), 'PROCESSING', 'CANCELLED', 1, 'USD', 'x'
            FROM payments
            """
        );

        await Page(host, client, "cancellations", null, limit: 1);
        (await WithoutPlace()).ShouldBe(1);
        await Page(host, client, "cancellations", null, limit: 1);
        (await WithoutPlace()).ShouldBe(0);

        async Task<int> WithoutPlace()
        {
            await using var db = host.Db();
            return await db
                .Database.SqlQueryRaw<int>(
                    "SELECT count(*)::int AS \"Value\" FROM payment_history WHERE action = 'CANCEL' AND "
                        + "position IS NULL"
                )
                .SingleAsync(Token);
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Feed_ends_with_an_empty_page_and_a_cursor_that_stays_valid(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var nothing = (await host.Call("GET", $"/clients/{client.Id}/cancellations")).ShouldBe(200);
        nothing.Items.ShouldBeEmpty();
        nothing["next"].ShouldBeNull();
        await host.AddPayment(client, State.Success);
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS");

        var page = (await host.Call("GET", $"/clients/{client.Id}/cancellations")).ShouldBe(200);

        var item = page.Items.Single();
        item.GetProperty("clientId").GetString().ShouldBe(client.Id.Value);
        item.GetProperty("paymentRequestId").GetString().ShouldBe("req-p1");
        item.GetProperty("amount").ToString().ShouldBe(InternalWire.Amount());
        item.GetProperty("effect").GetString().ShouldBe("REFUNDED");
        item.GetProperty("cancelTime").GetDateTimeOffset().ShouldBe(host.Now);
        var next = page["next"].ShouldNotBeNull();
        (await Page(host, client, "cancellations", next)).Ids.ShouldBeEmpty();
        await host.AddPayment(client, State.Processing, "p2");
        (await host.Cancel(client, """{"paymentId":"p2"}""")).Code.ShouldBe("SUCCESS");
        (await Page(host, client, "cancellations", next)).Ids.ShouldBe(["p2"]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Report_lists_the_cancellations_of_a_period_by_time_across_pages(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        var (one, two) = (await host.AddClient(id: "A"), await host.AddClient(id: "B"));
        var expected = new List<string>();
        // Five rows share each of two timestamps, so a page ends between equal timestamps; then one row per timestamp.
        for (var second = 0; second < 4; second++)
        {
            foreach (var client in (TestClient[])[one, two])
            {
                for (var i = 0; i < (second < 2 ? 5 : 1); i++)
                {
                    var id = $"s{second}-{i}";
                    await host.AddPayment(client, State.Processing, id);
                    (await host.Cancel(client, $$"""{"paymentId":"{{id}}"}""")).Code.ShouldBe("SUCCESS");
                    expected.Add($"{client.Id} {id}");
                }
            }
            host.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        foreach (var limit in (int[])[1, 2, 3, 4, 7, 10, 500])
        {
            (await Report(host, "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z", limit)).ShouldBe(
                expected,
                $"pages of {limit}"
            );
        }
        // From is inclusive, to is exclusive, in any time zone.
        (await Report(host, "2026-11-23T20:00:01%2B08:00", "2026-11-23T20:00:02%2B08:00", 3)).ShouldBe(
            expected[10..20]
        );
        (await Report(host, "2026-11-23T12:00:04Z", "2026-11-23T13:00:00Z", 3)).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("?from=2026-11-23T12:00:00Z")]
    [InlineData("?from=2026-11-23T12:00:00Z&to=2026-11-23T12:00:00Z")]
    [InlineData("?from=yesterday&to=2026-11-23T12:00:00Z")]
    [InlineData("?from=2026-11-23T12:00:00Z&to=2026-11-23T13:00:00Z&limit=0")]
    [InlineData("?from=2026-11-23T12:00:00Z&to=2026-11-23T13:00:00Z&after=junk")]
    [InlineData("?from=2026-11-23T12:00:00Z&to=2026-11-23T13:00:00Z&after=1-x")]
    [InlineData("?from=2026-11-23T12:00:00Z&to=2026-11-23T13:00:00Z&after=9223372036854775807-1")]
    public async Task Malformed_report_query_is_rejected(string query)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        (await host.Call("GET", $"/cancellations{query}")).Status.ShouldBe(400);
    }

    private static async Task<List<string>> Report(TestHost host, string from, string to, int limit)
    {
        var all = new List<string>();
        string? next = null;
        do
        {
            var cursor = next is null ? "" : $"&after={next}";
            var page = await host.Call("GET", $"/cancellations?from={from}&to={to}&limit={limit}{cursor}");
            page.ShouldBe(200).Items.Count.ShouldBeLessThanOrEqualTo(limit);
            all.AddRange(page.Items.Select(item => $"{item.GetProperty("clientId")} {item.GetProperty("paymentId")}"));
            next = page["next"];
        } while (next is not null && all.Count < 100);
        return all;
    }

    // Follows the feed from the last cursor until the expected count, then reads once more to prove that no row
    // follows.
    private static async Task<List<string>> Follow(TestHost host, TestClient client, string feed, int count, int limit)
    {
        var (all, cursor) = (new List<string>(), (string?)null);
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (ids, next) = await Page(host, client, feed, cursor, limit);
            ids.Count.ShouldBeLessThanOrEqualTo(limit);
            if (ids.Count == 0 && all.Count >= count)
                return all;
            all.AddRange(ids);
            cursor = next ?? cursor;
            TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(TimeSpan.FromSeconds(60), $"{all.Count} seen");
        }
    }

    private static async Task<(IReadOnlyList<string> Ids, string? Next)> Page(
        TestHost host,
        TestClient client,
        string feed,
        string? after,
        int limit = 100
    )
    {
        var cursor = after is null ? "" : $"&after={after}";
        var page = (await host.Call("GET", $"/clients/{client.Id}/{feed}?limit={limit}{cursor}")).ShouldBe(200);
        return ([.. page.Items.Select(Id)], page["next"]);

        static string Id(JsonElement item) => item.GetProperty("paymentId").GetString()!;
    }

    private static NpgsqlDataSource Source(TestHost host) => NpgsqlDataSource.Create(host.ConnectionString);

    private static async Task Execute(NpgsqlConnection connection, string sql)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    // Reader with the same cursor over a number assigned at write time.
    private static async Task<(List<string> Ids, string Cursor)> Naive(
        NpgsqlDataSource source,
        string number,
        string table,
        string where
    )
    {
        await using var command = source.CreateCommand(
            $"SELECT payment_id, {number}::text FROM {table} WHERE {where} ORDER BY {number}"
        );
        await using var rows = await command.ExecuteReaderAsync();
        var (ids, cursor) = (new List<string>(), "");
        while (await rows.ReadAsync())
        {
            ids.Add(rows.GetString(0));
            cursor = Convert.ToString(rows.GetValue(1), CultureInfo.InvariantCulture)!;
        }
        return (ids, cursor);
    }
}
