using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace CancelService.Infrastructure.Sql;

/// <summary>Which database holds the payments.</summary>
public enum DatabaseProvider
{
    /// <summary>The embedded default: one file, one process.</summary>
    Sqlite,

    /// <summary>The real one: many processes, replication, failover.</summary>
    Postgres,
}

/// <summary>The section <c>Database</c> of the settings.</summary>
public sealed class DatabaseOptions
{
    /// <summary>The database in use.</summary>
    public DatabaseProvider Provider { get; set; } = DatabaseProvider.Sqlite;

    /// <summary>ADO.NET connection string. SQLite has a default, PostgreSQL has none.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>How long an answer may wait for the database before it is UNKNOWN_EXCEPTION: 100 ms to 60 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// How many synchronous standbys have to be connected for the instance to be ready: 0 (it does not look) to 16. For a
    /// PostgreSQL whose manager makes replication asynchronous while a standby is away. With 1 or more, each read is followed by
    /// a question whether there is one, which costs a round trip that reads share.
    /// </summary>
    public int SynchronousStandbys { get; set; }

    /// <summary>Whether the schema is migrated at start. Null: with SQLite, and in Development.</summary>
    public bool? MigrateAtStart { get; set; }

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem()
    {
        if (!Enum.IsDefined(Provider))
            return $"Database:Provider is {Provider}. Set it to Sqlite or Postgres.";
        if (Timeout < TimeSpan.FromMilliseconds(100) || Timeout > TimeSpan.FromSeconds(60))
            return $"Database:Timeout is {Timeout}. Set it between 00:00:00.100 and 00:01:00.";
        if (SynchronousStandbys is < 0 or > 16 || (SynchronousStandbys > 0 && Provider is DatabaseProvider.Sqlite))
            return $"Database:SynchronousStandbys is {SynchronousStandbys}. Set it between 0 and 16; with SQLite to 0.";
        if (Provider is DatabaseProvider.Postgres && string.IsNullOrWhiteSpace(ConnectionString))
            return "Database:ConnectionString is missing. With Database:Provider=Postgres it has to name the database, "
                + "such as Host=db;Database=cancel;Username=cancel;Password=...";
        try
        {
            if (Provider is DatabaseProvider.Postgres)
                using (NpgsqlDataSource.Create(Postgres())) { }
            else
                _ = Sqlite();
            return null;
        }
        catch (NotSupportedException e) // Its message names the two settings that conflict, and quotes no value.
        {
            return $"Database:ConnectionString: {e.Message}.";
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            return $"Database:ConnectionString is not a connection string for Database:Provider={Provider}. Correct one of the two.";
        }
    }

    internal NpgsqlConnectionStringBuilder Postgres()
    {
        var given = new DbConnectionStringBuilder { ConnectionString = ConnectionString };
        var hasSeveralHosts = new NpgsqlConnectionStringBuilder(ConnectionString).Host?.Contains(',') is true;
        var settings = new NpgsqlConnectionStringBuilder(ConnectionString)
        {
            ApplicationName = given.ContainsKey("Application Name")
                ? (string)given["Application Name"]
                : "cancelservice",
            // Repeated statements are prepared; 0 in the connection string switches that off.
            MaxAutoPrepare = given.ContainsKey("Max Auto Prepare")
                ? new NpgsqlConnectionStringBuilder(ConnectionString).MaxAutoPrepare
                : 100,
            // At their second use on a connection, not at the fifth: there are few statements, and all are repeated.
            AutoPrepareMinUsages = 2,
            // Serving never changes a session, so a returned connection needs no reset, which would cost the server more
            // than a look-up.
            NoResetOnClose = true,
            // So that a host that does not answer is left for the next one in time.
            Timeout = hasSeveralHosts ? 1 : WholeSeconds,
            CommandTimeout = WholeSeconds,
            // A statement that timed out is given up at once: its connection is closed, and its outcome unknown anyway.
            CancellationTimeout = -1,
        };
        if (hasSeveralHosts)
        {
            // Only the primary serves, and a host that was a standby a second ago may be the primary now.
            if (!given.ContainsKey("Target Session Attributes"))
                settings.TargetSessionAttributes = "primary";
            if (!given.ContainsKey("Host Recheck Seconds"))
                settings.HostRecheckSeconds = 1;
        }
        return settings;
    }

    internal SqliteConnectionStringBuilder Sqlite() =>
        new(ConnectionString ?? "Data Source=data/cancelservice.db")
        {
            DefaultTimeout = WholeSeconds,
            ForeignKeys = true,
        };

    private int WholeSeconds => (int)Math.Ceiling(Timeout.TotalSeconds);
}
