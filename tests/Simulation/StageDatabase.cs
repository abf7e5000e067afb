using CancelService.Infrastructure.Sql;
using Microsoft.Extensions.Options;
using Npgsql;
using static System.FormattableString;

namespace CancelService.Simulation;

/// <summary>
/// The database of a stage with its faults. It is a primary with a synchronous standby, or an existing Citus cluster
/// when CANCELSERVICE_TEST_DISTRIBUTE is true and CANCELSERVICE_TEST_POSTGRES names a coordinator.
/// </summary>
internal abstract class StageDatabase : IAsyncDisposable
{
    /// <summary>The connection strings of the servers that an instance may connect to.</summary>
    public abstract IReadOnlyList<string> Servers { get; }

    /// <summary>The index of the server that accepts writes.</summary>
    public abstract int Primary { get; }

    /// <summary>The connection string of the server that accepts writes.</summary>
    public string ConnectionString => Servers[Primary];

    /// <summary>The SQL settings of the transaction of a migration.</summary>
    public abstract string Migrating { get; }

    protected abstract bool IsDistributed { get; }

    public static async Task<StageDatabase> Start()
    {
        StageDatabase started =
            Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_DISTRIBUTE") == "true"
                ? await Distributed.Create(
                    Environment.GetEnvironmentVariable("CANCELSERVICE_TEST_POSTGRES")
                        ?? throw new InvalidOperationException(
                            "CANCELSERVICE_TEST_POSTGRES names no coordinator of Citus. Set it, or unset CANCELSERVICE_TEST_DISTRIBUTE."
                        )
                )
                : new Replicated(await ReplicatedPostgres.Start());
        await using var database = new Database(
            Options.Create(
                new DatabaseOptions
                {
                    Provider = DatabaseProvider.Postgres,
                    ConnectionString = started.ConnectionString,
                }
            ),
            TimeProvider.System
        );
        await database.Migrate(createDatabase: false, CancellationToken.None, distribute: started.IsDistributed);
        return started;
    }

    /// <summary>Returns true when the database supports a fault.</summary>
    public abstract bool Has(Trouble trouble);

    /// <summary>Injects a fault into the database and returns when it serves again.</summary>
    public abstract Task Happen(Trouble trouble);

    public abstract ValueTask DisposeAsync();

    private sealed class Replicated(ReplicatedPostgres pair) : StageDatabase
    {
        public override IReadOnlyList<string> Servers => [pair.First, pair.Second];

        public override int Primary => pair.IsSecondPrimary ? 1 : 0;

        public override string Migrating => "SET LOCAL lock_timeout = '2s'";

        protected override bool IsDistributed => false;

        public override bool Has(Trouble trouble) => true;

        public override async Task Happen(Trouble trouble)
        {
            switch (trouble)
            {
                case Trouble.KillDatabase:
                    await pair.Restart();
                    break;
                case Trouble.CutStandby:
                    await pair.Cut();
                    await Task.Delay(Stage.Long);
                    await pair.Mend();
                    break;
                case Trouble.FailOver:
                    await pair.FailOver();
                    break;
                case Trouble.CutAndFailOver:
                    await pair.Cut();
                    await Task.Delay(Stage.Long);
                    await pair.FailOver();
                    break;
                case Trouble.PauseStandby:
                    await pair.PauseStandby();
                    await Task.Delay(Stage.Long);
                    await pair.ResumeStandby();
                    break;
                case Trouble.PausePrimary:
                    await pair.PausePrimary();
                    await Task.Delay(Stage.Long);
                    await pair.ResumePrimary();
                    break;
                case Trouble.PauseAndFailOver:
                    await pair.PausePrimary();
                    await Task.Delay(TimeSpan.FromSeconds(1));
                    await pair.FailOver(isPaused: true);
                    break;
                case Trouble.FillDisk:
                    await pair.FillDisk();
                    await Task.Delay(TimeSpan.FromSeconds(1));
                    await pair.Restart();
                    break;
            }
        }

        public override ValueTask DisposeAsync() => pair.DisposeAsync();
    }

    private sealed class Distributed(IReadOnlyList<string> nodes, string name) : StageDatabase
    {
        private int _killed;

        public override IReadOnlyList<string> Servers { get; } =
        [new NpgsqlConnectionStringBuilder(nodes[0]) { Database = name }.ConnectionString];

        public override int Primary => 0;

        public override string Migrating =>
            "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL citus.multi_shard_modify_mode = 'sequential'; "
            + "SET LOCAL lock_timeout = '2s'";

        protected override bool IsDistributed => true;

        public static async Task<Distributed> Create(string coordinator)
        {
            var (nodes, name) = (await CitusNodes.Of(coordinator), $"simulation_{Guid.NewGuid():N}");
            foreach (var node in nodes)
                await CitusNodes.Execute(node, "postgres", $"CREATE DATABASE {name}");
            await CitusNodes.Join(nodes, name);
            return new(nodes, name);
        }

        // The servers of an existing cluster must be neither stopped nor promoted.
        public override bool Has(Trouble trouble) =>
            trouble
                is not (
                    Trouble.CutStandby
                    or Trouble.FailOver
                    or Trouble.CutAndFailOver
                    or Trouble.PauseStandby
                    or Trouble.PausePrimary
                    or Trouble.PauseAndFailOver
                    or Trouble.FillDisk
                );

        // Terminates all sessions of one node: the sessions of the instances and the sessions of Citus between nodes.
        public override Task Happen(Trouble trouble) =>
            CitusNodes.Execute(
                nodes[_killed++ % nodes.Count],
                "postgres",
                Invariant(
                    $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'"
                )
            );

        public override async ValueTask DisposeAsync()
        {
            foreach (var node in nodes)
                await CitusNodes.Execute(node, "postgres", $"DROP DATABASE {name} WITH (FORCE)");
        }
    }
}
