using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using Microsoft.Extensions.Options;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure.Internal;
using Npgsql.EntityFrameworkCore.PostgreSQL.Migrations;

namespace CancelService.Infrastructure.Persistence;

/// <summary>
/// The schema on Citus, an extension that spreads PostgreSQL over several nodes. Tables whose key begins with the client are
/// distributed by it, and all rows of a client are on one node; the other tables are small, and the same on every node.
/// </summary>
/// <remarks>docs/decisions/0019-distributed-by-client.md</remarks>
internal static class Distribution
{
    /// <summary>By which the tables are distributed.</summary>
    public const string Column = "client_id";

    // All other tables lie where this one's rows of the same client do.
    private const string First = "clients";

    private const string IsInstalled = "SELECT count(*) FROM pg_extension WHERE extname = 'citus'";

    /// <summary>Whether the schema is distributed already.</summary>
    public static async Task<bool> IsDone(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        await Count(connection, IsInstalled, cancellationToken) > 0
        && await Count(
            connection,
            $"SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = to_regclass('{First}')",
            cancellationToken
        ) > 0;

    /// <summary>Refuses a server that can't distribute tables.</summary>
    /// <exception cref="OptionsValidationException">It says what to do.</exception>
    public static async Task Check(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (await Count(connection, IsInstalled, cancellationToken) == 0)
            throw Refused(
                $"The database '{connection.Database}' can't be distributed: it has no extension citus. On each node, add citus to "
                    + "shared_preload_libraries, restart, and run CREATE EXTENSION citus in this database."
            );
        if (await Count(connection, "SELECT groupid FROM pg_dist_local_group", cancellationToken) != 0)
            throw Refused(
                "Database:ConnectionString names a worker. Tables are distributed by the coordinator: name that one."
            );
        if (
            await Count(
                connection,
                "SELECT count(*) FROM pg_dist_node WHERE isactive AND noderole = 'primary' AND shouldhaveshards",
                cancellationToken
            ) == 0
        )
            throw Refused(
                "The coordinator knows no node that takes shards. Run SELECT citus_add_node('HOST', PORT) there for each worker."
            );
    }

    /// <summary>
    /// Distributes the tables that are not distributed yet, with their rows, all in one transaction. It first locks them all,
    /// so nobody writes meanwhile, and gives up when a lock is not to be had within two seconds.
    /// </summary>
    public static async Task Distribute(PostgresDbContext db, CancellationToken cancellationToken)
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
        // A table can't be distributed while another one that is not refers to it, or it to one.
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

    /// <summary>The statement that distributes a table.</summary>
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

    private static OptionsValidationException Refused(string why) => new("Database", typeof(DatabaseOptions), [why]);

    private sealed record Table(string Name, bool IsByClient)
    {
        public string Quoted => $"\"{Name}\"";
    }

    private sealed record ForeignKey(string Table, string Name, string Definition);
}

/// <summary>
/// Writes the SQL of migrations for a distributed schema: a table that a migration creates is distributed at once, and gets its
/// foreign keys after that, because a table that is not distributed can't refer to one that is.
/// </summary>
#pragma warning disable EF1001 // The base class can't be made without this interface, which its package calls internal.
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
        // The list of migrations is there already, and its creation is repeated with each migration.
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
