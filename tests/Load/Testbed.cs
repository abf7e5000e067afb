using System.Globalization;
using CancelService.Harness;
using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Load;

/// <summary>
/// The system under measurement: a durable PostgreSQL, filled databases and instances of the service.
/// </summary>
internal sealed class Testbed : IAsyncDisposable
{
    /// <summary>The number of clients that the payments of the spread scenario belong to.</summary>
    public const int Clients = 1000;

    /// <summary>The amount of every payment, in minor units of USD.</summary>
    public const long Amount = 1000;

    /// <summary>The number of payments whose window closed long ago.</summary>
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

    /// <summary>The key that the wallet signs with.</summary>
    public KeyPair Wallet { get; private init; } = null!;

    /// <summary>
    /// Settings of PostgreSQL that keep checkpoints and the creation of log files out of a run, where they would
    /// distort single phases. PostgreSQL recycles the log files from the time of filling.
    /// </summary>
    public static string[] Settings { get; } =
    ["shared_buffers=1GB", "max_wal_size=16GB", "min_wal_size=8GB", "checkpoint_timeout=1h"];

    /// <summary>Creates a testbed on a PostgreSQL server that it takes ownership of.</summary>
    /// <param name="cluster">The server; the testbed disposes of it.</param>
    /// <param name="service">The assembly of the service; by default the build of this program.</param>
    public static async Task<Testbed> Open(PostgresCluster cluster, string? service = null)
    {
        var directory = Directory.CreateTempSubdirectory("cancelservice-load-").FullName;
        var wallet = KeyPair.Generate();
        var walletKey = Path.Combine(directory, "wallet.pem");
        await File.WriteAllTextAsync(walletKey, wallet.PrivatePem);
        return new Testbed(cluster, directory, walletKey) { Wallet = wallet, _service = service };
    }

    /// <summary>
    /// Creates a database with payments in the status SUCCESS: <c>pay-0</c> … spread over <c>client-0</c> …,
    /// <c>hot-0</c> … of the client <c>hot</c>, and late payments. <c>verify-ledger</c> confirms its invariants.
    /// </summary>
    public async Task<string> Fill(string name, long payments, long hotPayments)
    {
        await Execute("postgres", $"CREATE DATABASE {name}");
        return await FillEmpty(name, payments, hotPayments);
    }

    /// <summary>Fills an existing database without tables with the payments of <see cref="Fill"/>.</summary>
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
                    contract_requests_per_second, contract_window, contract_inquiries_per_second, contract_inquiry_burst)
                SELECT id, 'A measured client', true, 100000, true, true, 100000, 'T+1 00:15 +08:00', 100000, 100000
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

    /// <summary>Migrates the schema as the command <c>migrate</c> does; on request also distributes it.</summary>
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

    /// <summary>Starts an instance without the limits that would throttle the load from one machine.</summary>
    public Task<ServiceProcess> Serve(string connectionString, params string[] settings) =>
        ServeBy(_service, connectionString, settings);

    /// <summary>Starts an instance of the given assembly; null means the build of this program.</summary>
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

    /// <summary>Stops an instance and disposes of it.</summary>
    public async Task Stop(ServiceProcess instance)
    {
        _instances.Remove(instance);
        await instance.DisposeAsync();
    }

    /// <summary>Returns the connection string of a database for the service and for pgbench.</summary>
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

    /// <summary>Returns the rows of a query that has one text column.</summary>
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

    /// <summary>Returns the bytes that PostgreSQL has written to its write-ahead log so far.</summary>
    public Task<long> Wal() => Count("postgres", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')");

    /// <summary>
    /// Returns the CPU time in milliseconds of all PostgreSQL processes so far, including exited ones; null for a
    /// container, whose processes are invisible.
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
                continue; // The process has exited meanwhile.
            }
            // Fields of proc(5) from the state on: 1 is the parent, 11 to 14 the user and system time of the process
            // and of its exited children.
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
