using System.Security.Cryptography;
using System.Text.Json;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Time.Testing;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: operators create and change clients, contracts and keys, and every instance follows within the cache time.
/// </summary>
public sealed class InternalClientsTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const string Cached = "--Clients:CacheTime=00:00:10";

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Client_is_created_with_the_default_contract_and_replaced(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var id = $"NEW_{Guid.NewGuid():N}";

        var created = (await host.Call("PUT", $"/clients/{id}", """{"name":"A shop","enabled":true}""")).ShouldBe(200);

        created["name"].ShouldBe("A shop");
        created["enabled"].ShouldBe("True");
        created["contract.mayCancel"].ShouldBe("True");
        created["contract.window"].ShouldBe("T+1 00:15 +08:00");
        created["contract.requestsPerSecond"].ShouldBe("100");
        created["contract.burst"].ShouldBe("200");
        created["contract.rememberUnknown"].ShouldBe("True");
        (await host.Call("GET", $"/clients/{id}")).Text.ShouldBe(created.Text);

        var replaced = await host.Call(
            "PUT",
            $"/clients/{id}",
            """{"name":"B","enabled":false,"contract":{"mayCancel":false,"window":"PT24H","requestsPerSecond":1"""
                + ""","burst":2,"rememberUnknown":false}}"""
        );
        replaced["contract"]
            .ShouldBe(
                """{"mayCancel":false,"window":"P1D","requestsPerSecond":1,"burst":2,"rememberUnknown":false"""
                    + ""","mayInquire":true,"inquiriesPerSecond":100,"inquiryBurst":200}"""
            );
        replaced["enabled"].ShouldBe("False");
        (await host.Call("PUT", $"/clients/{id}", """{"name":"A shop","enabled":true}""")).Text.ShouldBe(created.Text);
    }

    [Theory]
    [InlineData("T+1 00:15 +08:00", "T+1 00:15 +08:00")]
    [InlineData("T+0 23:59:59 Asia/Shanghai", "T+0 23:59:59 Asia/Shanghai")]
    [InlineData("T+366 00:00 UTC", "T+366 00:00 UTC")]
    [InlineData("P7D", "P7D")]
    [InlineData("PT90M", "PT1H30M")]
    public async Task Contract_keeps_a_window_of_either_kind(string given, string shown)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var reply = await host.Call(
            "PUT",
            $"/clients/{client.Id}",
            $$$"""{"name":"n","enabled":true,"contract":{"window":"{{{given}}}"}}"""
        );
        reply.ShouldBe(200)["contract.window"].ShouldBe(shown);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Clients_and_keys_are_listed_page_by_page(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres);
        foreach (var id in (string[])["c", "a", "e", "B", "d"])
            await host.AddClient(id: id);

        var listed = await host.Paged("/clients?limit=2", c => c.GetProperty("clientId").GetString());

        listed.ShouldBe(["a", "B", "c", "d", "e"], ignoreOrder: true);
        for (var version = 2; version <= 5; version++)
            await PutKey(host, "a", version, KeyPair.Other.PublicKey.Pem);
        (await host.Paged("/clients/a/keys?limit=2", k => k.GetProperty("version").ToString())).ShouldBe([
            "1",
            "2",
            "3",
            "4",
            "5",
        ]);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Key_is_registered_once_and_its_revocation_is_final(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var other = new CancelCall
        {
            Client = client,
            At = host.Now,
            Key = KeyPair.Other,
            Form = "algorithm=RSA256, keyVersion=2, signature={0}",
        };
        (await host.Send(other)).Code.ShouldBe("KEY_NOT_FOUND");

        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBe(200)["version"].ShouldBe("2");
        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBe(200);
        (await PutKey(host, client.Id.Value, 2, KeyPair.Merchant.PublicKey.Pem)).ShouldBeProblem(409, "key-differs");
        (await host.Send(other)).Code.ShouldBe("SUCCESS");

        // The validity of a registered key may change.
        (
            await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem, notAfter: "2026-11-23T20:00:00+08:00")
        ).ShouldBe(200);
        (await host.Send(other)).Code.ShouldBe("KEY_NOT_FOUND");
        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBe(200);
        (await host.Send(other)).Code.ShouldBe("SUCCESS");

        var path = $"/clients/{client.Id}/keys/2";
        (await host.Call("DELETE", path)).ShouldBe(204);
        (await host.Send(other)).Code.ShouldBe("KEY_NOT_FOUND");
        var revoked = (await host.Call("GET", path)).ShouldBe(200);
        revoked["revokedAt"].ShouldNotBeNull();
        host.Clock.Advance(TimeSpan.FromSeconds(1));
        (await host.Call("DELETE", path)).ShouldBe(204);
        (await host.Call("GET", path)).Text.ShouldBe(revoked.Text);
        (await PutKey(host, client.Id.Value, 2, KeyPair.Other.PublicKey.Pem)).ShouldBeProblem(409, "key-differs");
        (await PutKey(host, client.Id.Value, 2, KeyPair.Merchant.PublicKey.Pem)).ShouldBeProblem(409, "key-differs");
        (await host.Call("DELETE", $"/clients/{client.Id}/keys/3")).ShouldBeProblem(404, "not-found");
        (await PutKey(host, "NOBODY", 1, KeyPair.Other.PublicKey.Pem)).ShouldBeProblem(404, "not-found");
        (await host.Cancel(client)).Code.ShouldBe("SUCCESS"); // Version 1 still verifies.
    }

    [Theory]
    [InlineData("RSA 1024")]
    [InlineData("EC")]
    [InlineData("private")]
    [InlineData("junk")]
    public async Task Key_of_an_unsupported_kind_is_rejected(string kind)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        using var weak = RSA.Create(1024);
        using var curve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var pem = kind switch
        {
            "RSA 1024" => weak.ExportSubjectPublicKeyInfoPem(),
            "EC" => curve.ExportSubjectPublicKeyInfoPem(),
            "private" => KeyPair.Other.PrivatePem,
            _ => "junk",
        };
        (await PutKey(host, client.Id.Value, 2, pem)).ShouldBeProblem(422, "key-not-accepted");
        (await host.Call("GET", $"/clients/{client.Id}/keys")).Items.Count.ShouldBe(1);
    }

    [Theory]
    [MatrixData("key", "validity", "contract", "client")]
    public async Task Change_is_visible_locally_at_once_and_elsewhere_within_the_cache_time(
        string what,
        DatabaseProvider provider
    )
    {
        using var database = await TestDatabase.Create(provider, postgres);
        await using var here = await TestHost.Start(database, settings: [Cached]);
        await using var elsewhere = await TestHost.Start(
            database,
            new FakeTimeProvider(TestHost.Noon),
            settings: [Cached]
        );
        var client = await here.AddClient();
        await here.AddPayment(client, State.Processing);
        (await here.Cancel(client)).Code.ShouldBe("SUCCESS");
        (await elsewhere.Cancel(client)).Code.ShouldBe("SUCCESS");

        var (reply, refusal) = what switch
        {
            "key" => (await here.Call("DELETE", $"/clients/{client.Id}/keys/1"), "KEY_NOT_FOUND"),
            "validity" => (
                await PutKey(here, client.Id.Value, 1, client.Key.PublicKey.Pem, notAfter: "2026-11-23T11:59:59Z"),
                "KEY_NOT_FOUND"
            ),
            "contract" => (
                await Put("""{"name":"n","enabled":true,"contract":{"mayCancel":false}}"""),
                "ACCESS_DENIED"
            ),
            _ => (await Put("""{"name":"n","enabled":false}"""), "CLIENT_INVALID"),
        };

        reply.Status.ShouldBeOneOf(200, 204);
        (await here.Cancel(client)).Code.ShouldBe(refusal);
        // An entry stays cached for at least three quarters of the cache time.
        elsewhere.Clock.Advance(TimeSpan.FromSeconds(7.5) - TimeSpan.FromTicks(1));
        (await elsewhere.Cancel(client)).Code.ShouldBe("SUCCESS");
        elsewhere.Clock.Advance(TimeSpan.FromSeconds(2.5) + TimeSpan.FromTicks(1));
        (await elsewhere.Cancel(client)).Code.ShouldBe(refusal);

        Task<Reply> Put(string json) => here.Call("PUT", $"/clients/{client.Id}", json);
    }

    private static Task<Reply> PutKey(
        TestHost host,
        string clientId,
        int version,
        string pem,
        string? notAfter = null
    ) =>
        host.Call(
            "PUT",
            $"/clients/{clientId}/keys/{version}",
            JsonSerializer.Serialize(new { publicKey = pem, notAfter })
        );
}
