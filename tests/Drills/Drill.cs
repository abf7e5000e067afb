using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CancelService.Infrastructure.Sql;
using CancelService.Testcontainers;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Drills;

/// <summary>
/// Environment of a drill: an instance in a separate process with PostgreSQL, a Prometheus that scrapes it, a merchant,
/// and an operator who runs the runbook's commands.
/// </summary>
internal sealed class Drill : IAsyncDisposable
{
    /// <summary>
    /// Setting for drills in which the service gives up on the database: after 2 seconds instead of 15.
    /// </summary>
    public const string Impatient = "--Database:Timeout=00:00:02";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly DirectoryInfo _directory;
    private readonly string _connectionString;
    private readonly string[] _settings;
    private readonly Func<ValueTask> _stopPostgres;
    private readonly HttpClient _api;
    private readonly CancellationTokenSource _stopped = new();
    private readonly Task _probe;

    private Drill(
        DirectoryInfo directory,
        string connectionString,
        string[] settings,
        ServiceProcess service,
        PrometheusServer prometheus,
        Func<ValueTask> stopPostgres
    )
    {
        (_directory, _connectionString, _settings) = (directory, connectionString, settings);
        (Service, Prometheus) = (service, prometheus);
        _stopPostgres = stopPostgres;
        _api = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{service.InternalPort}/internal/v1/") };
        _api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Bearer.All);
        _probe = Probe();
    }

    public ServiceProcess Service { get; }

    public PrometheusServer Prometheus { get; }

    /// <summary>Values of the variables in commands, besides $I, $DB and $TOKEN: PID, CLIENT and so on.</summary>
    public Dictionary<string, string> Variables { get; } = new(StringComparer.Ordinal) { ["CLIENT"] = "SHOP" };

    public static async Task<Drill> Start(PostgresCluster postgres, params string[] settings) =>
        await Start(postgres.ConnectionString, postgres.DisposeAsync, settings);

    public static async Task<Drill> Start(ReplicatedPostgres postgres, params string[] settings) =>
        await Start(postgres.Either, postgres.DisposeAsync, settings);

    /// <summary>Starts a ready instance with a client that has one key and enough balance.</summary>
    private static async Task<Drill> Start(string connectionString, Func<ValueTask> stopPostgres, string[] settings)
    {
        var directory = Directory.CreateTempSubdirectory("cancelservice-drill-");
        var key = Path.Combine(directory.FullName, "wallet.pem");
        string[] all =
        [
            "--Database:Provider=Postgres",
            $"--Database:ConnectionString={connectionString}",
            $"--Wallet:SigningKeyPath={key}",
            "--Database:Timeout=00:00:15", // Long enough for a busy machine.
            "--Serilog:MinimumLevel:Default=Warning",
            "--Clients:CacheTime=00:00:01",
            .. settings,
        ];
        Drill? drill = null;
        try
        {
            await File.WriteAllTextAsync(key, KeyPair.Wallet.PrivatePem);
            await Migrate(connectionString);
            var service = await ServiceProcess.Start(all);
            var prometheus = await PrometheusServer.Start(service.InternalPort);
            drill = new Drill(directory, connectionString, all, service, prometheus, stopPostgres);
            await drill.Put(
                "clients/SHOP",
                """{"name":"A shop","enabled":true,"contract":{"requestsPerSecond":1000,"burst":1000}}"""
            );
            await drill.PutKey(1);
            return drill;
        }
        catch
        {
            await (drill?.DisposeAsync() ?? stopPostgres());
            throw;
        }
    }

    private static async Task Migrate(string connectionString)
    {
        await using var database = new Database(
            Options.Create(
                new DatabaseOptions { Provider = DatabaseProvider.Postgres, ConnectionString = connectionString }
            ),
            TimeProvider.System
        );
        await database.Migrate(createDatabase: false, CancellationToken.None);
    }

    public Task PutKey(int version, DateTimeOffset? notAfter = null) =>
        Put(
            string.Create(CultureInfo.InvariantCulture, $"clients/SHOP/keys/{version}"),
            JsonSerializer.Serialize(new { publicKey = KeyPair.Merchant.PublicKey.Pem, notAfter })
        );

    /// <summary>Registers a payment and reports its success.</summary>
    public async Task Pay(string id)
    {
        await Put(
            $"clients/SHOP/payments/{id}",
            $$$"""{"paymentRequestId":"req-{{{id}}}","kind":"PAYMENT","amount":{"minorUnits":1500,"currency":"USD"}"""
                + $$$""","initiatedAt":"{{{TimeProvider.System.GetUtcNow():O}}}"}"""
        );
        await Send(HttpMethod.Post, $"clients/SHOP/payments/{id}/succeed", $$"""{"eventId":"evt-{{id}}"}""");
    }

    /// <summary>Cancels a payment as a merchant does; returns the result code, or <c>503</c>.</summary>
    public async Task<string> Cancel(
        string id,
        TimeProvider? clock = null,
        KeyPair? key = null,
        int keyVersion = 1,
        string client = "SHOP"
    )
    {
        using var merchant = new HttpClient(
            new SigningHandler(client, keyVersion, (key ?? KeyPair.Merchant).PrivatePem, clock)
            {
                InnerHandler = new HttpClientHandler(),
            },
            disposeHandler: true
        );
        using var body = new StringContent($$"""{"paymentId":"{{id}}"}""", Encoding.UTF8, "application/json");
        using var answer = await merchant.PostAsync(
            new Uri($"http://127.0.0.1:{Service.PublicPort}/v2/payments/cancel"),
            body
        );
        if (!answer.IsSuccessStatusCode)
            return ((int)answer.StatusCode).ToString(CultureInfo.InvariantCulture);
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        return document.RootElement.GetProperty("result").GetProperty("resultCode").GetString()!;
    }

    /// <summary>
    /// Cancels a payment and repeats unknown outcomes, as a merchant does; returns the final result code.
    /// </summary>
    public async Task<string> Final(string id, TimeProvider? clock = null, KeyPair? key = null, int keyVersion = 1)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var code = await Cancel(id, clock, key, keyVersion);
            if (code is not ("UNKNOWN_EXCEPTION" or "503") || TimeProvider.System.GetElapsedTime(start) > Patience)
                return code;
            await Task.Delay(100);
        }
    }

    /// <summary>Connection string of another database on the server.</summary>
    public string Database(string name) =>
        new NpgsqlConnectionStringBuilder(_connectionString) { Database = name }.ConnectionString;

    /// <summary>Connection string for psql; the primary, when there are several hosts.</summary>
    public static string Libpq(string connectionString)
    {
        var server = new NpgsqlConnectionStringBuilder(connectionString);
        var hosts = server.Host!.Split(',').Select(host => host.Split(':')).ToList();
        var names = string.Join(',', hosts.Select(host => host[0]));
        var ports = string.Join(
            ',',
            hosts.Select(host => host is [_, var port] ? port : server.Port.ToString(CultureInfo.InvariantCulture))
        );
        return $"host={names} port={ports} user={server.Username} password={server.Password} "
            + $"dbname={server.Database} target_session_attrs=any";
    }

    /// <summary>Repeats an action, such as a merchant's cancels, until it is disposed.</summary>
    public static IAsyncDisposable Meanwhile(Func<Task> act) => new Repeated(act);

    /// <summary>
    /// Runs a command of the runbook as written and returns its output. The command must succeed, unless told
    /// otherwise.
    /// </summary>
    public async Task<string> Run(string command, bool succeeds = true)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["I"] = $"http://127.0.0.1:{Service.InternalPort}",
            ["DB"] = Libpq(_connectionString),
            ["TOKEN"] = Bearer.All,
            ["Database__Provider"] = "Postgres",
            ["Database__ConnectionString"] = _connectionString,
            ["Wallet__SigningKeyPath"] = Path.Combine(_directory.FullName, "wallet.pem"),
        };
        foreach (var (name, value) in Variables)
            variables[name] = value;
        var (exitCode, output) = await Execute(
            "bash",
            // An operator works on the service's host; a drill keeps its settings and files elsewhere.
            [
                "-c",
                $"set -o pipefail\ndotnet() {{ command dotnet "
                    + $"'{Path.GetDirectoryName(ServiceProcess.Assembly)}'/\"$@\"; }}\n{command}",
            ],
            _directory.FullName,
            variables
        );
        (exitCode == 0).ShouldBe(succeeds, $"{command}\n{output}");
        return output;
    }

    /// <summary>Path of a file in the working directory of the commands.</summary>
    public string At(string name) => Path.Combine(_directory.FullName, name);

    /// <summary>Writes a file that a command reads.</summary>
    public Task Write(string name, string text) => File.WriteAllTextAsync(At(name), text);

    /// <summary>Kills the instance and starts it again.</summary>
    public async Task Restart()
    {
        await Service.Kill();
        Service.Launch();
        await Service.Ready();
    }

    /// <summary>Starts another instance on the same database, with additional settings.</summary>
    public Task<ServiceProcess> Another(params string[] settings) => ServiceProcess.Start([.. _settings, .. settings]);

    /// <summary>
    /// Cancels a payment on an instance; returns the Signature header, the body, and whether the key verifies them.
    /// </summary>
    public static async Task<(string Header, string Body, bool IsTrue)> Verify(
        string id,
        ServiceProcess instance,
        string walletPem
    )
    {
        using var merchant = new HttpClient(
            new SigningHandler("SHOP", 1, KeyPair.Merchant.PrivatePem) { InnerHandler = new HttpClientHandler() },
            disposeHandler: true
        );
        using var body = new StringContent($$"""{"paymentId":"{{id}}"}""", Encoding.UTF8, "application/json");
        using var answer = await merchant.PostAsync(
            new Uri($"http://127.0.0.1:{instance.PublicPort}/v2/payments/cancel"),
            body
        );
        var header = answer.Headers.GetValues("signature").Single();
        using var key = RSA.Create();
        key.ImportFromPem(walletPem);
        var (client, time) = (
            answer.Headers.GetValues("client-id").Single(),
            answer.Headers.GetValues("response-time").Single()
        );
        var answerBody = await answer.Content.ReadAsByteArrayAsync();
        byte[] signed = [.. Encoding.UTF8.GetBytes($"POST /v2/payments/cancel\n{client}.{time}."), .. answerBody];
        var signature = Convert.FromBase64String(Uri.UnescapeDataString(header.Split("signature=")[1]));
        return (
            header,
            Encoding.UTF8.GetString(answerBody),
            key.VerifyData(signed, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
        );
    }

    /// <summary>Executes SQL outside the runbook, to cause the failure.</summary>
    public async Task Sql(string sql)
    {
        await using var connection = new NpgsqlConnection($"{_connectionString};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Reads a number from the database.</summary>
    public async Task<long> Number(string sql)
    {
        await using var connection = new NpgsqlConnection($"{_connectionString};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Opens a session that holds a lock, until the drill or a runbook command ends it.</summary>
    public async Task<NpgsqlConnection> Hold(string sql)
    {
        var connection = new NpgsqlConnection($"{_connectionString};Pooling=false;Application Name=stuck");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand($"BEGIN; {sql}", connection);
        await command.ExecuteNonQueryAsync();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopped.CancelAsync();
        await _probe;
        _stopped.Dispose();
        await Prometheus.DisposeAsync();
        await Service.DisposeAsync();
        await _stopPostgres();
        _api.Dispose();
        _directory.Delete(recursive: true);
    }

    // Plays the load balancer: the instance reports its state as of the last probe.
    private async Task Probe()
    {
        while (!_stopped.IsCancellationRequested)
        {
            await Service.IsReady();
            await Task.Delay(500);
        }
    }

    private Task Put(string path, string json) => Send(HttpMethod.Put, path, json);

    // Repeats unknown outcomes, as the core does.
    private async Task Send(HttpMethod method, string path, string json)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
            request.Content = new StringContent(json, Encoding.UTF8, "application/json");
            using var answer = await _api.SendAsync(request);
            if (
                answer.StatusCode is HttpStatusCode.ServiceUnavailable
                && TimeProvider.System.GetElapsedTime(start) < Patience
            )
                continue;
            answer.IsSuccessStatusCode.ShouldBeTrue(await answer.Content.ReadAsStringAsync());
            return;
        }
    }

    private static async Task<(int ExitCode, string Output)> Execute(
        string program,
        IEnumerable<string> arguments,
        string directory,
        Dictionary<string, string> variables
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync().WaitAsync(Patience);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
        return (process.ExitCode, await output + await error);
    }

    private sealed class Repeated : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stopped = new();
        private readonly Task _acts;

        public Repeated(Func<Task> act) => _acts = Act(act);

        public async ValueTask DisposeAsync()
        {
            await _stopped.CancelAsync();
            await _acts;
            _stopped.Dispose();
        }

        private async Task Act(Func<Task> act)
        {
            while (!_stopped.IsCancellationRequested)
            {
                try
                {
                    await act();
                }
                catch (HttpRequestException)
                {
                    // The instance is unreachable, so the merchant tries again.
                }
                await Task.Delay(50);
            }
        }
    }
}
