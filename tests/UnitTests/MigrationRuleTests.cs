using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;

namespace CancelService.UnitTests;

/// <summary>
/// Expand, then contract (docs/decisions/0009-expand-then-contract.md): the release before goes on serving while and after a
/// migration runs. So a migration only adds, in ways that lock no table for long. What is not known to be safe is refused.
/// </summary>
public sealed class MigrationRuleTests
{
    private const string Sqlite = "Microsoft.EntityFrameworkCore.Sqlite";
    private const string Postgres = "Npgsql.EntityFrameworkCore.PostgreSQL";

    // Migrations that contract, each with the last release that needs what it takes away: that one must not run any more.
    private static readonly Dictionary<string, string> Contractions = new(StringComparer.Ordinal);

    // SQL by hand that locks out nobody: what builds or drops an index beside its readers and writers, what checks
    // existing rows against a constraint that was added as not valid, and how long locks are waited for.
    private static readonly string[] SafeSql =
    [
        "CREATE INDEX CONCURRENTLY ",
        "DROP INDEX CONCURRENTLY IF EXISTS ",
        "SET lock_timeout = ",
    ];

    // What somebody may plan, with whether the release before can live with it.
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
        ["SQL that nobody has judged"] = (new SqlOperation { Sql = "UPDATE payments SET version = 1" }, false),
        ["an index by hand"] = (Sql("CREATE INDEX i ON payments (client_id)", inTransaction: false), false),
        ["an index by hand, beside writers"] = (
            Sql("CREATE INDEX CONCURRENTLY i ON payments (client_id)", inTransaction: false),
            true
        ),
        ["an index by hand, beside writers, in a transaction"] = (
            Sql("CREATE INDEX CONCURRENTLY i ON payments (client_id)", inTransaction: true),
            false
        ),
        ["safe SQL with something behind it"] = (
            Sql("SET lock_timeout = 0; DROP TABLE payments", inTransaction: false),
            false
        ),
    };

    public static TheoryData<string> Plans => [.. Planned.Keys];

    public static TheoryData<string> Providers => [Sqlite, Postgres];

    [Theory]
    [MemberData(nameof(Plans))]
    public void What_the_release_before_can_not_live_with_is_refused(string plan)
    {
        var (operation, safe) = Planned[plan];
        Refused([operation], Postgres).Count.ShouldBe(safe ? 0 : 1);
    }

    [Fact]
    public void An_index_of_a_table_that_is_new_itself_is_safe() =>
        Refused([new CreateTableOperation { Name = "payments" }, Index(concurrently: false)], Postgres).ShouldBeEmpty();

    [Fact]
    public void SQLite_has_one_process_whose_writers_an_index_may_keep_waiting() =>
        Refused([Index(concurrently: false)], Sqlite).ShouldBeEmpty();

    [Theory]
    [MemberData(nameof(Providers))]
    public void Every_migration_expands_or_is_said_to_contract(string provider)
    {
        using CancelDbContext db =
            provider == Postgres
                ? new PostgresDbContext(new DbContextOptionsBuilder<PostgresDbContext>().UseNpgsql().Options)
                : new SqliteDbContext(new DbContextOptionsBuilder<SqliteDbContext>().UseSqlite().Options);
        var assembly = db.GetService<IMigrationsAssembly>();
        assembly.Migrations.ShouldNotBeEmpty();
        foreach (var (id, type) in assembly.Migrations.Skip(1)) // Before the first there was no release.
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
