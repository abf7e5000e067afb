using System.Globalization;
using CancelService.Harness;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Load;

/// <summary>What is measured: a durable PostgreSQL, filled databases on it, and instances of the service.</summary>
internal sealed class Testbed : IAsyncDisposable
{
    /// <summary>The clients among whom the payments of the spread scenario are shared out.</summary>
    public const int Clients = 1000;

    /// <summary>The amount of every payment, in minor units of USD.</summary>
    public const long Amount = 1000;

    /// <summary>Payments whose window closed long ago.</summary>
    public const int LatePayments = 1000;

    private readonly string _directory;
    private readonly string _walletKey;
    private readonly List<ServiceProcess> _instances = [];
    private string? _service;

    private Testbed(PostgresCluster cluster, string directory, string walletKey) =>
        (Cluster, _directory, _walletKey) = (cluster, directory, walletKey);

    public PostgresCluster Cluster { get; }

    /// <summary>The key that every client signs with.</summary>
    public KeyPair Merchant { get; } = KeyPair.Generate();

    /// <summary>The wallet's key.</summary>
    public KeyPair Wallet { get; private init; } = null!;

    /// <summary>
    /// Settings of PostgreSQL. What checkpoints, or new files for the write-ahead log, cost in the middle of a run would hit
    /// whoever happens to be measured then; the files that filling needed are used again.
    /// </summary>
    public static string[] Settings { get; } =
    ["shared_buffers=1GB", "max_wal_size=16GB", "min_wal_size=8GB", "checkpoint_timeout=1h"];

    /// <summary>Sets the stage on a PostgreSQL, which ends with it.</summary>
    /// <param name="cluster">The server.</param>
    /// <param name="service">The assembly that is run as the service; without it, the one that was built with this program.</param>
    public static async Task<Testbed> Open(PostgresCluster cluster, string? service = null)
    {
        var directory = Directory.CreateTempSubdirectory("cancelservice-load-").FullName;
        var wallet = KeyPair.Generate();
        var walletKey = Path.Combine(directory, "wallet.pem");
        await File.WriteAllTextAsync(walletKey, wallet.PrivatePem);
        return new Testbed(cluster, directory, walletKey) { Wallet = wallet, _service = service };
    }

    /// <summary>
    /// Creates a database and fills it with payments in the status SUCCESS: <c>pay-0</c> and so on, shared out among
    /// <c>client-0</c> and so on; <c>hot-0</c> and so on, all of the client <c>hot</c>; and late ones. Every invariant holds,
    /// as <c>verify-ledger</c> confirms.
    /// </summary>
    public async Task<string> Fill(string name, long payments, long hotPayments)
    {
        await Execute("postgres", $"CREATE DATABASE {name}");
        return await FillEmpty(name, payments, hotPayments);
    }

    /// <summary>The same in a database that is there, and has no tables.</summary>
    public async Task<string> FillEmpty(string name, long payments, long hotPayments)
    {
        var connectionString = ConnectionString(name);
        await Migrate(name);
        await Execute(
            name,
            string.Create(
                CultureInfo.InvariantCulture,
                $"""
                -- The rows satisfy the foreign keys; checking each would double the time.
                SET session_replication_role = replica;
                SET synchronous_commit = off;
                SET work_mem = '256MB';
                SET maintenance_work_mem = '1GB';

                INSERT INTO clients (client_id, name, enabled, contract_burst, contract_may_cancel, contract_remember_unknown,
                    contract_requests_per_second, contract_window)
                SELECT id, 'A measured client', true, 100000, true, true, 100000, 'T+1 00:15 +08:00'
                FROM (SELECT 'client-' || n AS id FROM generate_series(0, {Clients
                    - 1}) AS n UNION ALL SELECT 'hot') AS ids;
                INSERT INTO client_keys (client_id, version, public_key)
                SELECT client_id, 1, '{Merchant.PublicKey.Pem}' FROM clients;

                CREATE TEMPORARY TABLE fresh AS
                SELECT 'client-' || (n % {Clients}) AS client_id, 'pay-' || n AS payment_id, 'req-pay-' || n AS request_id,
                    now() AS at FROM generate_series(0, {payments} - 1) AS n
                UNION ALL
                SELECT 'hot', 'hot-' || n, 'req-hot-' || n, now() FROM generate_series(0, {hotPayments} - 1) AS n
                UNION ALL
                SELECT 'client-' || (n % {Clients}), 'late-' || n, 'req-late-' || n, now() - interval '10 days'
                FROM generate_series(0, {LatePayments - 1}) AS n;

                INSERT INTO payments (client_id, payment_id, kind, amount_minor_units, amount_currency, initiated_at, payer,
                    status, captured, refunded, version)
                SELECT client_id, payment_id, 'PAYMENT', {Amount}, 'USD', at, 'payer-1', 'SUCCESS', 0, 0, 2
                FROM fresh;
                INSERT INTO payment_requests (client_id, payment_request_id, payment_id)
                SELECT client_id, request_id, payment_id FROM fresh;
                INSERT INTO payment_history (client_id, payment_id, version, action, actor, at, from_status, to_status,
                    minor_units, currency, event_id)
                SELECT client_id, payment_id, 1, 'REGISTER', 'core', at, NULL, 'PROCESSING', {Amount}, 'USD', NULL FROM fresh
                UNION ALL
                SELECT client_id, payment_id, 2, 'SUCCEED', 'core', at, 'PROCESSING', 'SUCCESS', {Amount}, 'USD', 'e1'
                FROM fresh;
                INSERT INTO accounts (client_id, currency, balance)
                SELECT client_id, 'USD', count(*) * {Amount} FROM fresh GROUP BY client_id;
                INSERT INTO transfers (client_id, transfer_id, debit, credit, minor_units, currency, at, payment_id,
                    payment_version)
                SELECT client_id, gen_random_uuid(), 'PAYERS', 'MERCHANT', {Amount}, 'USD', at, payment_id, 2 FROM fresh;
                DROP TABLE fresh;
                """
            )
        );
        await Execute(name, "VACUUM ANALYZE");
        await Execute(name, "CHECKPOINT");
        return connectionString;
    }

    /// <summary>Brings the schema up to date, as the command <c>migrate</c> does, and distributes it if wanted.</summary>
    public async Task Migrate(string name, bool distribute = false)
    {
        await using var database = new Database(
            Options.Create(
                new DatabaseOptions
                {
                    Provider = DatabaseProvider.Postgres,
                    ConnectionString = $"{ConnectionString(name)};Pooling=false",
                }
            ),
            TimeProvider.System
        );
        await database.Migrate(createDatabase: false, CancellationToken.None, distribute);
    }

    /// <summary>Starts an instance on a database, without limits that would throttle the load of one machine.</summary>
    public Task<ServiceProcess> Serve(string connectionString, params string[] settings) =>
        ServeBy(_service, connectionString, settings);

    /// <summary>The same of another assembly; null: the one that was built with this program.</summary>
    public async Task<ServiceProcess> ServeBy(string? assembly, string connectionString, params string[] settings)
    {
        var instance = await ServiceProcess.Start(
            [
                $"--Wallet:SigningKeyPath={_walletKey}",
                "--Database:Provider=Postgres",
                $"--Database:ConnectionString={connectionString}",
                "--Api:RequestTimeTolerance=01:00:00",
                .. settings,
            ],
            assembly
        );
        _instances.Add(instance);
        return instance;
    }

    /// <summary>Ends an instance.</summary>
    public async Task Stop(ServiceProcess instance)
    {
        _instances.Remove(instance);
        await instance.DisposeAsync();
    }

    /// <summary>How a database is reached, by the service and by pgbench alike.</summary>
    public string ConnectionString(string database) =>
        new NpgsqlConnectionStringBuilder(Cluster.ConnectionString) { Database = database }.ConnectionString;

    public async Task Execute(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 3600 };
        await command.ExecuteNonQueryAsync();
    }

    public async Task<long> Count(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 600 };
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    /// <summary>The rows of a query with one column of text.</summary>
    public async Task<IReadOnlyList<string>> Lines(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var lines = new List<string>();
        while (await reader.ReadAsync())
            lines.Add(reader.GetString(0));
        return lines;
    }

    /// <summary>The bytes that PostgreSQL has written to its log so far.</summary>
    public Task<long> Wal() => Count("postgres", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')");

    /// <summary>
    /// The CPU time in milliseconds that PostgreSQL has used so far, with all its processes, ended ones included; none is known
    /// of a container.
    /// </summary>
    public double? DatabaseCpu()
    {
        if (Cluster is not PostgresPrograms programs)
            return null;
        var server = int.Parse(
            File.ReadLines(Path.Combine(programs.Directory, "postmaster.pid")).First(),
            CultureInfo.InvariantCulture
        );
        long ticks = 0;
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(d => char.IsAsciiDigit(d[6])))
        {
            string[] stat;
            try
            {
                var line = File.ReadAllText(Path.Combine(process, "stat"));
                stat = line[(line.LastIndexOf(')') + 2)..].Split(' ');
            }
            catch (IOException)
            {
                continue; // It has just ended.
            }
            // proc(5), counted from the state: 1 is the parent, 11 to 14 are user and system time, own and of ended children.
            var isServer = process == $"/proc/{server}";
            if (isServer || int.Parse(stat[1], CultureInfo.InvariantCulture) == server)
                ticks += stat[11..(isServer ? 15 : 13)].Sum(text => long.Parse(text, CultureInfo.InvariantCulture));
        }
        return ticks * 10.0; // USER_HZ is 100 on every Linux that .NET runs on.
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in _instances)
            await instance.DisposeAsync();
        await Cluster.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
