using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using CancelService.Api;
using CancelService.Infrastructure.Sql;
using Npgsql;

namespace CancelService.IntegrationTests.Processes;

/// <summary>
/// Goal: operators get a clear message for each wrong setting, a working migrate command and two separate ports.
/// </summary>
public sealed class SettingsTests(SharedHosts hosts, PostgresServer postgres) : IClassFixture<SharedHosts>
{
    private const string NoSuchServer = "Host=127.0.0.1;Port={0};Username=nobody;Database=none";

    // Space-separated arguments, with the text that the error message must contain.
    private static readonly Dictionary<string, string> WrongSettings = new(StringComparer.Ordinal)
    {
        ["--Wallet:SigningKeyPath=/no/such/file.pem"] = "Wallet:SigningKeyPath",
        ["--Authentication:Schemes:Bearer:ValidAudience="] = "Authentication:Schemes:Bearer:ValidAudience",
        ["--Authentication:Schemes:Bearer:Authority=http://login.example.com"] =
            "Authentication:Schemes:Bearer:Authority",
        ["--Authentication:Schemes:Bearer:Authority=login"] = "Authentication:Schemes:Bearer:Authority",
        ["--Authentication:Schemes:Bearer:SigningKeys:0:Value=AAAAAAA="] =
            "Authentication:Schemes:Bearer:SigningKeys:0:Value",
        ["--Authentication:Schemes:Bearer:SigningKeys:0:Value=c2VjcmV0!"] =
            "Authentication:Schemes:Bearer:SigningKeys:0:Value",
        ["--Authentication:Schemes:Bearer:SigningKeys:0:Issuer=other"] =
            "Authentication:Schemes:Bearer:SigningKeys:0:Issuer",
        ["--Wallet:SigningKeyPath={dir}"] = "Wallet:SigningKeyPath",
        ["--Wallet:SigningKeyPath={dir}/empty.pem"] = "Wallet:SigningKeyPath",
        ["--Wallet:SigningKeyPath={dir}/public.pem"] = "Wallet:SigningKeyPath",
        ["--Wallet:SigningKeyPath={dir}/short.pem"] = "Wallet:SigningKeyPath",
        ["--Wallet:SigningKeyPath={dir}/curve.pem"] = "Wallet:SigningKeyPath",
        ["--Wallet:KeyVersion=0"] = "Wallet:KeyVersion",
        ["--Wallet:KeyVersion=first"] = "Wallet:KeyVersion",
        ["--Wallet:TimeZone=Mars/Olympus"] = "Wallet:TimeZone",
        ["--Wallet:TimeZone=+15:00"] = "Wallet:TimeZone",
        ["--Wallet:TimeZone="] = "Wallet:TimeZone",
        ["--Database:Provider=Nope"] = "Database:Provider",
        ["--Database:Provider=7"] = "Database:Provider",
        ["--Database:Provider=Postgres"] = "Database:ConnectionString",
        ["--Database:Provider=Postgres --Database:ConnectionString=nonsense"] = "Database:ConnectionString",
        ["--Database:Provider=Postgres --Database:ConnectionString=Host=db;Port=many"] = "Database:ConnectionString",
        ["--Database:ConnectionString=Host=db"] = "Database:ConnectionString",
        ["--Database:Timeout=soon"] = "Database:Timeout",
        ["--Database:Timeout=00:00:00"] = "Database:Timeout",
        ["--Database:Timeout=00:01:01"] = "Database:Timeout",
        ["--Database:MigrateAtStart=perhaps"] = "Database:MigrateAtStart",
        ["--Clients:CacheTime=-00:00:01"] = "Clients:CacheTime",
        ["--Clients:CacheTime=00:05:01"] = "Clients:CacheTime",
        ["--Clients:CacheTime=x"] = "Clients:CacheTime",
        ["--Api:RequestTimeTolerance=00:00:00"] = "Api:RequestTimeTolerance",
        ["--Api:RequestTimeTolerance=never"] = "Api:RequestTimeTolerance",
        ["--Limits:MaxConnections=9"] = "Limits:MaxConnections",
        ["--Limits:HeadersTimeout=00:00:00"] = "Limits:HeadersTimeout",
        ["--Limits:KeepAliveTimeout=02:00:00"] = "Limits:KeepAliveTimeout",
        ["--Limits:MinBodyBytesPerSecond=0"] = "Limits:MinBodyBytesPerSecond",
        ["--Limits:MaxConcurrentRequests=0"] = "Limits:MaxConcurrentRequests",
        ["--Limits:MaxQueuedRequests=-1"] = "Limits:MaxQueuedRequests",
        ["--Limits:MaxQueueTime=00:00:00"] = "Limits:MaxQueueTime",
        ["--Limits:UnknownClientsPerSecond=0"] = "Limits:UnknownClientsPerSecond",
        ["--Limits:UnverifiedAnswersPerSecond=0"] = "Limits:UnverifiedAnswersPerSecond",
        ["--Limits:RefusalDelay=00:00:02"] = "Limits:RefusalDelay",
        ["--Shutdown:DrainTime=00:03:00"] = "Shutdown:DrainTime",
        ["--Shutdown:GraceTime=00:00:00"] = "Shutdown:GraceTime",
        ["--UnknownPayments:RememberFor=00:00:01"] = "UnknownPayments:RememberFor",
        ["--UnknownPayments:MaxPerClient=0"] = "UnknownPayments:MaxPerClient",
        ["--Database:Timout=00:00:02"] = "Database:Timout is no setting. Did you mean Database:Timeout?",
        ["--Limits:MaxConection=100"] = "Did you mean Limits:MaxConnections?",
        ["--Databse:Timeout=00:00:02"] = "Databse is no setting. Did you mean Database?",
        ["--Notifications:Secret=whsec_x"] = "Did you mean Notifications:Secrets?",
        ["--Notifications:Secrets=whsec_x"] =
            "Notifications:Secrets is a list. Number its entries: Notifications:Secrets:0",
        ["--Notifications:Secrets:first=whsec_x"] = "Notifications:Secrets is a list",
        ["--Wallet:SigningKeyPath:0=wallet.pem"] = "Wallet:SigningKeyPath is a single value",
        ["--Wallet:Zone=+08:00"] = "Wallet:Zone is no setting",
        ["--Sandbox:Directory=x"] = "Sandbox is no section of the settings.",
        ["--Sandbox:ReceiverHosts:0=x"] = "Sandbox is no section of the settings.",
        ["--Demo:Directory=x"] = "Demo is no section of the settings.",
        ["--AutoMapper:LicenceKey=x"] = "Did you mean AutoMapper:LicenseKey?",
        ["--Database:Timeout=later"] =
            "Set it to a span of time, days.hours:minutes:seconds, such as its default 00:00:03.",
        ["--Limits:MaxConnections=many"] = "Set it to a whole number up to 2147483647, such as its default 10000.",
        ["--Limits:MaxConnections=99999999999"] = "Set it to a whole number up to 2147483647",
        ["--Limits:MaxConnections=1.5"] = "Set it to a whole number",
        ["--Database:MigrateAtStart=maybe"] = "Set it to true or false.",
        ["--Database:Provider=Oracle"] = "Set it to Sqlite or Postgres.",
        ["--Database:SynchronousStandbys=1"] = "Database:SynchronousStandbys",
        ["--Serilog:MinimumLevel:Default=Loud"] =
            "Serilog:MinimumLevel:Default is 'Loud'. Set it to Verbose or Debug or Information or Warning or "
            + "Error or Fatal.",
        ["--Serilog:MinimumLevel=7"] = "Serilog:MinimumLevel is '7'.",
        ["--Serilog:MinimumLevel:Override:Microsoft=Warn"] = "Serilog:MinimumLevel:Override:Microsoft is 'Warn'.",
        ["--Api:Prefixes:0=api"] = "Api:Prefixes:0",
        ["--Api:Prefixes:0=/api --Api:Prefixes:1=/open/"] = "Api:Prefixes:1",
    };

    public static TheoryData<string> Wrong => [.. WrongSettings.Keys];

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Process_refuses_to_start_with_an_invalid_setting_and_names_it(string arguments)
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres, empty: true);
        var directory = database.Directory;
        using var shortKey = RSA.Create(1024);
        using var curve = ECDsa.Create();
        foreach (
            var (name, text) in new[]
            {
                ("wallet", KeyPair.Wallet.PrivatePem),
                ("empty", ""),
                ("public", KeyPair.Wallet.PublicKey.Pem),
                ("short", shortKey.ExportPkcs8PrivateKeyPem()),
                ("curve", curve.ExportPkcs8PrivateKeyPem()),
            }
        )
            await File.WriteAllTextAsync($"{directory}/{name}.pem", text, TestContext.Current.CancellationToken);

        var (exitCode, error) = await RunMain([
            $"--Wallet:SigningKeyPath={directory}/wallet.pem",
            .. Bearer.Settings,
            .. arguments
                .Replace("{dir}", directory, StringComparison.Ordinal)
                .Split(" --")
                .Select(a => "--" + a.TrimStart('-')),
        ]);

        exitCode.ShouldBe(1);
        error.ShouldContain(WrongSettings[arguments]);
        error.ShouldNotContain("   at "); // No stack trace.
        error.ShouldNotContain("PRIVATE KEY", Case.Sensitive);
    }

    [Fact]
    public async Task Production_requires_a_signing_key()
    {
        var (exitCode, error) = await RunMain([]);
        exitCode.ShouldBe(1);
        error.ShouldContain("Wallet:SigningKeyPath");
    }

    [Fact]
    public async Task Process_names_a_port_that_is_already_in_use()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var address = $"http://127.0.0.1:{((IPEndPoint)other.LocalEndpoint).Port}";
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        var key = Path.Combine(database.Directory, "wallet.pem");
        await File.WriteAllTextAsync(key, KeyPair.Wallet.PrivatePem, TestContext.Current.CancellationToken);
        var (exitCode, error) = await RunMain([
            .. database.Settings,
            $"--Wallet:SigningKeyPath={key}",
            $"--Kestrel:Endpoints:Public:Url={address}",
        ]);
        exitCode.ShouldBe(1);
        error.ShouldContain(address);
    }

    [Fact]
    public async Task Process_names_an_invalid_address()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres);
        var key = Path.Combine(database.Directory, "wallet.pem");
        await File.WriteAllTextAsync(key, KeyPair.Wallet.PrivatePem, TestContext.Current.CancellationToken);
        var (exitCode, error) = await RunMain([
            .. database.Settings,
            $"--Wallet:SigningKeyPath={key}",
            "--Kestrel:Endpoints:Public:Url=nowhere",
        ]);
        exitCode.ShouldBe(1);
        error.ShouldContain("nowhere");
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Migrate_brings_the_schema_up_to_date_and_exits(DatabaseProvider provider)
    {
        using var database = await TestDatabase.Create(provider, postgres, empty: true);
        var key = Path.Combine(database.Directory, "wallet.pem");
        await File.WriteAllTextAsync(key, KeyPair.Wallet.PrivatePem, TestContext.Current.CancellationToken);
        string[] command = ["migrate", .. database.Settings, $"--Wallet:SigningKeyPath={key}"];
        for (var i = 0; i < 2; i++) // The second run finds nothing to migrate.
        {
            var (exitCode, error) = await RunMain(command);
            exitCode.ShouldBe(0, error);
        }
        await using var host = await TestHost.Start(database, settings: ["--Database:MigrateAtStart=false"]);
        (await host.Cancel(await host.AddClient())).Code.ShouldBe("ORDER_NOT_EXIST");
    }

    [Fact]
    public async Task Migrate_needs_no_signing_key()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres, empty: true);
        var (exitCode, error) = await RunMain(["migrate", .. database.Settings]);
        exitCode.ShouldBe(0, error);
    }

    [Fact]
    public async Task Migrate_fails_with_a_reason_when_the_database_is_unreachable()
    {
        var connection = NoSuchServer.Replace("{0}", $"{TcpForwarder.ClosedPort()}", StringComparison.Ordinal);
        var (exitCode, error) = await RunMain([
            "migrate",
            "--Database:Provider=Postgres",
            $"--Database:ConnectionString={connection}",
            "--Wallet:SigningKeyPath=unused.pem",
        ]);
        exitCode.ShouldBe(1);
        error.ShouldContain("127.0.0.1");
        error.ShouldNotContain("   at ");
    }

    // Otherwise a mistyped database name would create an empty database and report it as up to date.
    [Fact]
    public async Task Migrate_creates_a_database_only_on_request()
    {
        var existing = await postgres.CreateEmptyDatabase();
        var name = $"cancle_{Guid.NewGuid():N}";
        var mistyped = new NpgsqlConnectionStringBuilder(existing) { Database = name }.ConnectionString;
        string[] settings = ["--Database:Provider=Postgres", $"--Database:ConnectionString={mistyped}"];

        var (exitCode, error) = await RunMain(["migrate", .. settings]);
        exitCode.ShouldBe(1);
        error.ShouldContain($"'{name}'");
        error.ShouldContain("migrate --create-database");
        error.ShouldNotContain("   at ");

        (exitCode, error) = await RunMain(["migrate", "--create-database", .. settings]);
        exitCode.ShouldBe(0, error);
        (exitCode, error) = await RunMain(["verify-ledger", .. settings]);
        exitCode.ShouldBe(0, error);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("-h")]
    [InlineData("--version")]
    public async Task Help_and_version_are_printed_without_starting_anything(string argument)
    {
        var (exitCode, error) = await RunMain([argument, "--Database:Provider=Nope"]);
        exitCode.ShouldBe(0);
        error.ShouldBe("");
    }

    [Fact]
    public async Task Unknown_command_is_rejected_with_a_list_of_the_known_ones()
    {
        var (exitCode, error) = await RunMain(["reconcile", "--Wallet:SigningKeyPath=unused.pem"]);
        exitCode.ShouldBe(64);
        error.ShouldContain("reconcile");
        error.ShouldContain("migrate");
    }

    [Theory]
    [MatrixData("/healthz/live", "/healthz/ready", "/metrics", "/internal/v1/payments", "/openapi/v1.json", "/")]
    public async Task Public_port_serves_only_the_merchant_API(string path, DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        var inside = $"127.0.0.1:{host.InternalPort}";
        foreach (var target in new[] { path, $"http://{inside}{path}", $"{path}?host={inside}" })
        foreach (
            var line in new[] { "X-Forwarded-Port: 8081", $"X-Forwarded-Host: {inside}", $"Forwarded: host={inside}" }
        )
        foreach (var name in new[] { inside, "localhost:8081", "localhost" })
        {
            var call = new CancelCall
            {
                Client = client,
                At = host.Now,
                Method = "GET",
                Target = target,
                SignedPath = target.Replace($"http://{inside}", "", StringComparison.Ordinal),
                Without = ["Host"],
                Lines = [$"Host: {name}", line],
            };
            (await host.Send(call)).Code.ShouldBe("INVALID_API");
        }
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Internal_port_does_not_serve_the_merchant_API(DatabaseProvider provider)
    {
        var host = await hosts.On(provider);
        var client = await host.AddClient();
        await host.AddPayment(client, State.Processing);
        var before = await host.Dump(client);
        var call = new CancelCall { Client = client, At = host.Now };
        var bytes = call with
        {
            Without = ["Host"],
            Lines = [$"Host: 127.0.0.1:{host.PublicPort}", "Connection: close"],
        };
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, host.InternalPort, TestContext.Current.CancellationToken);
        await tcp.GetStream().WriteAsync(bytes.ToBytes(), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(tcp.GetStream());
        var answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
        answer.ShouldStartWith("HTTP/1.1 404 ");
        answer.ShouldNotContain("signature", Case.Insensitive);
        (await host.Dump(client)).ShouldBe(before);
    }

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Request_Time_tolerance_is_configurable(DatabaseProvider provider)
    {
        await using var host = await TestHost.Start(provider, postgres, "--Api:RequestTimeTolerance=00:00:10");
        var call = new CancelCall { Client = await host.AddClient(), At = host.Now };
        (await host.Send(call with { At = host.Now.AddSeconds(-10) })).Code.ShouldBe("ORDER_NOT_EXIST");
        (await host.Send(call with { At = host.Now.AddSeconds(-11) })).Code.ShouldBe("PARAM_ILLEGAL");
        (await host.Send(call with { At = host.Now.AddSeconds(11) })).Code.ShouldBe("PARAM_ILLEGAL");
    }

    // Runs Main in the test process; nothing else here writes to standard error.
    private static async Task<(int ExitCode, string Error)> RunMain(string[] arguments)
    {
        var standardError = Console.Error;
        await using var error = new StringWriter();
        Console.SetError(error);
        try
        {
            string[] quiet = ["--environment=Production", "--Serilog:MinimumLevel:Default=Fatal"];
            string[] ports =
            [
                "--Kestrel:Endpoints:Internal:Url=http://127.0.0.1:0",
                "--Kestrel:Endpoints:Public:Url=http://127.0.0.1:0",
            ];
            var main = arguments is [['-', ..], ..] or []
                ? Program.Main([.. quiet, .. ports, .. arguments])
                : Program.Main([.. arguments, .. quiet]);
            var exitCode = await main.WaitAsync(TimeSpan.FromSeconds(30));
            return (exitCode, error.ToString());
        }
        finally
        {
            Console.SetError(standardError);
        }
    }
}
