using CancelService.Infrastructure.Servers;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CancelService.Infrastructure.Sql;

// The migration and the distribution of the schema.
public sealed partial class Database
{
    /// <summary>
    /// Migrates the schema while instances serve. It gives up when it does not get a lock soon, and can be repeated.
    /// Once it has its locks, it has no time limit.
    /// </summary>
    /// <param name="createDatabase">
    /// True to create a missing database on PostgreSQL. Otherwise a missing database is an error, because its name may
    /// be mistyped.
    /// </param>
    /// <param name="cancellationToken">Ends the migration.</param>
    /// <param name="distribute">
    /// True to distribute the tables by client over the nodes of Citus. A distributed schema stays distributed,
    /// including the tables that later migrations add.
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
            throw Refused("SQLite can't be distributed. Set Database:Provider to Postgres.");
        await using var db = CreateContext();
        var file = ((SqliteConnection)db.Database.GetDbConnection()).DataSource;
        if (file is { Length: > 0 } and not ":memory:")
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        db.Database.SetCommandTimeout(TimeSpan.Zero);
        await db.Database.MigrateAsync(cancellationToken);
    }

    private async Task MigratePostgres(bool createDatabase, bool distribute, CancellationToken cancellationToken)
    {
        INodes nodes;
        await using (var db = MigrationContext(SingleServer.Instance))
        {
            var creator = db.GetService<IRelationalDatabaseCreator>();
            if (!await creator.ExistsAsync(cancellationToken))
                await (createDatabase ? creator.CreateAsync(cancellationToken) : throw Missing(db));
            await db.Database.OpenConnectionAsync(cancellationToken);
            var connection = (NpgsqlConnection)db.Database.GetDbConnection();
            if (distribute && await Distribution.Problem(connection, cancellationToken) is { } problem)
                throw Refused(problem);
            nodes = await Distribution.Nodes(connection, cancellationToken);
        }
        await using (var db = MigrationContext(nodes))
            await db.Database.MigrateAsync(cancellationToken);
        if (!distribute)
            return;
        await using (var db = MigrationContext(new CitusCluster()))
        {
            await db.Database.OpenConnectionAsync(cancellationToken);
            await Distribution.Distribute(db, cancellationToken);
        }
    }

    private PostgresDbContext MigrationContext(INodes nodes)
    {
        var options = new DbContextOptionsBuilder<PostgresDbContext>()
            .UseNpgsql(_postgres!)
            .UseSnakeCaseNamingConvention()
            .AddInterceptors(new LimitedLocks(nodes));
        nodes.Configure(options);
        var db = new PostgresDbContext(options.Options);
        db.Database.SetCommandTimeout(TimeSpan.Zero);
        return db;
    }

    private static OptionsValidationException Missing(CancelDbContext db) =>
        Refused(
            $"Database:ConnectionString names the database '{db.Database.GetDbConnection().Database}', which does not "
                + "exist. Correct the name, or create the database with: migrate --create-database"
        );

    private static OptionsValidationException Refused(string problem) =>
        new("Database", typeof(DatabaseOptions), [problem]);
}
