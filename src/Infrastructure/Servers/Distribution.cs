using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure.Internal;
using Npgsql.EntityFrameworkCore.PostgreSQL.Migrations;

namespace CancelService.Infrastructure.Servers;

/// <summary>
/// The schema on Citus, an extension that spreads PostgreSQL over several nodes. Tables whose key begins with the
/// client are distributed by client, and all rows of a client are on one node. The other tables are small, and each
/// node has a copy.
/// </summary>
/// <remarks>docs/decisions/0019-distributed-by-client.md</remarks>
internal static class Distribution
{
    /// <summary>The column that decides which node has a row.</summary>
    public const string Column = "client_id";

    // The other tables are colocated with this one.
    private const string First = "clients";

    private const string IsInstalled = "SELECT count(*) FROM pg_extension WHERE extname = 'citus'";

    /// <summary>Finds out which nodes hold the schema: a single server's until the tables are distributed.</summary>
    public static async Task<INodes> Nodes(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        await Count(connection, IsInstalled, cancellationToken) > 0
        && await Count(
            connection,
            $"SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = to_regclass('{First}')",
            cancellationToken
        ) > 0
            ? new CitusCluster()
            : SingleServer.Instance;

    /// <summary>Says why a server can't distribute tables and how to correct it; null when it can.</summary>
    public static async Task<string?> Problem(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (await Count(connection, IsInstalled, cancellationToken) == 0)
            return $"The database '{connection.Database}' can't be distributed: it has no extension citus. "
                + "On each node, add citus to shared_preload_libraries, restart, and run CREATE EXTENSION citus in "
                + "this database.";
        if (await Count(connection, "SELECT groupid FROM pg_dist_local_group", cancellationToken) != 0)
            return "Database:ConnectionString names a worker. Name the coordinator, which distributes the tables.";
        if (
            await Count(
                connection,
                "SELECT count(*) FROM pg_dist_node WHERE isactive AND noderole = 'primary' AND shouldhaveshards",
                cancellationToken
            ) == 0
        )
            return "The coordinator knows no node that takes shards. Run SELECT citus_add_node('HOST', PORT) there for "
                + "each worker.";
        return null;
    }

    /// <summary>
    /// Distributes the remaining tables with their rows, in one transaction. It locks all of them first, so that nobody
    /// writes meanwhile, and gives up when it waits for a lock longer than two seconds.
    /// </summary>
    public static async Task Distribute(DbContext db, CancellationToken cancellationToken)
    {
        var connection = (NpgsqlConnection)db.Database.GetDbConnection();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var left = new List<Table>();
        foreach (var table in Tables(db.Model))
        {
            var isDistributed =
                $"SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = '{table.Quoted}'::regclass";
            if (await Count(connection, isDistributed, cancellationToken) == 0)
                left.Add(table);
        }
        if (left.Count == 0)
            return;

        var all = string.Join(", ", left.Select(table => table.Quoted));
        await Execute($"LOCK TABLE {all} IN ACCESS EXCLUSIVE MODE");
        // Citus refuses to distribute a table that has a foreign key to or from a local one.
        var foreignKeys = await ForeignKeys(connection, left, cancellationToken);
        foreach (var key in foreignKeys)
            await Execute($"ALTER TABLE {key.Table} DROP CONSTRAINT {key.Name}");
        foreach (var table in left.OrderBy(table => table.Name == First ? 0 : 1))
            await Execute(Statement(table.Name, table.IsByClient));
        foreach (var key in foreignKeys)
            await Execute($"ALTER TABLE {key.Table} ADD CONSTRAINT {key.Name} {key.Definition}");
        await transaction.CommitAsync(cancellationToken);

        async Task Execute(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    /// <summary>Writes the statement that distributes a table, or copies it to each node.</summary>
    public static string Statement(string table, bool isByClient) =>
        !isByClient ? $"SELECT create_reference_table('\"{table}\"')"
        : table == First ? $"SELECT create_distributed_table('{First}', '{Column}', colocate_with => 'none')"
        : $"SELECT create_distributed_table('\"{table}\"', '{Column}', colocate_with => '{First}')";

    private static IEnumerable<Table> Tables(IModel model) =>
        model
            .GetEntityTypes()
            .Where(entity => entity.GetTableName() is not null && entity.FindPrimaryKey() is not null)
            .Select(entity => new Table(
                entity.GetTableName()!,
                entity.FindPrimaryKey()!.Properties[0].GetColumnName() == Column
            ))
            .Append(new Table(HistoryRepository.DefaultTableName, IsByClient: false))
            .Distinct();

    private static async Task<List<ForeignKey>> ForeignKeys(
        NpgsqlConnection connection,
        List<Table> tables,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
            WHERE contype = 'f' AND conrelid = ANY ($1::regclass[]) ORDER BY conname
            """,
            connection
        );
        command.Parameters.Add(new NpgsqlParameter { Value = tables.ConvertAll(table => table.Quoted).ToArray() });
        var keys = new List<ForeignKey>();
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            keys.Add(new ForeignKey(rows.GetString(0), rows.GetString(1), rows.GetString(2)));
        return keys;
    }

    private static async Task<long> Count(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken) switch
        {
            long count => count,
            int group => group,
            var other => throw new InvalidOperationException($"'{sql}' gave {other}."),
        };
    }

    private sealed record Table(string Name, bool IsByClient)
    {
        public string Quoted => $"\"{Name}\"";
    }

    private sealed record ForeignKey(string Table, string Name, string Definition);
}

/// <summary>
/// Writes the SQL of migrations for a distributed schema. It distributes a new table at once and adds the foreign keys
/// afterwards, because a local table can't refer to a distributed one.
/// </summary>
#pragma warning disable EF1001 // The base class's constructor takes this interface, which its package calls internal.
internal sealed class DistributedMigrations(
    MigrationsSqlGeneratorDependencies dependencies,
    INpgsqlSingletonOptions options
) : NpgsqlMigrationsSqlGenerator(dependencies, options)
#pragma warning restore EF1001
{
    /// <inheritdoc/>
    protected override void Generate(
        CreateTableOperation operation,
        IModel? model,
        MigrationCommandListBuilder builder,
        bool terminate = true
    )
    {
        // The list of migrations exists already, although each migration creates it again.
        if (operation.Name == HistoryRepository.DefaultTableName)
        {
            base.Generate(operation, model, builder, terminate);
            return;
        }
        AddForeignKeyOperation[] foreignKeys = [.. operation.ForeignKeys];
        operation.ForeignKeys.Clear();
        base.Generate(operation, model, builder);
        var isByClient = operation.PrimaryKey?.Columns[0] == Distribution.Column;
        builder.Append(Distribution.Statement(operation.Name, isByClient)).AppendLine(";");
        EndStatement(builder);
        foreach (var key in foreignKeys)
            Generate(key, model, builder);
    }
}
