using System.Globalization;
using System.Text.Json;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: the core registers payments and reads them back.</summary>
public sealed class InternalPaymentsTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private static readonly string[] Actions = ["authorize", "succeed", "capture", "refund", "fail"];

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Payment_is_registered_once_and_a_repeat_returns_it(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();

        var created = (await host.Register(client, payer: "payer-7")).ShouldBe(201);

        created["status"].ShouldBe("PROCESSING");
        created["paymentRequestId"].ShouldBe("req-p1");
        created["amount.minorUnits"].ShouldBe("1000");
        created["payer"].ShouldBe("payer-7");
        created["version"].ShouldBe("1");
        created["cancellation"].ShouldBeNull();
        var dump = await host.Dump(client);
        (await host.Register(client, payer: "payer-7")).ShouldBe(200).Text.ShouldBe(created.Text);
        (await host.Dump(client)).ShouldBe(dump);

        // A repeated registration succeeds whatever the payment's current state.
        (await host.Report(client, "succeed", "e1")).ShouldBe(200);
        (await host.Register(client, payer: "payer-7")).ShouldBe(200)["status"].ShouldBe("SUCCESS");
    }

    [Theory]
    [MatrixData("kind", "amount", "currency", "payer", "no payer", "initiatedAt")]
    public async Task Registration_with_other_content_is_rejected_and_changes_nothing(
        string what,
        DatabaseProvider provider
    )
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Register(client, payer: "payer-7")).ShouldBe(201);
        var dump = await host.Dump(client);

        var reply = what switch
        {
            "kind" => await host.Register(client, kind: "AUTHORIZATION", payer: "payer-7"),
            "amount" => await host.Register(client, amount: InternalWire.Amount(1001), payer: "payer-7"),
            "currency" => await host.Register(client, amount: InternalWire.Amount(currency: "EUR"), payer: "payer-7"),
            "payer" => await host.Register(client, payer: "payer-8"),
            "no payer" => await host.Register(client),
            _ => await host.Register(client, initiatedAt: "2026-11-23T12:00:00.000001Z", payer: "payer-7"),
        };

        reply.ShouldBeProblem(409, "payment-differs");
        (await host.Dump(client)).ShouldBe(dump);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Initiation_time_is_compared_to_the_microsecond_in_any_time_zone(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234567Z")).ShouldBe(201);
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234567Z")).ShouldBe(200);
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234560Z")).ShouldBe(200);
        (await host.Register(client, initiatedAt: "2026-11-23T19:00:00.1234569+08:00")).ShouldBe(200);

        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234570Z")).ShouldBeProblem(
            409,
            "payment-differs"
        );
        (await host.Register(client, initiatedAt: "2026-11-23T11:00:00.1234559Z")).ShouldBeProblem(
            409,
            "payment-differs"
        );
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Identifiers_map_one_to_one_within_a_client(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        (await host.Register(client, "p1", "r1")).ShouldBe(201);
        (await host.Register(client, "p2", "r2")).ShouldBe(201);
        var dump = await host.Dump(client);

        (await host.Register(client, "p1", "r3")).ShouldBeProblem(409, "mapping-conflict");
        (await host.Register(client, "p3", "r1")).ShouldBeProblem(409, "mapping-conflict");
        (await host.Register(client, "p1", "r2")).ShouldBeProblem(409, "mapping-conflict");
        (await host.Register(client, "p2", "r1")).ShouldBeProblem(409, "mapping-conflict");

        (await host.Dump(client)).ShouldBe(dump);
        (await host.Register(await host.AddClient(), "p1", "r2")).ShouldBe(201);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Missing_resource_is_answered_with_404(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var nobody = client with { Id = new("NOBODY") };
        (await host.Register(nobody)).ShouldBeProblem(404, "not-found");
        foreach (var action in Actions)
            (await host.Report(client, action, "e1", minorUnits: 1)).ShouldBeProblem(404, "not-found");
        foreach (
            var path in (string[])
                [
                    $"/clients/{client.Id}/payments/p1",
                    $"/clients/{client.Id}/payments?paymentRequestId=req-p1",
                    $"/clients/{client.Id}/accounts/USD",
                    $"/clients/{client.Id}/accounts/usd",
                    $"/clients/{client.Id}/keys/9",
                    "/clients/NOBODY",
                    "/clients/NOBODY/keys",
                    "/clients/NO%20BODY/payments/p1",
                    "/clients/NO%20BODY/cancellations",
                    "/clients/NO%20BODY/late-reports",
                ]
        )
            (await host.Call("GET", path)).ShouldBeProblem(404, "not-found");

        await host.Register(client);
        var other = await host.AddClient();
        (await host.Call("GET", $"/clients/{other.Id}/payments/p1")).ShouldBeProblem(404, "not-found");
        (await host.Report(other, "succeed", "e1")).ShouldBeProblem(404, "not-found");
    }

    [Theory]
    [InlineData(
        "paymentRequestId",
        """{"kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "paymentRequestId",
        """{"paymentRequestId":"a b","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "kind",
        """{"paymentRequestId":"r","amount":{"minorUnits":1,"currency":"USD"},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.minorUnits",
        """{"paymentRequestId":"r","kind":"PAYMENT","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.minorUnits",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":0,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.minorUnits",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1000000000000001,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.currency",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1},"initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "amount.currency",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"usd"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData(
        "initiatedAt",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}}"""
    )]
    [InlineData(
        "initiatedAt",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-25T12:00:00Z"}"""
    )]
    [InlineData(
        "initiatedAt",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}"""
            + ""","initiatedAt":"1999-12-31T00:00:00Z"}"""
    )]
    [InlineData(
        "payer",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z","payer":""}"""
    )]
    [InlineData(
        "payer",
        """{"paymentRequestId":"r","kind":"PAYMENT","amount":{"minorUnits":1,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z","payer":"\u0000"}"""
    )]
    [InlineData(
        "",
        """{"paymentRequestId":"r","kind":"GIFT","amount":{"minorUnits":1,"currency":"USD"}"""
            + ""","initiatedAt":"2026-11-23T12:00:00Z"}"""
    )]
    [InlineData("", """{"paymentRequestId":1}""")]
    [InlineData("", "[]")]
    [InlineData("", "{")]
    [InlineData("", "")]
    public async Task Malformed_registration_is_rejected_and_its_field_named(string field, string json)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var reply = await host.Call("PUT", $"/clients/{client.Id}/payments/p1", json);
        reply.Status.ShouldBe(400, reply.Text);
        if (field.Length > 0)
        {
            reply.ShouldBeProblem(400, "invalid-request");
            reply["detail"].ShouldNotBeNull().ShouldStartWith(field);
        }
        (await host.Find(client)).ShouldBeNull();
    }

    [Theory]
    [InlineData("paymentId", "/payments/p%20", "PUT", "{}")]
    [InlineData("eventId", "/payments/p1/succeed", "POST", "{}")]
    [InlineData("eventId", "/payments/p1/succeed", "POST", """{"eventId":"a b"}""")]
    [InlineData("amount.minorUnits", "/payments/p1/capture", "POST", """{"eventId":"e"}""")]
    [InlineData(
        "amount.minorUnits",
        "/payments/p1/refund",
        "POST",
        """{"eventId":"e","amount":{"minorUnits":-1,"currency":"USD"}}"""
    )]
    [InlineData(
        "amount.currency",
        "/payments/p1/refund",
        "POST",
        """{"eventId":"e","amount":{"minorUnits":1,"currency":"US"}}"""
    )]
    [InlineData("paymentRequestId", "/payments", "GET", null)]
    [InlineData("paymentRequestId", "/payments?paymentRequestId=a%20b", "GET", null)]
    [InlineData("limit", "/cancellations?limit=0", "GET", null)]
    [InlineData("limit", "/cancellations?limit=501", "GET", null)]
    [InlineData("limit", "/late-reports?limit=-1", "GET", null)]
    [InlineData("limit", "/accounts/USD?limit=501", "GET", null)]
    [InlineData("limit", "/keys?limit=501", "GET", null)]
    [InlineData("id", "/accounts/USD/deposits", "POST", """{"minorUnits":1}""")]
    [InlineData("amount.minorUnits", "/accounts/USD/payouts", "POST", """{"id":"t"}""")]
    [InlineData("amount.currency", "/accounts/usd/payouts", "POST", """{"id":"t","minorUnits":1}""")]
    [InlineData("name", "", "PUT", """{"enabled":true}""")]
    [InlineData("name", "", "PUT", """{"name":"","enabled":true}""")]
    [InlineData("enabled", "", "PUT", """{"name":"n"}""")]
    [InlineData("contract.window", "", "PUT", """{"name":"n","enabled":true,"contract":{"window":"tomorrow"}}""")]
    [InlineData("contract.window", "", "PUT", """{"name":"n","enabled":true,"contract":{"window":"PT0S"}}""")]
    [InlineData("contract.window", "", "PUT", """{"name":"n","enabled":true,"contract":{"window":"P367D"}}""")]
    [InlineData(
        "contract.window",
        "",
        "PUT",
        """{"name":"n","enabled":true,"contract":{"window":"T+1 24:15 +08:00"}}"""
    )]
    [InlineData(
        "contract.window",
        "",
        "PUT",
        """{"name":"n","enabled":true,"contract":{"window":"T+1 00:15 Mars/Base"}}"""
    )]
    [InlineData(
        "contract.requestsPerSecond",
        "",
        "PUT",
        """{"name":"n","enabled":true,"contract":{"requestsPerSecond":0}}"""
    )]
    [InlineData("contract.burst", "", "PUT", """{"name":"n","enabled":true,"contract":{"burst":100001}}""")]
    [InlineData("version", "/keys/0", "PUT", """{"publicKey":"x"}""")]
    [InlineData("publicKey", "/keys/2", "PUT", "{}")]
    [InlineData(
        "notAfter",
        "/keys/2",
        "PUT",
        """{"publicKey":"x","notBefore":"2026-01-02T00:00:00Z","notAfter":"2026-01-02T00:00:00Z"}"""
    )]
    public async Task Malformed_request_is_rejected_and_its_field_named(
        string field,
        string path,
        string method,
        string? json
    )
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        await host.Register(client);
        var dump = await host.Dump(client);
        var reply = await host.Call(method, $"/clients/{client.Id}{path}", json);
        reply.ShouldBeProblem(400, "invalid-request");
        reply["detail"].ShouldNotBeNull().ShouldStartWith(field);
        (await host.Dump(client)).ShouldBe(dump);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Payment_is_shown_with_its_history_transfers_and_cancellation(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.Register(client, payer: "payer-7");
        await host.Report(client, "succeed", "e1");
        await host.Cancel(client);
        await host.Report(client, "succeed", "e2");

        var detail = await host.Detail(client);

        detail["payment.status"].ShouldBe("CANCELLED");
        detail["payment.version"].ShouldBe("4");
        detail["payment.cancellation.effect"].ShouldBe("REFUNDED");
        DateTimeOffset
            .Parse(detail["payment.cancellation.cancelTime"]!, CultureInfo.InvariantCulture)
            .ShouldBe(host.Now);
        Members(
                detail,
                "history",
                "version",
                "action",
                "actor",
                "from",
                "to",
                "amount",
                "eventId",
                "remedy",
                "keyVersion"
            )
            .ShouldBe([
                $"1 REGISTER wallet-core - PROCESSING {InternalWire.Amount()} - - -",
                $"2 SUCCEED wallet-core PROCESSING SUCCESS {InternalWire.Amount()} e1 - -",
                $"3 CANCEL merchant SUCCESS CANCELLED {InternalWire.Amount()} - - 1",
                $"4 SUCCEED wallet-core CANCELLED CANCELLED {InternalWire.Amount()} e2 NONE -",
            ]);
        Members(detail, "transfers", "debit", "credit", "amount", "paymentId", "paymentVersion")
            .ShouldBe([
                $"PAYERS MERCHANT {InternalWire.Amount()} p1 2",
                $"MERCHANT PAYERS {InternalWire.Amount()} p1 3",
            ]);
        detail.Json.GetProperty("history")[2].GetProperty("traceId").GetString().ShouldNotBeNullOrEmpty();
        (await host.Call("GET", $"/clients/{client.Id}/payments?paymentRequestId=req-p1")).Text.ShouldBe(detail.Text);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Payment_is_found_by_either_identifier_without_its_client(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var (one, two) = (await host.AddClient(), await host.AddClient());
        var id = $"any-{one.Id}";
        await host.AddPayment(one, State.Success, id);
        await host.AddPayment(two, State.Processing, id);

        (await Found(id)).ShouldBe([$"{one.Id} {id} SUCCESS", $"{two.Id} {id} PROCESSING"], ignoreOrder: true);
        (await Found($"req-{id}")).Count.ShouldBe(2);
        (await Found("none-such")).ShouldBeEmpty();
        (await host.Call("GET", "/payments?id=no%20id")).ShouldBeProblem(400, "invalid-request");
        (await host.Call("GET", "/payments")).ShouldBeProblem(400, "invalid-request");

        async Task<List<string>> Found(string wanted) =>
            [
                .. (await host.Call("GET", $"/payments?id={wanted}"))
                    .ShouldBe(200)
                    .Items.Select(p =>
                        $"{p.GetProperty("clientId")} {p.GetProperty("paymentId")} {p.GetProperty("status")}"
                    ),
            ];
    }

    private static IEnumerable<string> Members(Reply reply, string array, params string[] names) =>
        reply
            .Json.GetProperty(array)
            .EnumerateArray()
            .Select(item =>
                string.Join(
                    ' ',
                    names.Select(name =>
                        item.GetProperty(name) is { ValueKind: not JsonValueKind.Null } member ? $"{member}" : "-"
                    )
                )
            );
}
