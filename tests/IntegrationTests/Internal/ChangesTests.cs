using System.Net.Http.Headers;
using System.Text;
using CancelService.Infrastructure.Persistence;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Who changed which client or key, when and why, is on record with the change.</summary>
public sealed class ChangesTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private static string Body(string name, int burst = 5) =>
        $$$"""{"name":"{{{name}}}","enabled":true,"contract":{"burst":{{{burst}}}}}""";

    private static string Key(string? notAfter = null) =>
        $$"""{"publicKey":{{System.Text.Json.JsonSerializer.Serialize(KeyPair.Merchant.PublicKey.Pem)}},"notAfter":{{(notAfter is null ? "null" : $"\"{notAfter}\"")}}}""";

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Each_change_is_listed_with_who_when_why_before_and_after(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var id = $"CHANGES_{provider}";
        await Send(host, HttpMethod.Put, $"/clients/{id}", Body("A shop"), "contract 17");
        await Send(host, HttpMethod.Put, $"/clients/{id}", Body("A shop", 9), "ticket 4");
        await Send(host, HttpMethod.Put, $"/clients/{id}/keys/1", Key(), "");
        await Send(host, HttpMethod.Put, $"/clients/{id}/keys/1", Key("2030-01-01T00:00:00Z"), "ends");
        await Send(host, HttpMethod.Delete, $"/clients/{id}/keys/1", "", "leaked");
        await Send(host, HttpMethod.Delete, $"/clients/{id}/keys/1", "", "again"); // Changes nothing.
        await Send(host, HttpMethod.Put, $"/clients/{id}/keys/1", Key(), "back"); // Refused: revoked for good.

        var page = (await host.Call("GET", $"/changes?clientId={id}")).ShouldBe(200);

        page.Items.Select(item => $"{item.GetProperty("kind")} {item.GetProperty("reason")}")
            .ShouldBe(["CLIENT contract 17", "CLIENT ticket 4", "KEY ", "KEY ends", "KEY leaked"]);
        page.Items.ShouldAllBe(item => item.GetProperty("actor").GetString() == Bearer.Subject);
        page.Items.ShouldAllBe(item => item.GetProperty("at").GetDateTimeOffset() == host.Now);
        page.Items[0].GetProperty("before").ValueKind.ShouldBe(System.Text.Json.JsonValueKind.Null);
        page.Items[1].GetProperty("before").GetProperty("contract").GetProperty("burst").GetInt32().ShouldBe(5);
        page.Items[1].GetProperty("after").GetProperty("contract").GetProperty("burst").GetInt32().ShouldBe(9);
        page.Items[3].GetProperty("keyVersion").GetInt32().ShouldBe(1);
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
    public async Task Changes_that_race_are_on_record_in_the_order_in_which_they_took_effect(DatabaseProvider provider)
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
    [InlineData("?after=zzz")]
    [InlineData("?after=-1-0")]
    [InlineData("?after=%00")]
    [InlineData("?actor=%00")]
    [InlineData("?clientId=a.b")]
    [InlineData("?kind=PAY")]
    [InlineData("?from=2026-11-25")]
    [InlineData("?limit=0")]
    public async Task What_is_malformed_is_refused(string query)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        (await host.Call("GET", $"/changes{query}")).Status.ShouldBe(400);
    }

    [Fact]
    public async Task A_reason_that_is_too_long_is_refused_and_nothing_is_changed()
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
