using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;

namespace CancelService.UnitTests;

/// <summary>
/// Goal: expand, then contract (docs/decisions/0009-expand-then-contract.md). The previous release serves during and
/// after a migration, so a migration only adds, and locks no table for long. Operations outside the allow-list fail.
/// </summary>
public sealed class MigrationRuleTests
{
    private const string Sqlite = "Microsoft.EntityFrameworkCore.Sqlite";
    private const string Postgres = "Npgsql.EntityFrameworkCore.PostgreSQL";

    // Contracting migrations by name, each with the last release that needs the removed part and must not run any more.
    private static readonly Dictionary<string, string> Contractions = new(StringComparer.Ordinal);

    // Handwritten SQL that blocks neither readers nor writers.
    private static readonly string[] SafeSql =
    [
        "CREATE INDEX CONCURRENTLY ",
        "DROP INDEX CONCURRENTLY IF EXISTS ",
        "SET lock_timeout = ",
    ];

    // Operations with the verdict whether the previous release can serve beside them.
    private static readonly Dictionary<string, (MigrationOperation Operation, bool Safe)> Planned = new(
        StringComparer.Ordinal
    )
    {
        ["a new table"] = (new CreateTableOperation { Name = "t" }, true),
        ["a column that may be null"] = (Added(nullable: true), true),
        ["a column with a default"] = (Added(nullable: false, defaultValue: 0), true),
        ["a column that must be given"] = (Added(nullable: false), false),
        ["a column whose default is computed for each row"] = (Added(nullable: true, sql: "random()"), false),
        ["a column that is dropped"] = (new DropColumnOperation { Table = "payments", Name = "c" }, false),
        ["a column that is renamed"] = (
            new RenameColumnOperation
            {
                Table = "payments",
                Name = "c",
                NewName = "d",
            },
            false
        ),
        ["a column that becomes longer"] = (Altered(from: 64, to: 128), true),
        ["a column that loses its bound"] = (Altered(from: 64, to: null), true),
        ["a column that becomes shorter"] = (Altered(from: 64, to: 32), false),
        ["a column that gets a bound"] = (Altered(from: null, to: 32), false),
        ["a column that may become null"] = (Altered(fromNullable: false, toNullable: true), true),
        ["a column that must not be null any more"] = (Altered(fromNullable: true, toNullable: false), false),
        ["a column of another type"] = (Altered(toType: typeof(int)), false),
        ["a table that is dropped"] = (new DropTableOperation { Name = "payments" }, false),
        ["a table that is renamed"] = (new RenameTableOperation { Name = "payments", NewName = "p" }, false),
        ["an index that is built while writers wait"] = (Index(concurrently: false), false),
        ["an index that is built beside writers"] = (Index(concurrently: true), true),
        ["a rule of uniqueness"] = (Index(concurrently: true, unique: true), false),
        ["an index that is dropped"] = (new DropIndexOperation { Table = "payments", Name = "i" }, false),
        ["a check of all rows"] = (
            new AddCheckConstraintOperation
            {
                Table = "payments",
                Name = "ck",
                Sql = "true",
            },
            false
        ),
        ["a foreign key"] = (new AddForeignKeyOperation { Table = "payments", Name = "fk" }, false),
        ["a key that is dropped"] = (new DropPrimaryKeyOperation { Table = "payments", Name = "pk" }, false),
        ["rows that are rewritten"] = (new UpdateDataOperation { Table = "payments" }, false),
        ["rows that are deleted"] = (new DeleteDataOperation { Table = "payments" }, false),
        ["SQL outside the allow-list"] = (new SqlOperation { Sql = "UPDATE payments SET version = 1" }, false),
        ["an index by hand"] = (Sql("CREATE INDEX i ON payments (client_id)", inTransaction: false), false),
        ["an index by hand, beside writers"] = (
            Sql("CREATE INDEX CONCURRENTLY i ON payments (client_id)", inTransaction: false),
            true
        ),
        ["an index by hand, beside writers, in a transaction"] = (
            Sql("CREATE INDEX CONCURRENTLY i ON payments (client_id)", inTransaction: true),
            false
        ),
        ["safe SQL with another statement behind it"] = (
            Sql("SET lock_timeout = 0; DROP TABLE payments", inTransaction: false),
            false
        ),
    };

    public static TheoryData<string> Plans => [.. Planned.Keys];

    public static TheoryData<string> Providers => [Sqlite, Postgres];

    [Theory]
    [MemberData(nameof(Plans))]
    public void An_operation_is_refused_when_it_breaks_the_previous_release(string plan)
    {
        var (operation, safe) = Planned[plan];
        Refused([operation], Postgres).Count.ShouldBe(safe ? 0 : 1);
    }

    [Fact]
    public void An_index_of_a_new_table_is_safe() =>
        Refused([new CreateTableOperation { Name = "payments" }, Index(concurrently: false)], Postgres).ShouldBeEmpty();

    [Fact]
    public void An_index_on_SQLite_may_block_writers_because_one_process_serves() =>
        Refused([Index(concurrently: false)], Sqlite).ShouldBeEmpty();

    [Theory]
    [MemberData(nameof(Providers))]
    public void Every_migration_expands_or_is_listed_as_a_contraction(string provider)
    {
        using CancelDbContext db =
            provider == Postgres
                ? new PostgresDbContext(new DbContextOptionsBuilder<PostgresDbContext>().UseNpgsql().Options)
                : new SqliteDbContext(new DbContextOptionsBuilder<SqliteDbContext>().UseSqlite().Options);
        var assembly = db.GetService<IMigrationsAssembly>();
        assembly.Migrations.ShouldNotBeEmpty();
        foreach (var (id, type) in assembly.Migrations.Skip(1)) // No release preceded the first.
        {
            var name = id[(id.IndexOf('_', StringComparison.Ordinal) + 1)..];
            if (!Contractions.ContainsKey(name))
                Refused(assembly.CreateMigration(type, provider).UpOperations, provider).ShouldBeEmpty(id);
        }
    }

    private static List<string> Refused(IReadOnlyList<MigrationOperation> operations, string provider)
    {
        var tables = operations
            .OfType<CreateTableOperation>()
            .Select(table => table.Name)
            .ToHashSet(StringComparer.Ordinal);
        return
        [
            .. operations
                .Where(operation =>
                    operation switch
                    {
                        CreateTableOperation => false,
                        AddColumnOperation added => added.DefaultValueSql is not null
                            || added.ComputedColumnSql is not null
                            || (!added.IsNullable && added.DefaultValue is null),
                        AlterColumnOperation altered => Narrows(altered),
                        CreateIndexOperation index when tables.Contains(index.Table) => false,
                        CreateIndexOperation index => index.IsUnique
                            || (provider == Postgres && index["Npgsql:CreatedConcurrently"] is not true),
                        SqlOperation sql => !sql.SuppressTransaction
                            || sql.Sql.Contains(';', StringComparison.Ordinal)
                            || !SafeSql.Any(safe => sql.Sql.StartsWith(safe, StringComparison.Ordinal)),
                        _ => true,
                    }
                )
                .Select(operation => operation.GetType().Name),
        ];
    }

    private static bool Narrows(AlterColumnOperation to)
    {
        var from = to.OldColumn;
        return from.ClrType != to.ClrType
            || (from.IsNullable && !to.IsNullable)
            || (to.MaxLength is { } bound && (from.MaxLength is not { } before || before > bound));
    }

    private static AddColumnOperation Added(bool nullable, object? defaultValue = null, string? sql = null) =>
        new()
        {
            Table = "payments",
            Name = "c",
            ClrType = typeof(int),
            IsNullable = nullable,
            DefaultValue = defaultValue,
            DefaultValueSql = sql,
        };

    private static AlterColumnOperation Altered(
        int? from = 64,
        int? to = 64,
        bool fromNullable = false,
        bool toNullable = false,
        Type? toType = null
    ) =>
        new()
        {
            Table = "payments",
            Name = "c",
            ClrType = toType ?? typeof(string),
            MaxLength = to,
            IsNullable = toNullable,
            OldColumn = new AddColumnOperation
            {
                ClrType = typeof(string),
                MaxLength = from,
                IsNullable = fromNullable,
            },
        };

    private static CreateIndexOperation Index(bool concurrently, bool unique = false)
    {
        var index = new CreateIndexOperation
        {
            Table = "payments",
            Name = "i",
            Columns = ["client_id"],
            IsUnique = unique,
        };
        if (concurrently)
            index.AddAnnotation("Npgsql:CreatedConcurrently", true);
        return index;
    }

    private static SqlOperation Sql(string sql, bool inTransaction) =>
        new() { Sql = sql, SuppressTransaction = !inTransaction };
}
