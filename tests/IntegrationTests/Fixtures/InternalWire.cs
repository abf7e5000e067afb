using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CancelService.Api.Internal;
using CancelService.Infrastructure.Ledger;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>Response of the internal API.</summary>
internal sealed record Reply(int Status, string Text)
{
    public JsonElement Json
    {
        get
        {
            using var document = JsonDocument.Parse(Text);
            return document.RootElement.Clone();
        }
    }

    /// <summary>Value of the member at a path, as text; null when it is null or missing.</summary>
    public string? this[string path]
    {
        get
        {
            var element = Json;
            foreach (var name in path.Split('.'))
            {
                if (!element.TryGetProperty(name, out element))
                    return null;
            }
            return element.ValueKind is JsonValueKind.Null ? null : element.ToString();
        }
    }

    public IReadOnlyList<JsonElement> Items => [.. Json.GetProperty("items").EnumerateArray()];

    /// <summary>Fails unless the response is this problem, with the type's status.</summary>
    public void ShouldBeProblem(int status, string type)
    {
        Status.ShouldBe(status, Text);
        this["type"].ShouldBe(Problems.TypePrefix + type, Text);
        this["title"].ShouldNotBeNullOrEmpty();
    }

    public Reply ShouldBe(int status)
    {
        Status.ShouldBe(status, Text);
        return this;
    }
}

/// <summary>Calls the internal API over its socket.</summary>
internal static class InternalWire
{
    /// <summary>JSON of an amount; by default that of every test payment (<see cref="State"/>).</summary>
    public static string Amount(long minorUnits = State.Amount, string currency = "USD") =>
        $$"""{"minorUnits":{{minorUnits}},"currency":"{{currency}}"}""";

    public static async Task<Reply> Call(
        this TestHost host,
        string method,
        string path,
        string? json = null,
        string? token = null,
        bool anonymous = false,
        string contentType = "application/json"
    )
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), "/internal/v1" + path);
        if (!anonymous)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token ?? Bearer.All);
        if (json is not null)
            request.Content = new StringContent(json, Encoding.UTF8, contentType);
        using var response = await host.Internal.SendAsync(request);
        return new Reply((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    /// <summary>Registers a payment of 1000 USD cents; its paymentRequestId is <c>req-</c> plus its id.</summary>
    public static Task<Reply> Register(
        this TestHost host,
        TestClient client,
        string id = "p1",
        string? requestId = null,
        string kind = "PAYMENT",
        string? amount = null,
        string? initiatedAt = null,
        string? payer = null
    )
    {
        var at = initiatedAt ?? host.Now.ToString("O", CultureInfo.InvariantCulture);
        var payerMember = payer is null ? "" : $",\"payer\":\"{payer}\"";
        return host.Call(
            "PUT",
            $"/clients/{client.Id}/payments/{id}",
            $$"""{"paymentRequestId":"{{requestId
                ?? $"req-{id}"}}","kind":"{{kind}}","amount":{{amount
                ?? Amount()}},"initiatedAt":"{{at}}"{{payerMember}}}"""
        );
    }

    /// <summary>Reports an event of a payment; captures and refunds carry an amount.</summary>
    public static Task<Reply> Report(
        this TestHost host,
        TestClient client,
        string action,
        string eventId,
        string id = "p1",
        long? minorUnits = null,
        string currency = "USD"
    ) =>
        host.Call(
            "POST",
            $"/clients/{client.Id}/payments/{id}/{action}",
            minorUnits is { } units
                ? $$"""{"eventId":"{{eventId}}","amount":{{Amount(units, currency)}}}"""
                : $$"""{"eventId":"{{eventId}}"}"""
        );

    public static async Task<Reply> Detail(this TestHost host, TestClient client, string id = "p1") =>
        (await host.Call("GET", $"/clients/{client.Id}/payments/{id}")).ShouldBe(200);

    /// <summary>Fails when the audit finds a violation anywhere in the database.</summary>
    public static async Task ShouldPassTheAudit(this TestHost host)
    {
        await using var output = new StringWriter(CultureInfo.InvariantCulture);
        var results = await host.Services.GetRequiredService<LedgerAudit>().Run(output, CancellationToken.None);
        results.Sum(result => result.Violations).ShouldBe(0, output.ToString());
    }

    /// <summary>Reads a list to its end, page by page.</summary>
    public static async Task<List<string?>> Paged(
        this TestHost host,
        string path,
        Func<JsonElement, string?> item,
        string array = "items"
    )
    {
        var all = new List<string?>();
        string? next = null;
        do
        {
            var page = (await host.Call("GET", path + (next is null ? "" : $"&after={next}"))).ShouldBe(200);
            all.AddRange(page.Json.GetProperty(array).EnumerateArray().Select(item));
            next = page["next"];
            all.Count.ShouldBeLessThan(100);
        } while (next is not null);
        return all;
    }
}
