using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Infrastructure.Persistence;

// How the schema is brought up to date, and distributed.
public sealed partial class Database
{
    /// <summary>
    /// Brings the schema up to date while instances serve. It gives up when it does not get a lock soon, and can be
    /// repeated. Once it has its locks, it takes the time that it needs.
    /// </summary>
    /// <param name="createDatabase">
    /// Whether a database that does not exist is created on PostgreSQL. Otherwise it is refused: the name may be mistyped.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="distribute">
    /// Whether the tables are distributed by client over the nodes of Citus. A schema that is distributed stays so, and so does a
    /// table that a migration adds to it.
    /// </param>
    /// <exception cref="OptionsValidationException">The database does not exist, or can't be distributed.</exception>
    public async Task Migrate(bool createDatabase, CancellationToken cancellationToken, bool distribute = false)
    {
        if (_postgres is not null)
        {
            await MigratePostgres(createDatabase, distribute, cancellationToken);
            return;
        }
        if (distribute)
            throw new OptionsValidationException(
                "Database",
                typeof(DatabaseOptions),
                ["SQLite can't be distributed. Set Database:Provider to Postgres."]
            );
        await using var db = CreateContext();
        var file = ((SqliteConnection)db.Database.GetDbConnection()).DataSource;
        if (file is { Length: > 0 } and not ":memory:")
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        db.Database.SetCommandTimeout(TimeSpan.Zero);
        await db.Database.MigrateAsync(cancellationToken);
    }

    private async Task MigratePostgres(bool createDatabase, bool distribute, CancellationToken cancellationToken)
    {
        bool isDistributed;
        await using (var db = MigrationContext(isDistributed: false))
        {
            var creator = db.GetService<IRelationalDatabaseCreator>();
            if (!await creator.ExistsAsync(cancellationToken))
                await (createDatabase ? creator.CreateAsync(cancellationToken) : throw Missing(db));
            await db.Database.OpenConnectionAsync(cancellationToken);
            var connection = (NpgsqlConnection)db.Database.GetDbConnection();
            if (distribute)
                await Distribution.Check(connection, cancellationToken);
            isDistributed = await Distribution.IsDone(connection, cancellationToken);
        }
        await using (var db = MigrationContext(isDistributed))
            await db.Database.MigrateAsync(cancellationToken);
        if (!distribute)
            return;
        await using (var db = MigrationContext(isDistributed: true))
        {
            await db.Database.OpenConnectionAsync(cancellationToken);
            await Distribution.Distribute(db, cancellationToken);
        }
    }

    private PostgresDbContext MigrationContext(bool isDistributed)
    {
        var options = new DbContextOptionsBuilder<PostgresDbContext>()
            .UseNpgsql(_postgres!)
            .UseSnakeCaseNamingConvention()
            .AddInterceptors(new LimitedLocks(isDistributed));
        if (isDistributed)
            options.ReplaceService<IMigrationsSqlGenerator, DistributedMigrations>();
        var db = new PostgresDbContext(options.Options);
        db.Database.SetCommandTimeout(TimeSpan.Zero);
        return db;
    }

    private static OptionsValidationException Missing(CancelDbContext db) =>
        new(
            "Database",
            typeof(DatabaseOptions),
            [
                $"Database:ConnectionString names the database '{db.Database.GetDbConnection().Database}', which does not exist. "
                    + "Correct the name, or create the database with: migrate --create-database",
            ]
        );
}
