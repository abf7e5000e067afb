using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using CancelService.Application.Pipeline;
using CancelService.Infrastructure.Sql;
using Microsoft.Data.Sqlite;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: one call of the internal API takes bounded time, memory, connections and room in the history.
/// </summary>
public sealed class BoundsTests(PostgresServer postgres)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Call_gets_outcome_unknown_when_the_database_is_too_slow()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres, "--Database:Timeout=00:00:01");
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        await using var held = await HeldLock.Take(
            host.ConnectionString,
            $"SELECT FROM payments WHERE client_id = '{client.Id}' FOR UPDATE"
        );

        var reply = await host.Report(client, "succeed", "e1").WaitAsync(Bound, Token);

        reply.ShouldBeProblem(503, "outcome-unknown");
        await held.Release();
        // The outcome is unknown, so the core repeats the report.
        await TestHost.Until(async () => (await host.Report(client, "succeed", "e1")).Status).Becomes(200);
        (await host.Balance(client)).ShouldBe(State.Amount);
    }

    // In parallel each call times out by itself; in sequence the calls would take a minute.
    [Fact]
    public async Task Calls_queued_behind_a_locked_SQLite_all_time_out_in_time()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        await using var host = await TestHost.Start(database, settings: ["--Database:Timeout=00:00:01"]);
        var client = await host.AddClient();
        await using var writer = new SqliteConnection(database.ConnectionString);
        await writer.OpenAsync(Token);
        await using var transaction = await writer.BeginTransactionAsync(Token);

        var replies = await Task.WhenAll(
                Enumerable
                    .Range(0, 60)
                    .Select(i => $$"""{"id":"d{{i}}","minorUnits":1}""")
                    .Select(json => host.Call("POST", $"/clients/{client.Id}/accounts/USD/deposits", json))
            )
            .WaitAsync(Bound, Token);

        foreach (var reply in replies)
            reply.ShouldBeProblem(503, "outcome-unknown");
        await transaction.RollbackAsync(Token);
    }

    [Fact]
    public async Task Body_over_1_MiB_is_rejected()
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient();
        string Deposit(int bytes) => """{"id":"d","minorUnits":1}""".PadRight(bytes);

        (await host.Call("POST", $"/clients/{client.Id}/accounts/USD/deposits", Deposit(1024 * 1024))).ShouldBe(201);
        var reply = await host.Call("POST", $"/clients/{client.Id}/accounts/USD/deposits", Deposit((1024 * 1024) + 1));

        reply.ShouldBeProblem(413, "invalid-request");
        reply["detail"].ShouldBe("The body is larger than 1 MiB.");
        (await host.Balance(client)).ShouldBe(1);
    }

    // Separate limits, so a full public port cannot block the health checks.
    [Fact]
    public async Task Connections_over_a_ports_limit_are_closed_while_the_other_port_answers()
    {
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            "--Limits:MaxConnections=10",
            "--Limits:KeepAliveTimeout=01:00:00",
            "--Limits:HeadersTimeout=00:05:00"
        );
        var client = await host.AddClient();
        var idle = new List<TcpClient>();
        try
        {
            for (var i = 0; i < 10; i++)
            {
                idle.Add(new TcpClient());
                await idle[^1].ConnectAsync(IPAddress.Loopback, host.PublicPort, Token);
            }
            // An accepted connection keeps its place: a stray client of the port's last owner may have held it first.
            await TestHost.Until(() => IsClosed(host, idle)).Becomes(true);
            idle.Count.ShouldBeLessThan(20);
            await host.Ready();

            // The server notices the closed connections with a delay.
            idle.Take(5).ToList().ForEach(connection => connection.Dispose());
            await TestHost.Until(() => Code(host, client)).Becomes("ORDER_NOT_EXIST");
        }
        finally
        {
            idle.ForEach(connection => connection.Dispose());
        }
    }

    // The middleware fetches the issuer's keys while the caller waits.
    [Fact]
    public async Task Silent_issuer_does_not_block_callers()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var host = await TestHost.Start(
            DatabaseProvider.Sqlite,
            postgres,
            $"--Authentication:Schemes:Bearer:Authority=http://{silent.LocalEndpoint}",
            "--Authentication:Schemes:Bearer:RequireHttpsMetadata=false"
        );
        var token = Bearer.Token(Scopes.ClientsRead, key: RandomNumberGenerator.GetBytes(32));

        var reply = await host.Call("GET", "/clients", token: token).WaitAsync(Bound, Token);

        reply.ShouldBeProblem(503, "issuer-away");
    }

    [Theory]
    [InlineData(256, true)]
    [InlineData(257, false)]
    [InlineData(0, false)]
    public async Task History_records_unnamed_for_a_missing_or_oversized_subject(int length, bool isNamed)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Postgres, postgres);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var subject = new string('s', length);
        var token = Bearer.Token(Scopes.PaymentsWrite, subject: subject);

        (await host.Call("POST", $"/clients/{client.Id}/payments/p1/fail", """{"eventId":"e1"}""", token)).ShouldBe(
            200
        );

        var history = (await host.Detail(client)).Json.GetProperty("history");
        history[history.GetArrayLength() - 1].GetProperty("actor").GetString().ShouldBe(isNamed ? subject : "unnamed");
    }

    private static async Task<string> Code(TestHost host, TestClient client)
    {
        try
        {
            return (await host.Cancel(client)).Code;
        }
        catch (IOException e)
        {
            return e.Message; // The server closed the connection.
        }
    }

    private static async Task<bool> IsClosed(TestHost host, List<TcpClient> open)
    {
        var connection = new TcpClient();
        open.Add(connection);
        await connection.ConnectAsync(IPAddress.Loopback, host.PublicPort, Token);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        var answer = new byte[1];
        try
        {
            await connection.GetStream().WriteAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), patience.Token);
            return await connection.GetStream().ReadAsync(answer, patience.Token) == 0;
        }
        catch (IOException)
        {
            return true; // The server reset the connection.
        }
    }
}
