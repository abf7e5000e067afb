using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: the operators' diagnose endpoint examines a pasted request with the client's stored keys and contract.
/// </summary>
public sealed class DiagnoseTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    [Fact]
    public async Task Diagnosis_names_the_cause_of_a_bad_request_and_none_for_a_good_one()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        var call = new CancelCall
        {
            Client = client,
            At = host.Now,
            Json = """{"paymentId":"p1"}""",
        };
        var right = call.ToBytes();

        var diagnosis = await Diagnose(host, client.Id.Value, right);
        diagnosis.GetProperty("code").GetString().ShouldBe("SUCCESS");
        diagnosis.GetProperty("causes").GetArrayLength().ShouldBe(0);
        diagnosis.GetProperty("signature").GetProperty("key").GetString().ShouldBe("your key of version 1 (active)");

        var text = Encoding.UTF8.GetString(right).Replace("\"p1\"", "\"p2\"", StringComparison.Ordinal);
        diagnosis = await Diagnose(host, client.Id.Value, Encoding.UTF8.GetBytes(text));
        diagnosis.GetProperty("code").GetString().ShouldBe("INVALID_SIGNATURE");
        diagnosis.GetProperty("causes")[0].GetProperty("id").GetString().ShouldBe("text-unknown");
    }

    [Fact]
    public async Task Diagnosis_reveals_nothing_about_another_clients_keys()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var (one, other) = (await host.AddClient(), await host.AddClient());
        var call = new CancelCall
        {
            Client = one with { Key = KeyPair.Other },
            At = host.Now,
            Json = """{"paymentId":"p1"}""",
        };

        var diagnosis = await Diagnose(host, one.Id.Value, call.ToBytes());

        diagnosis.GetProperty("causes")[0].GetProperty("id").GetString().ShouldBe("key-unknown");
        diagnosis.ToString().ShouldNotContain(other.Id.Value);
    }

    [Fact]
    public async Task Diagnosis_answers_400_to_other_text_and_404_for_an_unknown_client()
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        (await Status(host, client.Id.Value, "hello")).ShouldBe(HttpStatusCode.BadRequest);
        (await Status(host, client.Id.Value, new string('a', 300 * 1024))).ShouldBe(HttpStatusCode.BadRequest);
        (await Status(host, "nobody", "hello")).ShouldBe(HttpStatusCode.NotFound);
    }

    private static async Task<HttpStatusCode> Status(TestHost host, string clientId, string paste)
    {
        using var answer = await Send(host, clientId, Encoding.UTF8.GetBytes(paste));
        return answer.StatusCode;
    }

    private static async Task<JsonElement> Diagnose(TestHost host, string clientId, byte[] paste)
    {
        using var answer = await Send(host, clientId, paste);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        var json = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    private static async Task<HttpResponseMessage> Send(TestHost host, string clientId, byte[] paste)
    {
        var at = Uri.EscapeDataString(host.Now.ToString("O"));
        using var request = new HttpRequestMessage(
            HttpMethod.Post,
            $"/internal/v1/clients/{clientId}/diagnose?at={at}"
        );
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.All);
        request.Content = new ByteArrayContent(paste);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        return await host.Internal.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
