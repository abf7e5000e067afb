using System.Net.Http.Headers;
using System.Text;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: every change of a client, key or balance and every requeue is on record with its author, time and reason.
/// </summary>
public sealed class ChangesTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private static string Body(string name, int burst = 5) =>
        $$$"""{"name":"{{{name}}}","enabled":true,"contract":{"burst":{{{burst}}}}}""";

    private static string Key(string? notAfter = null) =>
        $$"""{"publicKey":{{System.Text.Json.JsonSerializer.Serialize(KeyPair.Merchant.PublicKey.Pem)}}"""
        + $$""","notAfter":{{(notAfter is null ? "null" : $"\"{notAfter}\"")}}}""";

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Each_change_is_listed_with_author_time_reason_before_and_after(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var id = $"CHANGES_{provider}";
        await Send(host, HttpMethod.Put, $"/clients/{id}", Body("A shop"), "contract 17");
        await Send(host, HttpMethod.Put, $"/clients/{id}", Body("A shop", 9), "ticket 4");
        await Send(host, HttpMethod.Put, $"/clients/{id}/keys/1", Key(), "");
        await Send(host, HttpMethod.Put, $"/clients/{id}/keys/1", Key("2030-01-01T00:00:00Z"), "ends");
        await Send(host, HttpMethod.Delete, $"/clients/{id}/keys/1", "", "leaked");
        await Send(host, HttpMethod.Delete, $"/clients/{id}/keys/1", "", "again"); // Changes nothing.
        await Send(host, HttpMethod.Put, $"/clients/{id}/keys/1", Key(), "back"); // Refused: a revocation is final.

        var page = (await host.Call("GET", $"/changes?clientId={id}")).ShouldBe(200);

        page.Items.Select(item => $"{item.GetProperty("kind")} {item.GetProperty("reason")}")
            .ShouldBe(["CLIENT contract 17", "CLIENT ticket 4", "KEY ", "KEY ends", "KEY leaked"]);
        page.Items.ShouldAllBe(item => item.GetProperty("actor").GetString() == Bearer.Subject);
        page.Items.ShouldAllBe(item => item.GetProperty("at").GetDateTimeOffset() == host.Now);
        page.Items[0].GetProperty("before").ValueKind.ShouldBe(System.Text.Json.JsonValueKind.Null);
        page.Items[1].GetProperty("before").GetProperty("contract").GetProperty("burst").GetInt32().ShouldBe(5);
        page.Items[1].GetProperty("after").GetProperty("contract").GetProperty("burst").GetInt32().ShouldBe(9);
        page.Items[3].GetProperty("subject").GetString().ShouldBe("1");
        page.Items[3].GetProperty("before").ToString().ShouldBe(page.Items[2].GetProperty("after").ToString());
        page.Items[4].GetProperty("after").GetProperty("revokedAt").GetDateTimeOffset().ShouldBe(host.Now);

        foreach (
            var (query, count) in ((string, int)[])
                [
                    ("&kind=KEY", 3),
                    ("&kind=client", 2),
                    ($"&actor={Bearer.Subject}", 5),
                    ("&actor=nobody", 0),
                    ("&to=2000-01-01T00:00:00Z", 0),
                    ("&limit=2", 2),
                ]
        )
            (await host.Call("GET", $"/changes?clientId={id}{query}")).ShouldBe(200).Items.Count.ShouldBe(count, query);
        var (all, next) = (new List<string>(), "");
        do
        {
            var part = (await host.Call("GET", $"/changes?clientId={id}&limit=2{next}")).ShouldBe(200);
            all.AddRange(part.Items.Select(item => item.GetProperty("reason").GetString()!));
            next = part["next"] is { } cursor ? $"&after={cursor}" : "";
        } while (next.Length > 0);
        all.ShouldBe(["contract 17", "ticket 4", "", "ends", "leaked"]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Racing_changes_are_recorded_in_the_order_of_their_effect(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var id = $"RACE_{provider}";
        await Send(host, HttpMethod.Put, $"/clients/{id}", Body("first"), "");

        await Task.WhenAll(
            Enumerable.Range(1, 12).Select(i => Send(host, HttpMethod.Put, $"/clients/{id}", Body($"n{i}", i), ""))
        );

        var page = (await host.Call("GET", $"/changes?clientId={id}")).ShouldBe(200);
        page.Items.Count.ShouldBe(13);
        for (var i = 1; i < page.Items.Count; i++)
            page.Items[i].GetProperty("before").ToString().ShouldBe(page.Items[i - 1].GetProperty("after").ToString());
        var present = (await host.Call("GET", $"/clients/{id}")).ShouldBe(200);
        page.Items[^1].GetProperty("after").GetProperty("name").GetString().ShouldBe(present["name"]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Transfers_and_requeues_are_recorded(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var account = $"/clients/{client.Id}/accounts/USD";
        await Send(host, HttpMethod.Post, $"{account}/deposits", """{"id":"d1","minorUnits":500}""", "settlement 9");
        // A repeat of a known deposit.
        await Send(host, HttpMethod.Post, $"{account}/deposits", """{"id":"d1","minorUnits":500}""", "again");
        await Send(host, HttpMethod.Post, $"{account}/payouts", """{"id":"o1","minorUnits":120}""", "");
        // Refused: the balance is too low.
        await Send(host, HttpMethod.Post, $"{account}/payouts", """{"id":"o2","minorUnits":9999}""", "too much");
        await host.AddPayment(client, State.Success);
        (await host.Send(new CancelCall { Client = client, At = host.Now })).Code.ShouldBe("SUCCESS");
        await host.Execute($"UPDATE outbox SET due_at = NULL, parked_at = created_at WHERE client_id = '{client.Id}'");
        var events = "/notifications";
        await Send(host, HttpMethod.Post, $"{events}/{client.Id}/p1/requeue", "", "the core is back");
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        // Changes nothing: the event is not parked.
        await Send(host, HttpMethod.Post, $"{events}/{client.Id}/p1/requeue", "", "again");
        await host.Execute($"UPDATE outbox SET due_at = NULL, parked_at = created_at WHERE client_id = '{client.Id}'");
        await Send(host, HttpMethod.Post, $"{events}/requeue", $$"""{"clientId":"{{client.Id}}"}""", "ticket 5");

        var page = (await host.Call("GET", $"/changes?clientId={client.Id}")).ShouldBe(200);

        page.Items.Where(item => item.GetProperty("kind").GetString() is "TRANSFER" or "REQUEUE")
            .Select(item =>
                $"{item.GetProperty("kind")} {item.GetProperty("subject")} {item.GetProperty("reason")} "
                + $"{item.GetProperty("after")}"
            )
            .ShouldBe([
                """TRANSFER d1 settlement 9 {"debit":"SETTLEMENT","credit":"MERCHANT","amount":"""
                    + """{"minorUnits":500,"currency":"USD"},"balance":{"before":0,"after":500}}""",
                """TRANSFER o1  {"debit":"MERCHANT","credit":"SETTLEMENT","amount":{"minorUnits":120"""
                    + ""","currency":"USD"},"balance":{"before":500,"after":380}}""",
                """REQUEUE p1 the core is back {"state":"PARKED","events":1}""",
                """REQUEUE  ticket 5 {"state":"PARKED","from":null,"to":null,"events":1}""",
            ]);
        page.Items.ShouldAllBe(item =>
            item.GetProperty("kind").GetString() == "CLIENT"
            || item.GetProperty("kind").GetString() == "KEY"
            || item.GetProperty("actor").GetString() == Bearer.Subject
        );
        await host.ShouldPassTheAudit();
    }

    [Theory]
    // Method, path and body of a request that is rejected without a reason.
    [InlineData("PUT", "/clients/C", """{"name":"x","enabled":true}""")]
    [InlineData("PUT", "/clients/C/keys/1", """{"publicKey":"x"}""")]
    [InlineData("DELETE", "/clients/C/keys/1", "")]
    [InlineData("POST", "/clients/C/accounts/USD/deposits", """{"id":"d","minorUnits":1}""")]
    [InlineData("POST", "/clients/C/accounts/USD/payouts", """{"id":"d","minorUnits":1}""")]
    public async Task Change_without_a_required_reason_is_rejected(string method, string path, string body)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres, "--Changes:RequireReason=true");
        foreach (var reason in (string[])["", " "])
            (await Send(host, new HttpMethod(method), path, body, reason)).ShouldBe(400, $"'{reason}'");
        (await host.Call("GET", "/changes")).ShouldBe(200).Items.ShouldBeEmpty();

        (await Send(host, HttpMethod.Put, "/clients/C", """{"name":"x","enabled":true}""", "ticket 1")).ShouldBe(200);
        if (path != "/clients/C")
            (await Send(host, new HttpMethod(method), path, body, "ticket 2")).ShouldNotBe(400);
    }

    [Theory]
    [InlineData("?after=zzz")]
    [InlineData("?after=-1-0")]
    [InlineData("?after=%00")]
    [InlineData("?actor=%00")]
    [InlineData("?clientId=a.b")]
    [InlineData("?kind=PAY")]
    [InlineData("?from=2026-11-25")]
    [InlineData("?limit=0")]
    public async Task Malformed_query_is_rejected(string query)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        (await host.Call("GET", $"/changes{query}")).Status.ShouldBe(400);
    }

    [Fact]
    public async Task Overlong_reason_is_rejected_and_changes_nothing()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        (await Send(host, HttpMethod.Put, "/clients/LONG", Body("x"), new string('a', 513))).ShouldBe(400);
        (await host.Call("GET", "/clients/LONG")).Status.ShouldBe(404);
    }

    private static async Task<int> Send(TestHost host, HttpMethod method, string path, string body, string reason)
    {
        using var request = new HttpRequestMessage(method, $"/internal/v1{path}");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.All);
        if (reason.Length > 0)
            request.Headers.Add("X-Reason", reason);
        if (body.Length > 0)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await host.Internal.SendAsync(request, TestContext.Current.CancellationToken);
        return (int)answer.StatusCode;
    }
}
