using System.Globalization;
using CancelService.Infrastructure.Servers;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using Microsoft.Extensions.Options;
using Npgsql;
using static System.FormattableString;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Goal: the schema is distributed over Citus, and databases without Citus are refused.</summary>
public sealed class DistributionTests(PostgresServer postgres)
{
    private static CancellationToken Stopped => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Database_without_the_extension_is_refused_with_instructions_and_unchanged()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres, empty: true);
        await using var migrating = Of(database.ConnectionString);

        var refused = await Should.ThrowAsync<OptionsValidationException>(() => Distribute(migrating));

        refused.Failures.ShouldHaveSingleItem().ShouldContain("CREATE EXTENSION citus");
        (await Scalar<bool>(database.ConnectionString, "SELECT to_regclass('clients') IS NULL")).ShouldBeTrue();
    }

    [Fact]
    public async Task SQLite_is_refused()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Sqlite, postgres, empty: true);
        await using var migrating = new Database(
            Options.Create(new DatabaseOptions { ConnectionString = database.ConnectionString }),
            TimeProvider.System
        );

        var refused = await Should.ThrowAsync<OptionsValidationException>(() => Distribute(migrating));

        refused.Failures.ShouldHaveSingleItem().ShouldContain("Postgres");
    }

    [OnCitus]
    public async Task Filled_database_is_distributed_with_its_rows_and_a_repeat_changes_nothing()
    {
        using var database = TestDatabase.Of(await postgres.CreateCluster());
        TestClient client;
        byte[] first;
        await using (var host = await TestHost.Start(database, settings: ["--Database:MigrateAtStart=true"]))
        {
            client = await host.AddClient();
            (await host.Register(client, "before")).ShouldBe(201);
            (await host.Report(client, "succeed", "e1", "before")).ShouldBe(200);
            first = (await host.Cancel(client, """{"paymentId":"before"}""")).Body;
            (await host.Register(client, "after")).ShouldBe(201);
        }

        await using (var migrating = Of(database.ConnectionString))
        {
            await Distribute(migrating);
            await Distribute(migrating);
        }

        (await Tables(database.ConnectionString, "partmethod = 'n'")).ShouldBe([
            "\"__EFMigrationsHistory\"",
            "restores",
        ]);
        var byClient = await Tables(database.ConnectionString, "partmethod = 'h'");
        await using (var host = await TestHost.Start(database))
        {
            await using var db = host.Db();
            byClient.ShouldBe(
                db.Model.GetEntityTypes()
                    .Select(entity => entity.GetTableName()!)
                    .Except(["restores"], StringComparer.Ordinal)
                    .Order(StringComparer.Ordinal)
            );
            (
                await Scalar<long>(
                    database.ConnectionString,
                    "SELECT count(DISTINCT colocationid) FROM pg_dist_partition WHERE partmethod = 'h'"
                )
            ).ShouldBe(1);
            (await host.Cancel(client, """{"paymentId":"before"}""")).Body.ShouldBe(first);
            (await host.Report(client, "succeed", "e2", "after")).ShouldBe(200);
            (await host.Cancel(client, """{"paymentId":"after"}""")).Code.ShouldBe("SUCCESS");
            await host.ShouldPassTheAudit();
        }
        await postgres.Release(database.ConnectionString);
    }

    /// <summary>
    /// Goal: while the tables move, a cancel waits or gets UNKNOWN_EXCEPTION. After its repeats every payment is
    /// cancelled exactly once.
    /// </summary>
    [OnCitus]
    public async Task Tables_can_be_distributed_while_an_instance_serves()
    {
        const int Payments = 40;
        using var database = TestDatabase.Of(await postgres.CreateCluster());
        await using (
            var host = await TestHost.Start(
                database,
                settings: ["--Database:MigrateAtStart=true", "--Database:Timeout=00:00:02"]
            )
        )
        {
            var clients = new List<TestClient>();
            for (var i = 0; i < 4; i++)
            {
                clients.Add(await host.AddClient());
                for (var payment = 0; payment < Payments; payment++)
                    await host.AddPayment(clients[i], State.Success, Invariant($"p{payment}"));
            }
            var (begun, unknown) = (new TaskCompletionSource(), 0);
            var cancelling = clients.ConvertAll(client => Task.Run(() => CancelAll(client)));
            await begun.Task.WaitAsync(TimeSpan.FromSeconds(30), Stopped);
            await using (var migrating = Of(database.ConnectionString))
                await TestHost.Until(() => IsDistributed(migrating)).Becomes(true);
            await Task.WhenAll(cancelling);

            TestContext.Current.TestOutputHelper!.WriteLine(
                Invariant($"first attempts answered U: {unknown} of {4 * Payments}")
            );
            foreach (var client in clients)
                (await host.Balance(client)).ShouldBe(0);
            await host.ShouldPassTheAudit();

            async Task CancelAll(TestClient client)
            {
                for (var payment = 0; payment < Payments; payment++)
                {
                    var body = Invariant($"{{\"paymentId\":\"p{payment}\"}}");
                    var code = (await host.Cancel(client, body)).Code;
                    if (payment == 5)
                        begun.TrySetResult();
                    if (code == "UNKNOWN_EXCEPTION")
                        Interlocked.Increment(ref unknown);
                    else
                        code.ShouldBe("SUCCESS");
                    await TestHost.Until(async () => (await host.Cancel(client, body)).Code).Becomes("SUCCESS");
                }
            }
        }
        await postgres.Release(database.ConnectionString);

        // An operator also repeats the command when a table was in use.
        static async Task<bool> IsDistributed(Database migrating)
        {
            try
            {
                await Distribute(migrating);
                return true;
            }
            catch (PostgresException e)
                when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
            {
                return false;
            }
        }
    }

    [OnCitus]
    public async Task Table_of_a_later_migration_is_distributed_with_its_foreign_key()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var db = Migrating(database.ConnectionString);
        CreateTableOperation Later(string name, string key) =>
            new()
            {
                Name = name,
                Columns =
                {
                    new AddColumnOperation
                    {
                        Name = key,
                        Table = name,
                        ClrType = typeof(string),
                        ColumnType = "varchar(64)",
                    },
                },
                PrimaryKey = new AddPrimaryKeyOperation
                {
                    Name = $"pk_{name}",
                    Table = name,
                    Columns = [key],
                },
            };
        var byClient = Later("later", "client_id");
        byClient.ForeignKeys.Add(
            new AddForeignKeyOperation
            {
                Name = "fk_later_clients",
                Table = "later",
                Columns = ["client_id"],
                PrincipalTable = "clients",
                PrincipalColumns = ["client_id"],
            }
        );

        var commands = db.GetService<IMigrationsSqlGenerator>().Generate([byClient, Later("small", "name")]);
        await using (var transaction = await db.Database.BeginTransactionAsync(Stopped))
        {
            foreach (var command in commands)
                await db.Database.ExecuteSqlRawAsync(command.CommandText, Stopped);
            await transaction.CommitAsync(Stopped);
        }

        (await Tables(database.ConnectionString, "partmethod = 'h'"))
            .Contains("later", StringComparer.Ordinal)
            .ShouldBeTrue();
        (await Tables(database.ConnectionString, "partmethod = 'n'"))
            .Contains("small", StringComparer.Ordinal)
            .ShouldBeTrue();
        var noClient = await Should.ThrowAsync<PostgresException>(() =>
            db.Database.ExecuteSqlRawAsync("INSERT INTO later VALUES ('nobody')", Stopped)
        );
        noClient.SqlState.ShouldBe(PostgresErrorCodes.ForeignKeyViolation);
    }

    [OnCitus]
    public async Task Schema_change_times_out_when_a_table_is_in_use_on_a_worker()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        var (worker, shard) = await Shard(database.ConnectionString);
        await using var held = await HeldLock.Take(worker, $"SELECT FROM {shard}");
        await using var db = Migrating(database.ConnectionString);
        await using var transaction = await db.Database.BeginTransactionAsync(Stopped);

        var refused = await Should.ThrowAsync<PostgresException>(() =>
            db
                .Database.ExecuteSqlRawAsync("ALTER TABLE payments ADD COLUMN later integer", Stopped)
                .WaitAsync(TimeSpan.FromMinutes(1), Stopped)
        );

        refused.SqlState.ShouldBe(PostgresErrorCodes.LockNotAvailable);
    }

    [OnCitus]
    public async Task Every_node_serves()
    {
        using var database = await TestDatabase.Create(DatabaseProvider.Postgres, postgres);
        await using var coordinator = await TestHost.Start(database);
        var client = await coordinator.AddClient();
        var (worker, _) = await Shard(database.ConnectionString);
        using var ofWorker = TestDatabase.Of(worker);
        await using var host = await TestHost.Start(ofWorker);

        (await host.Register(client, "p")).ShouldBe(201);
        (await host.Report(client, "succeed", "e", "p")).ShouldBe(200);
        var answer = await host.Cancel(client, """{"paymentId":"p"}""");

        answer.Code.ShouldBe("SUCCESS", answer.Text);
        (await coordinator.Cancel(client, """{"paymentId":"p"}""")).Body.ShouldBe(answer.Body);
        await using var migrating = Of(worker);
        (await Should.ThrowAsync<OptionsValidationException>(() => Distribute(migrating)))
            .Failures.ShouldHaveSingleItem()
            .ShouldContain("coordinator");
    }

    private static Database Of(string connectionString) =>
        new(
            Options.Create(
                new DatabaseOptions { Provider = DatabaseProvider.Postgres, ConnectionString = connectionString }
            ),
            TimeProvider.System
        );

    private static Task Distribute(Database database) =>
        database.Migrate(createDatabase: false, Stopped, distribute: true);

    private static PostgresDbContext Migrating(string connectionString) =>
        new(
            new DbContextOptionsBuilder<PostgresDbContext>()
                .UseNpgsql(connectionString)
                .UseSnakeCaseNamingConvention()
                .AddInterceptors(new LimitedLocks(new CitusCluster()))
                .ReplaceService<IMigrationsSqlGenerator, DistributedMigrations>()
                .Options
        );

    private static async Task<List<string>> Tables(string connectionString, string which)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Stopped);
        await using var command = new NpgsqlCommand(
            $"SELECT logicalrelid::text FROM pg_dist_partition WHERE {which} ORDER BY logicalrelid::text COLLATE \"C\"",
            connection
        );
        var tables = new List<string>();
        await using var rows = await command.ExecuteReaderAsync(Stopped);
        while (await rows.ReadAsync(Stopped))
            tables.Add(rows.GetString(0));
        return tables;
    }

    // Returns a worker and one shard of the payments table on it.
    private static async Task<(string Worker, string Shard)> Shard(string connectionString)
    {
        var place = await Scalar<string>(
            connectionString,
            """
            SELECT nodename || ' ' || nodeport || ' ' || shard_name FROM citus_shards
            WHERE table_name = 'payments'::regclass AND (nodename, nodeport) IN (
                SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0)
            ORDER BY shard_name LIMIT 1
            """
        );
        var parts = place.Split(' ');
        return (
            new NpgsqlConnectionStringBuilder(connectionString)
            {
                Host = parts[0],
                Port = int.Parse(parts[1], CultureInfo.InvariantCulture),
            }.ConnectionString,
            parts[2]
        );
    }

    private static async Task<T> Scalar<T>(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(Stopped);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(Stopped))!;
    }
}
