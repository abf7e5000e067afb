using System.Data;
using System.Data.Common;
using CancelService.Api.Hosting;
using CancelService.Infrastructure.Sql;
using CancelService.Sandbox.Demo;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Options;
using Database = CancelService.Infrastructure.Sql.Database;

namespace CancelService.Sandbox;

/// <summary>
/// Keeps the sandbox to databases of its own. The mark of such a database is one row in a table that the sandbox alone
/// makes, while the database holds no table of the service.
/// </summary>
internal sealed class SandboxDatabase(Database database, DemoWallet wallet)
    : IDatabasePreparation,
        IHostedLifecycleService
{
    /// <summary>
    /// Fails without the mark, and changes nothing with it. PostgreSQL and SQLite both refuse the null, so the
    /// transaction that begins with this statement fails too.
    /// </summary>
    public const string Precondition = "INSERT INTO sandbox (id) SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM sandbox)";

    /// <summary>Says what is wrong with another database, and what to do.</summary>
    public const string Refusal =
        "Database:ConnectionString names a database that the sandbox did not make. "
        + "Name an empty or a new one; the sandbox keeps to databases of its own.";

    private const string Table = "sandbox";

    // An unreachable database does not hold up the start; BeforeMigration asks again until it answers.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Refuses another database before anything is served, so that the process ends with the reason.</summary>
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ThrowIfForeign(cancellationToken).WaitAsync(Patience, cancellationToken);
        }
        catch (Exception e)
            when (e is DbException or TimeoutException or InvalidOperationException { InnerException: DbException }) { }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Marks an empty database before its first table, so that a crash leaves no table without.</summary>
    public async Task BeforeMigration(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        await Create(db, cancellationToken);
        await db.Database.OpenConnectionAsync(cancellationToken);
        switch (await StateOf(db, cancellationToken))
        {
            case State.Own:
                return;
            case State.Foreign:
                throw Refused();
        }
        await using var transaction = await db.Database.BeginTransactionAsync(
            IsolationLevel.Serializable,
            cancellationToken
        );
        // Another instance may have been first. Of two at once, the second fails to create the table, and tries again.
        if (await StateOf(db, cancellationToken) is not State.Empty)
            return;
        await db.Database.ExecuteSqlRawAsync("CREATE TABLE sandbox (id text NOT NULL PRIMARY KEY)", cancellationToken);
        await db.Database.ExecuteSqlAsync(
            $"INSERT INTO sandbox (id) VALUES ({Guid.NewGuid().ToString()})",
            cancellationToken
        );
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Fills the demo wallet.</summary>
    public Task AfterMigration(CancellationToken cancellationToken) => wallet.Fill(cancellationToken);

    /// <summary>Finds out whether the mark is there now.</summary>
    public async Task<bool> IsOwn(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        await db.Database.OpenConnectionAsync(cancellationToken);
        return await StateOf(db, cancellationToken) is State.Own;
    }

    /// <summary>Fails without the mark, in the transaction of the caller.</summary>
    /// <exception cref="DbException">The mark is missing.</exception>
    public static async Task Require(
        DbConnection connection,
        DbTransaction transaction,
        CancellationToken cancellationToken
    )
    {
        await using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = Precondition;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task ThrowIfForeign(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        if (!await db.GetService<IRelationalDatabaseCreator>().ExistsAsync(cancellationToken))
            return;
        await db.Database.OpenConnectionAsync(cancellationToken);
        if (await StateOf(db, cancellationToken) is State.Foreign)
            throw Refused();
    }

    private static async Task Create(CancelDbContext db, CancellationToken cancellationToken)
    {
        var creator = db.GetService<IRelationalDatabaseCreator>();
        if (await creator.ExistsAsync(cancellationToken))
            return;
        if (db.Database.IsSqlite())
            Directory.CreateDirectory(
                Path.GetDirectoryName(Path.GetFullPath(db.Database.GetDbConnection().DataSource))!
            );
        await creator.CreateAsync(cancellationToken);
    }

    private static async Task<State> StateOf(CancelDbContext db, CancellationToken cancellationToken)
    {
        var tables = await db
            .Database.SqlQueryRaw<string>(
                db.Database.IsNpgsql()
                    ? """
                    SELECT relname::text AS "Value" FROM pg_catalog.pg_class
                    WHERE relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(oid)
                    """
                    : """SELECT name AS "Value" FROM sqlite_master WHERE type = 'table'"""
            )
            .ToListAsync(cancellationToken);
        if (tables.Contains(Table, StringComparer.Ordinal))
        {
            var marks = await db
                .Database.SqlQueryRaw<string>("""SELECT id AS "Value" FROM sandbox""")
                .ToListAsync(cancellationToken);
            return marks is [_] ? State.Own : State.Foreign;
        }
        var ofService = db
            .Model.GetEntityTypes()
            .Select(entity => entity.GetTableName())
            .Append(HistoryRepository.DefaultTableName);
        return tables.Intersect(ofService, StringComparer.Ordinal).Any() ? State.Foreign : State.Empty;
    }

    private static OptionsValidationException Refused() => new("Database", typeof(DatabaseOptions), [Refusal]);

    private enum State
    {
        Empty,
        Own,
        Foreign,
    }
}
